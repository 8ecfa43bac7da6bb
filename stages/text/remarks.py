"""What a model says about its caption, before and after it: labels, preambles, notes.

Everything is looked for where it stands as a line or sentence of its own, at the beginning or the
end: a caption may speak of a note, and a sign in the picture may say "Sure!".
"""

from __future__ import annotations

import re

from stages.text.verdicts import tells_nothing
from stages.text.words import sentences

_NOUN = (
    r"(?:captions?|descriptions?|answers?|outputs?|results?|responses?|prompts?|versions?|rewrites?"
    r"|texts?|alt[ -]text|train(?:ing)? captions?|options?|alternatives?|suggestions?|variations?)"
)
_FOREIGN_NOUN = (
    r"(?:légende|legende|bildunterschrift|bildbeschreibung|beschreibung|descripción|leyenda|didascalia"
    r"|descrizione|descrição|legenda|описание|подпись|标题|描述|图片描述|说明|キャプション|説明|캡션|설명)"
)
_KIND = (
    r"(?:(?:the|your|my|a|final|combined|merged|enhanced|fused|rewritten|new|suggested|revised|updated"
    r"|corrected|refined|cleaned|improved|image|photo|picture|video|lora|training|character|style"
    r"|object|motion|short|concise|one-line|single-line|possible|proposed|suitable)\s+)*"
)
_LABEL = re.compile(
    rf"[*_#\s>]{{0,12}}(?:(?:{_KIND}{_NOUN}|assistant|ai|{_FOREIGN_NOUN})(?:\s*\([^()\n]{{0,40}}\))?"
    # "The combined caption is: …"
    rf"|{_KIND}(?:captions?|descriptions?|prompt)(?: for [^\n:：]{{1,60}}?)?"
    r" (?:(?:is|are|(?:w|c)ould be|might be)(?: as follows)?|as follows))"
    r"\s*[*_]*\s*[:：][*_]*\s*",
    re.IGNORECASE,
)
_TAGS = re.compile(
    r"[*_#\s>]{0,12}(?:here (?:are|is) )?(?:(?:the|some|your|my) )?(?:(?:danbooru|booru|image"
    r"|suggested|relevant) )?(?:tags|keywords)"
    r"\s*[*_]*\s*[:：][*_]*\s*",
    re.IGNORECASE,
)
# The same as a line of its own.
_HEADED = re.compile(
    rf"[*_#\s>]{{0,12}}(?:{_KIND}{_NOUN}|assistant|model|{_FOREIGN_NOUN})[ \t]*[*_]*[ \t]*\n",
    re.IGNORECASE,
)
# The last one of these decides where a model thought aloud before it came to its caption.
_LATE_LABEL = re.compile(
    rf"(?:^|\n)[*_#\s>]{{0,12}}(?:(?:the|your|my)\s+)?(?:final|combined|merged|fused|enhanced)\s+{_NOUN}"
    r"\s*[*_]*\s*[:：][*_]*[ \t]*",
    re.IGNORECASE,
)
# Captions announced each on a line of its own.
_CAPTION_LINE = re.compile(
    r"(?:^|\n)[*_#\s>]{0,12}(?:training |image )?caption\s*[*_]*[:：][*_]*[ \t]*", re.IGNORECASE
)
_TITLE = re.compile(r"[*_#\s>]{0,12}title\s*[*_]*[:：][^\n]*\n", re.IGNORECASE)
_CODE_NAME = re.compile(r"json\s*(?=[\[{])|caption\s*=\s*(?=[\"'])", re.IGNORECASE)
# Thinking aloud, up to an empty line or the caption.
_ALOUD = re.compile(
    r"(?:(?:okay|alright|so|hmm|well),? )?(?:(?:let me|let['’]s) (?:\w+ )?(?:think|merge|combine"
    r"|analy[sz]e|see|start|look|write|break|craft|create|read|consider|begin|check|rewrite|fuse)\b"
    r"|first,? (?:i|we)"
    r"|(?:i|we) (?:need|should|have|must|want) to|the user (?:wants|said|says|asked|wrote|gave"
    r"|provided))\b"
    r"(?:[^\n]*\n\n|[^\n]{0,300}?\b(?:caption|description) (?:is|would be)\s*[:：]\s*)",
    re.IGNORECASE,
)
_TURN = re.compile(
    r"(?:^|\s)(?:assistant|gpt)\s*:[ \t]*|(?:^|\n)(?:assistant|model)[ \t]*\n", re.IGNORECASE
)
_USER_TURN = re.compile(r"\s*(?:user|human|system)\s*[:\n]", re.IGNORECASE)
_AGREED = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|alright|all right|got it"
    r"|no problem|understood|here you go|here it is|happy to help|yes|好的|当然)"
)
_EXCLAMATION = re.compile(rf"{_AGREED}(?:\s*[!.:。！：]+\s*|\s*\n+\s*|\s*\Z)", re.IGNORECASE)
_PREAMBLE = re.compile(
    rf"(?:{_AGREED}[,!. ]+)?(?:here(?:['’]s| is| are)|this is|below is|the following is|based on"
    r"|i(?:['’]ve| have|['’]ll| will| combined| merged| wrote)|following (?:is|your|the)"
    rf"|given the|as requested)\b[^\n:：]{{0,160}}\b{_NOUN}\b[^\n:：]{{0,80}}[:：]\s*",
    re.IGNORECASE,
)
_FOREIGN_PREAMBLE = re.compile(
    r"(?:以下是|这是|下面是|以下が|こちらが|以下は|다음은)[^\n:：]{0,60}[:：]\s*"
    r"|(?:voici|hier (?:ist|sind|kommt)|aquí (?:está|tienes)|ecco|aqui está|вот)\b"
    rf"[^\n:：]{{0,60}}\b{_FOREIGN_NOUN}\b[^\n:：]{{0,60}}[:：]\s*",
    re.IGNORECASE,
)
_HEADING = re.compile(rf"[^\n]{{0,160}}\b{_NOUN}\b[^\n]{{0,80}}[:：][*_]*[ \t]*\n", re.IGNORECASE)
_RULER = re.compile(r"[-*_=]{3,}")
_CLOSING = re.compile(
    r"[\s(\[*_]*(?:notes?\s*[*_]*\s*[:：]|(?:please )?note that\b"
    r"|(?:please )?let me know\b|i hope\b|hope (?:this|that|it)\b|feel free\b|would you like\b"
    r"|do you want\b|is there anything\b"
    r"|if you(?:['’]d| would| want| need)\b"
    r"|this (?:caption|description|sentence|version(?! of\b))\b"
    r"|this (?:follows|adheres to|meets|satisfies) [^.]{0,40}"
    r"\b(?:rules?|guidelines?|requirements?|instructions?|requests?|format)\b"
    r"|(?:user|human)\s*:|\[?end(?: of (?:the )?caption)?\b\W*\Z"
    r"|(?:#[a-z]\w*\s*)+\Z"
    r"|the (?:above|combined|final|merged|resulting) (?:caption|description)\b"
    r"|(?:i|we)(?:['’]ve| have)? (?:combined|merged|fused|left|omitted|removed|kept|made|included"
    r"|avoided|used|followed|tried|placed|ensured|focused|excluded)\b"
    r"|(?:explanation|rationale|reasoning|justification|(?:key )?changes(?: made)?|sources?"
    r"|word count|character count|tags|keywords|negative prompt)\s*[*_]*\s*[:：]"
    r"|(?:unfortunately,? |however,? )?(?:i['’]?m |i am )?(?:sorry,? )?(?:but )?"
    r"(?:i (?:can(?:no|['’])t|can not|could not|won['’]t|am unable to|am not able to)"
    r"|(?:i['’]m )?(?:unable|not able) to)"
    r" (?:describe|identify|determine|see|provide|confirm|name|include|comment|say|tell|share|help"
    r"|assist)\b"
    r"|steps: \d+, sampler: "
    r"|\(?\d+ (?:words|characters|tokens)\)?\W*\Z|thank(?:s| you)\W*\Z)",
    re.IGNORECASE,
)
# A note in brackets within the last sentence, and the settings that image generators keep.
_ASIDE = re.compile(
    r"\s*[(\[](?:(?:please )?note that\b|notes?\s*:)[^()\[\]]*[)\]]\W*\Z"
    r"|\s+negative prompt:.*\Z",
    re.DOTALL | re.IGNORECASE,
)
_HASHTAGS = re.compile(r"(?:\s+#[A-Za-z]\w*){2,20}\Z")


