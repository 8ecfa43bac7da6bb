"""What a model thought before its answer, the tags around the answer, and tokens of its format.

All of it is removed in time linear in the text: reasoning may be a megabyte long.
"""

from __future__ import annotations

import re

_NAMES = r"think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis"
# <think>, [THINK], <seed:think>, ◁think▷ and <|START_THINKING|>, opened or closed.
_TAG = re.compile(
    rf"<(?P<a>/?)(?:\w+:)?(?:{_NAMES})>|\[(?P<b>/?)(?:{_NAMES})\]|◁(?P<c>/?)(?:{_NAMES})▷"
    r"|<\|(?P<d>start|end)_(?:of_)?(?:thinking|thought|reasoning)\|>",
    re.IGNORECASE,
)
# Channels of the harmony format; what is not the final one was never meant to be read.
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w+)(?:(?!<\|(?:channel|message)\|>).){0,120}<\|message\|>",
    re.IGNORECASE | re.DOTALL,
)
# The same with its tokens skipped: "analysisThe user wants …assistantfinalannika waves".
_BARE_CHANNELS = re.compile(r"\Aanalysis(?=[A-Z\s]).*assistant\s?final", re.DOTALL)
_BARE_THOUGHT = re.compile(r"\Aanalysis(?=[A-Z])(?:The user|We |I |User|Let)")
_ANSWER_OPENS = re.compile(
    r"(?<!['\"])<(answer|caption|output|final|final_answer|response)>|<\|begin_of_box\|>|\\boxed\{",
    re.IGNORECASE,
)
# End-of-sequence, padding, region and turn tokens of the captioners that this program loads.
_TOKEN = re.compile(
    r"</?s>|<(?:pad|unk|bos|eos|sep|cls|mask)>|\[(?:PAD|UNK|CLS|SEP|/?INST)\]|<loc_\d{1,4}>"
    r"|<unused\d{1,4}>|<(?:start|end)_of_(?:turn|image)>|<image(?:_placeholder|_soft_token)?>"
    r"|</?(?:ocr|poly|cap|dcap|region|grounding|od|ncap|and|prop)>"
    r"|<(?:MORE_DETAILED_CAPTION|DETAILED_CAPTION|CAPTION)>"
    r"|\[(?:END|EOS|DONE)\]|<\|[^|<>\s]{1,60}\|>|<｜[^｜<>]{1,60}｜>|\[img-\d+\]"
)
# Where one of the two in a talk begins to speak.
_TURN = re.compile(
    r"<\|(?:im_start|start_header_id|start)\|>\s*(\w+)(?:<\|end_header_id\|>)?"
    r"|<start_of_turn>\s*(\w+)"
)
# A thought that is called one, up to its last "Final: ".
_PROCESS = re.compile(
    r"[*_#\s]{0,12}(?:thinking|thought|reasoning)[ _]process\s*[*_]*\s*:", re.IGNORECASE
)
_CONCLUDES = re.compile(
    r"\b(?:final(?: \w+)?|caption|answer|output)\s*[*_]*\s*:[*_]*\s*", re.IGNORECASE
)
# After these nothing is the answer's.
_TEXT_ENDS = re.compile(r"<\|(?:endoftext|end_of_text)\|>|<eos>|<｜end▁of▁sentence｜>")
_INSTRUCTED = "[/INST]"
_LETTER = re.compile(r"[^\W_]")


def without_thoughts(text: str) -> str:
    """The text after its reasoning: closed blocks, an unclosed one, a closer whose opener the chat
    template ate, channels."""
    if "<|channel|>" in text:
        text = _final_channel(text)
    elif text.startswith("analysis"):
        text = _bare_channels(text)
    elif _PROCESS.match(text):
        ends = [found.end() for found in _CONCLUDES.finditer(text)]
        text = text[ends[-1] :] if ends else ""
    if "<" not in text and "[" not in text and "◁" not in text:
        return text  # every tag begins with one of these; most captions end here
    kept: list[str] = []
    position, thinking = 0, False
    for tag in _TAG.finditer(text):
        closes = "/" in (tag["a"], tag["b"], tag["c"]) or (tag["d"] or "").lower() == "end"
        if not closes:
            if not thinking:
                kept.append(text[position : tag.start()])
            thinking = True
        else:
            if not thinking:  # the template ate the opener: all before the closer was thinking
                kept.clear()
            position, thinking = tag.end(), False
    if not thinking:  # left open, the rest is thinking
        kept.append(text[position:])
    return "".join(kept)


def within_answer(text: str) -> str:
    """What stands in the last pair of answer tags or box, if there is one."""
    if "<" not in text and "\\" not in text:
        return text
    found = list(_ANSWER_OPENS.finditer(text))
    if not found:
        return text
    opened = found[-1]
    rest = text[opened.end() :]
    if opened[0].startswith("\\"):
        return rest[: rest.rfind("}")] if "}" in rest else rest
    closer = f"</{opened[1]}>" if opened[1] else "<|end_of_box|>"
    return rest[:end] if (end := rest.lower().find(closer.lower())) >= 0 else rest


def without_tokens(text: str) -> str:
    """The text without special tokens; a space stays where one parted two words."""
    if "<" not in text and "[" not in text:
        return text
    before, _, after = text.rpartition(_INSTRUCTED)
    if before and _LETTER.search(_TOKEN.sub("", after)):
        text = after
    text = _own_turn(text)
    for found in _TEXT_ENDS.finditer(text):
        if _LETTER.search(_TOKEN.sub("", text[: found.start()])):
            text = text[: found.start()]
            break
    return _TOKEN.sub(lambda found: " " if _parts_words(text, found) else "", text)


def _own_turn(text: str) -> str:
    """What the model said, if the turns of the talk came with it."""
    turns = list(_TURN.finditer(text))
    if not turns:
        return text
    before = text[: turns[0].start()]
    if _LETTER.search(_TOKEN.sub("", before)):
        return before
    ends = [*(turn.start() for turn in turns[1:]), len(text)]
    own = [
        text[turn.end() : end]
        for turn, end in zip(turns, ends, strict=True)
        if (turn[1] or turn[2]).lower() in ("assistant", "model")
    ]
    return next((said for said in reversed(own) if _LETTER.search(said)), text)


def _parts_words(text: str, found: re.Match[str]) -> bool:
    left, right = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    return left.isalnum() and right.isalnum()


def _final_channel(text: str) -> str:
    channels = list(_CHANNEL.finditer(text))
    final = [found for found in channels if found[1].lower() == "final"]
    if final:
        return text[final[-1].end() :]
    # Thinking that never came to an answer.
    return text[: channels[0].start()] if channels else text


def _bare_channels(text: str) -> str:
    found = _BARE_CHANNELS.match(text)
    if found:
        return text[found.end() :]
    return "" if _BARE_THOUGHT.match(text) else text
