"""What is no caption at all: nothing in code can make one of it, so it is asked for anew or listed.

Refusals and errors are looked for at the start only: a caption may quote an apology.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from stages.frames import time_of
from stages.policy import Policy
from stages.sample import Problem
from stages.text.peel import LONGEST
from stages.text.words import sentences, words

# What servers and our captioners call the token limit.
LIMIT_REASONS = frozenset({"length", "max_tokens", "max_new_tokens", "model_length"})
_FILTERS = frozenset(
    {"content_filter", "safety", "refusal", "prohibited_content", "blocklist", "recitation", "spii"}
    | {"language", "model_armor", "jailbreak", "escalation"}
    | {f"image_{why}" for why in ("safety", "prohibited_content", "recitation", "other")}
)
_UNHEARD = "prompt_"  # begins the reason why a question was not even heard

_FOLD = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})
_REFUSAL = re.compile(
    r"[\s*_#>\-]*(?:unfortunately,? |however,? |oh,? )?(?:"
    r"(?:i'm|i am|we're|we are) (?:(?:very|really|so|terribly|just) )?"
    r"(?:sorry(?=,? (?:but |i |i'|we |this |that |there |as |for |to )|\W*\Z|[.!])|unable|afraid"
    r"|not able|not comfortable|not allowed|not permitted|programmed|an ai|a language model"
    r"|a text)\b"
    r"|(?:i|we) apologi[sz]e\b(?: but\b| for (?:the|any)\b| that\b|\W*\Z|,)"
    r"|(?:i|we) (?:can't|cannot|can not|could not|couldn't|won't|will not|do not"
    r"|don't|must decline|must refuse|have to decline|need to see|am not able)"
    r"(?: (?:\w+ ){0,3}?(?:see|view|access|assist|help|provide|describe|create|generate|fulfil"
    r"|fulfill|comply|process|analy[sz]e|identify|caption|do|have|merge|continue|write|for|feel"
    r"|support|engage|determine|the image|that)\b|\W*\Z)"
    r"|sorry,? (?:but )?(?:i|we|that|this)\b"
    r"|as (?:an ai|a language model|a large language model|an assistant,? i)\b"
    r"|please note that\b"
    r"|(?:the |her |his |their )?identity of [^.\n]{1,60}? (?:can't|cannot|can not|could not) be\b"
    r"|my apologies\b|(?:this|your) request (?:can't|cannot|violates|goes against|is not)\b"
    r"|(?:no|there is no|there's no|it (?:seems|looks like|appears)(?: that)? (?:there is )?no)"
    r" (?:image|picture|photo|caption|text|video)s? (?:was|were|has been|is|are)?\s*(?:attached"
    r"|provided|given|included|uploaded|to (?:describe|see|caption))\b"
    r"|es tut mir leid|je suis désolé|je ne peux pas|lo siento|no puedo|mi dispiace|desculpe"
    r"|leider kann ich|ich kann (?:dir |ihnen |leider )?(?:dieses|das|kein|nicht)"
    r"|malheureusement,? je|não posso|lamento,|infelizmente,? (?:eu )?não|non posso (?:descri|aiut)"
    r"|к сожалению,? я|извините|я не могу|죄송|미안하지만|저는 .{0,20}없습니다|ขออภัย|عذر|آسف|maaf,"
    r"|抱歉|对不起|很抱歉|我无法|我不能|申し訳|すみません"
    r")",
    re.IGNORECASE,
)
_ERROR = re.compile(
    r"\s*(?:(?:\w*error|exception|fatal)\s*(?:[:(]|\d)|traceback \(most recent"
    r"|(?:http(?:/\d(?:\.\d)?)? ?)?[45]\d\d (?:bad|internal|service|gateway|too many|unauthorized"
    r"|forbidden|not found|server error)"
    r"|internal server error|bad gateway|service unavailable|gateway time-?out|too many requests"
    r"|rate limit (?:exceeded|reached)|request (?:failed|timed out|entity)|(?:the )?(?:read"
    r"|operation|connection) timed out|connection (?:error|refused|reset|aborted)"
    r"|cuda (?:error|out of memory)|out of memory\b|(?:the )?model (?:\S+ )?(?:not found|is loading"
    r"|is overloaded|does not exist)|(?:this model's )?(?:maximum )?context (?:length|window|size)"
    r"|<!doctype|<html|<\?xml"
    r"|\{\s*['\"](?:errors?|detail|message)['\"]"
    r"|(?:invalid|incorrect) api key|(?:insufficient_)?quota"
    r" exceeded|insufficient_quota|(?:null|none|undefined|nan|n/?a|no caption|not available"
    r"|\[object object\])\W*\Z)",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\s*(?:please (?:provide|upload|share|attach|send|give)|(?:could|can|would) you (?:please )?"
    r"(?:provide|upload|share|clarify|tell|give|like)|what (?:would|do) you (?:like|want)"
    r"|which (?:caption|version|one) )",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\s*(?:write|generate|create|give|provide)(?: me)? (?:an?|one|the) (?:\w+[ ,]+){0,5}?"
    r"(?:caption|description|prompt)\b(?: \w+)? (?:for|of|that fuses|in)\b"
    r"|\s*describe (?:this|the) (?:image|picture|photo|video)\b|\s*rewrite this text\b"
    r"|</?(?:person|draft|anchor)>",
    re.IGNORECASE,
)
# What stands for something else than a caption, as a whole.
_OTHERWISE = (
    (re.compile(r"\s*(?:https?://|www\.)\S+\s*\Z", re.IGNORECASE), "an address"),
    (
        re.compile(
            r"\s*(?:<?tool[ _]calls?\s*[:>]|function[ _]call\s*:|[a-z]\w*_\w+\([^()]*\)\W*\Z"
            r"|(?:caption|describe)\([^()]*\)\W*\Z)",
            re.IGNORECASE,
        ),
        "a call of a tool",
    ),
    (re.compile(r"\s*(?:\[\s*)?\{\s*([\"'])[^\"'\n]{1,60}\1\s*:"), "data"),
    (re.compile(r"\s*\|(?=.*\|\s*:?-{2,}:?\s*\|)", re.DOTALL), "a table"),
)
_CUT_JSON = re.compile(r"\s*\{\s*\"[^\"\n]{1,60}\"\s*:\s*\"(?:[^\"\\]|\\.)*\Z", re.DOTALL)
_NO_CAPTION = re.compile(
    r"\bno (?:caption|description) (?:can|could|will) be\b|\b(?:can't|cannot) be captioned\b",
    re.IGNORECASE,
)
_SOMEONE = r"person|people|character|human|woman|man|girl|boy|figure|subject|one|object|face"
_NEGATION = re.compile(r"n['o]t|no ", re.IGNORECASE)
_LETTER = re.compile(r"[^\W_]")
_MARK = re.compile(r"[!-/:-@\[-`{-~]")
_CODE_POINT = re.compile("[\ufffd\ue000-\uf8ff]")
_LONG_WORD = re.compile(r"[A-Za-z0-9'’‘ʼ]{61}")
_LETTER_RUN = re.compile(r"([^\W\d_])\1{9,}")
_UNSPACED_RUN = re.compile(r"([^\W\d_]{2,16}?)\1{4,}")
_MOST_REPEATS = 4  # of the same words in a row; a movement may go left, right, left, right


def no_caption(
    text: str,
    *,
    raw: str,
    finish: str | None = None,
    edits: tuple[str, ...] = (),
    anchor: str = "",
    policy: Policy | None = None,
) -> Problem | None:
    """Why there is no caption in a peeled text, or None.

    `raw` is what the text was peeled from, `edits` how, `finish` what the model said of its end. A
    text that was cut off at the token limit may still hold a caption: see `cut_off`.
    """
    if len(text) > LONGEST:
        return Problem("garbage", True, message=f"{len(text)} characters are no caption")
    reason = (finish or "").lower()
    if reason in _FILTERS or reason.startswith(_UNHEARD):
        return Problem("refusal", True, message=f"stopped by the server's filter: {reason}")
    if not _LETTER.search(text):
        return _nothing(raw, edits)
    folded = text.translate(_FOLD)
    # Older tools glued the anchor in front of whatever came.
    glued = bool(anchor) and folded.startswith(f"{anchor} ")
    begin = len(anchor) + 1 if glued else 0
    # "annika As an AI …" is glued; "annika as an assistant" goes on.
    whole = not glued or folded[begin : begin + 1].isupper() or not folded[begin].isalpha()
    refusal = _REFUSAL.match(folded, begin) if whole else _REFUSAL.match(folded)
    if refusal:
        return Problem("refusal", True, text[: refusal.end()].strip(), "the model refused")
    denied = _NO_CAPTION.search(folded) if "caption" in folded or "no d" in folded else None
    if denied:
        return Problem("refusal", True, text[denied.start() : denied.end()], "the model refused")
    error = _ERROR.match(folded)
    if error:
        return Problem("error_text", True, text[: error.end()].strip(), "an error, not a caption")
    asked = _ASKED.search(folded) if "<" in folded else _ASKED.match(folded)
    echo = asked[0].strip() if asked else _echo(text, policy)
    if echo:
        return Problem("prompt_echo", True, echo, "the prompt came back")
    timed = time_of(text) if policy else ""
    if timed:
        message = "the frames of the video came back one by one"
        return Problem("prompt_echo", True, timed, message)
    if _ASKS.match(folded) or all(one.endswith(("?", "？")) for one in sentences(text)):
        return Problem("question", True, text if len(text) < 200 else "", "a question back")
    absent = _absent(anchor).search(folded) if _NEGATION.search(folded) else None
    if absent:
        message = "says that the subject is not visible"
        return Problem("not_visible", True, text[absent.start() : absent.end()], message)
    if _CUT_JSON.match(text, begin):
        return Problem("truncated", True, message="data that was cut off")
    for pattern, what in _OTHERWISE:
        if pattern.match(text, begin):
            return Problem("garbage", True, text[begin : begin + 80], f"{what}, not a caption")
    return _loop(text) or _garbage(text)


def cut_off(text: str, finish: str | None) -> tuple[str | None, Problem | None]:
    """(the whole sentences of a text that hit the token limit, the problem); None without one."""
    if (finish or "").lower() not in LIMIT_REASONS:
        return text, None
    message = "cut off at the token limit"
    if text.endswith((".", "!", "?", "。", "！", "？", '."', ".”")):
        return text, Problem("truncated", False, message=f"{message}, at the end of a sentence")
    whole = sentences(text)[:-1]
    if not whole:
        return None, Problem("truncated", True, message=message)
    message = f"{message}: only its whole sentences stay"
    return " ".join(whole), Problem("truncated", False, message=message)


def _nothing(raw: str, edits: tuple[str, ...]) -> Problem:
    if not raw.strip():
        return Problem("empty", True, message="the answer is empty")
    if "removed reasoning" in edits:
        return Problem("empty", True, message="nothing but thinking")
    if "removed a preamble" in edits or "removed a label" in edits:
        return Problem("preamble", True, message="announces a caption, and ends")
    if len(re.sub(r"\s", "", raw)) > 3 and not edits:
        return Problem("garbage", True, message="no letter in it")
    return Problem("empty", True, message="nothing but wrapping")


def _echo(text: str, policy: Policy | None) -> str:
    if policy is None:
        return ""
    lowered = text.lower()
    return next((line for line in policy.phrases if line in lowered), "")


@lru_cache(maxsize=64)
def _absent(anchor: str) -> re.Pattern[str]:
    who = rf"(?:{re.escape(anchor)}|" if anchor else "(?:"
    here = r"in (?:the|this) (?:image|picture|photo|frame|scene)"
    seen = rf"(?:visible|present|shown|seen|depicted|pictured|{here})"
    return re.compile(
        rf"(?:(?<![^\W_]){who}the (?:{_SOMEONE})) (?:is|are|was)(?: not|n't) {seen}"
        rf"|(?<![^\W_]){who}the (?:{_SOMEONE})) (?:cannot|can't) be seen"
        rf"|\bthere (?:is|are) no (?:visible )?{who}{_SOMEONE})s?(?: \w+)?(?: {who}\w+))? {seen}"
        rf"|\bno {who}{_SOMEONE})s? (?:is|are|can be) {seen})",
        re.IGNORECASE,
    )


def _loop(text: str) -> Problem | None:
    """A word, phrase or sentence that repeats as no person would write it."""
    found = [word.text for word in words(text)]
    different = len(set(found))
    repeated = ""
    if len(found) - different >= _MOST_REPEATS and max(Counter(found).values()) > _MOST_REPEATS:
        repeated = _repeated(found)
    unspaced = _LETTER_RUN.search(text) or (not text.isascii() and _UNSPACED_RUN.search(text))
    repeated = repeated or (unspaced[1] if unspaced else "")
    if repeated:
        return Problem("loop", True, repeated, f'repeats "{repeated}" over and over')
    said = sentences(text)
    for sentence, count in Counter(said).items() if len(said) > 2 else ():
        if count > 2 and len(words(sentence)) > 3:
            return Problem("loop", True, sentence, "says the same sentence over and over")
    if len(found) >= 60 and different < len(found) / 5:
        return Problem("loop", True, message="says the same few words over and over")
    return None


def _repeated(found: list[str]) -> str:
    """The phrase that stands more than _MOST_REPEATS times in a row, or "". One pass for each
    length of phrase."""
    for length in range(1, min(12, len(found) // _MOST_REPEATS) + 1):
        run = 0  # words in a row that equal the one a phrase before
        for place in range(length, len(found)):
            run = run + 1 if found[place] == found[place - length] else 0
            if run >= length * _MOST_REPEATS:
                return " ".join(found[place - length + 1 : place + 1])
    return ""


def _garbage(text: str) -> Problem | None:
    strange = len(_CODE_POINT.findall(text))
    if strange > 2 or strange * 10 > len(text):
        return Problem("garbage", True, message="characters that stand for none")
    # Scripts with vowel signs and emoji are no garbage: only ASCII punctuation counts against.
    visible = len(text) - text.count(" ")
    if visible > 12 and 2 * len(_MARK.findall(text)) > visible:
        return Problem("garbage", True, message="more punctuation than letters")
    if not _LONG_WORD.search(text):
        return None
    longest = max((word for word in words(text) if word.text.isascii()), key=_length, default=None)
    if longest is not None and _length(longest) > 60 and "-" not in longest.text:
        return Problem("garbage", True, longest.text[:60], "a word of no language")
    return None


def _length(word: tuple[str, int, int]) -> int:
    return word[2] - word[1]