def without_preamble(text: str) -> str:
    """The text after "Sure!", "Here is the combined caption:" and headings of that kind."""
    if _USER_TURN.match(text) and (turns := list(_TURN.finditer(text))):
        text = text[turns[-1].end() :]
    for rule in (_CODE_NAME, _TITLE, _ALOUD, _EXCLAMATION, _PREAMBLE, _FOREIGN_PREAMBLE):
        found = rule.match(text)
        if found:
            text = text[found.end() :]
    found = _HEADING.match(text)
    return text[found.end() :] if found else text


def without_label(text: str) -> str:
    """The text after "Caption:", or after the last "Final caption:" of a model that thought
    aloud."""
    if ":" not in text and "：" not in text and "\n" not in text:
        return text  # no label is without
    late = list(_LATE_LABEL.finditer(text))
    if late and text[late[-1].end() :].strip():
        return text[late[-1].end() :]
    lines = list(_CAPTION_LINE.finditer(text))
    if len(lines) > 1 and not lines[0].start():  # several: the first of them
        return text[lines[0].end() : lines[1].start()]
    if lines and lines[0].start() and text[lines[-1].end() :].strip():
        return text[lines[-1].end() :]
    found = _LABEL.match(text) or _HEADED.match(text) or _TAGS.match(text)
    return text[found.end() :] if found else text


def without_closing(text: str, anchor: str = "") -> str:
    """The text before notes, explanations and offers of more help; and without what is absent from
    the picture, but for a sentence that holds the anchor."""
    lines = text.split("\n")
    for place, line in enumerate(lines):
        closes = place and (_CLOSING.match(line) or _RULER.fullmatch(line.strip()))
        if closes and any(before.strip() for before in lines[:place]):
            return "\n".join(lines[:place])
    if _RULER.fullmatch(lines[0].strip()):
        return "\n".join(lines[1:])
    return text if len(lines) > 1 else _without_closing_sentences(text, anchor)


def _without_closing_sentences(text: str, anchor: str) -> str:
    text = _HASHTAGS.sub("", text) if "#" in text else text
    aside = _ASIDE.search(text) if text.endswith((")", "]", ").")) or "prompt:" in text else None
    text = text[: aside.start()] if aside and aside.start() else text
    found = sentences(text)
    kept = list(found)
    for place in range(1, len(found)):
        lost = anchor and anchor not in " ".join(found[:place])  # then it is no remark on a caption
        if not lost and _CLOSING.match(found[place]):
            kept = list(found[:place])
            break
    kept = [
        one
        for place, one in enumerate(kept)
        if not place or (anchor and anchor in one) or not tells_nothing(one)
    ]
    return text if len(kept) == len(found) else " ".join(kept)
