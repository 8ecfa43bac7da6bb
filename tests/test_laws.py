"""Laws of cleaning that hold for every text: what is clean stays, twice is once, nothing raises."""

from __future__ import annotations

import pytest
from good_captions import GOOD
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.text import check, clean, not_a_caption

TYPES = ["character", "style", "motion", "object"]
ANCHORS = [
    *(
        "",
        "annika",
        "C++",
        "the red knight",
        "a fluid walk",
        "花子",
        "アン",
        "[trigger]",
        "o'brien",
    ),
    *("annika_v2", "x", "Zoë", "May", "ß", "ann", "crystal sword", "illustration style", "caption"),
    *("will", "İlker", "é", "*star*", "“ace”", "mr. fox", "มานี", "ليلى", "R2-D2", "the", "a", "🦊"),
]


@st.composite
def good_captions(draw: st.DrawFn) -> tuple[str, str, str]:
    """(LoRA type, anchor, a caption that the guides would call good)."""

    def one(*choices: str) -> str:
        return draw(st.sampled_from(choices))

    shot = one("close up", "medium shot", "wide shot", "full body shot", "three quarter view")
    view = one("", ", straight on", ", seen from above", ", from the side", " from below")
    end = one("", ".", "", "…", "!")
    lora_type = draw(st.sampled_from(TYPES))
    if lora_type == "character":
        anchor = one(
            *("annika", "sarah chen", "o'brien", "annika_v2", "Zoë", "May", "will", "ann", "x"),
            *("r2-d2", "C++", "the red knight", "Jürgen", "mr. fox", "Аня"),
        )
        does = one(
            *(
                "leaning on a railing",
                "walking down a street",
                "laughing at a dog",
                "reading “Note”",
            ),
            *("turning left, then right", "jumping, hair lifting on the upswing", "bowing deeply"),
            *("holding a card that says 'go'", "pointing at 10:30 on a clock", "winking 😉"),
            *("saying “sorry” to a friend", "standing with arms at her sides", "mid-leap"),
        )
        scene = f"a {shot} of {anchor} {does}"
        if one("", "x"):
            scene = f"{anchor} {does} in a {shot}"
        if one("", "x"):
            scene += one(", eyes shut", ", smiling", ", one hand on the chair back", " — calmly")
        more = one("", "", ". Then the head tilts", ". She looks up", "; both arms rise")
        return lora_type, anchor, f"{scene}{view}{more}{end}"
    if lora_type == "style":
        anchor = one("illustration style", "watercolor", "ink wash look", "style of Müller")
        scene = one(
            *("a cat asleep on books", "two women at a café table", "a mountain above a lake"),
            *("an old tram in the rain", "a bowl of lemons, a jug and a knife", "a boy’s kite"),
        )
        return lora_type, anchor, f"{scene} in {anchor}, {shot}{view}{end}"
    if lora_type == "motion":
        anchor = one("fluid walk", "spin", "moonwalk", "slow turn")
        verb = one("showing", "demonstrating", "performing", "in")
        first = one("the left arm swings", "the hips shift", "the head turns", "both knees bend")
        then = one("the torso follows", "the heel lands", "the arms open", "the weight moves back")
        when = one("slowly", "quickly", "after a pause", "suddenly", "step by step")
        join = one(". First ", ", ", ": ", ". Slowly ")
        text = f"a figure {verb} a {anchor}{view}{join}{first}, then {when} {then}{end}"
        return lora_type, anchor, text
    anchor = one("crystal sword", "brass key", "teddy bear", "X-9 drill")
    place = one("lying on a bench", "held in two hands", "hanging on a nail", 'next to a 7" tile')
    return lora_type, anchor, f"a {anchor} {place} in a {shot}{view}{end}"


CHATTER = [
    "",
    "Sure! ",
    "Okay, here's the caption:\n\n",
    "Here is the combined caption: ",
    "Certainly!\n",
]
NOTES = [
    *(
        "",
        "\n\nLet me know if you want changes!",
        "\n\nNote: I left out the clothes.",
        "\n(12 words)",
    ),
    *(
        "\n\n---\nThis caption keeps the pose.",
        "\n\n*Note: no background.*",
        "\n\nI hope this helps!",
    ),
]
LABELS = ["", "Caption: ", "**Caption:** ", "**Final caption:**\n", "Output: ", "## Caption\n"]
WRAPPERS = [
    *(("", ""), ('"', '"'), ("“", "”"), ("«", "»"), ("**", "**"), ("`", "`"), ("「", "」")),
    *(("```\n", "\n```"), ("<answer>", "</answer>"), ("<s>", "</s><pad>"), ("_", "_")),
    *((" ", "\n"), ("\ufeff", "\u200b"), ("> ", ""), ("(", ")"), ("<p>", "</p>")),
]
THOUGHTS = [
    *("", "<think>which pose?</think>\n", "hm, the draft says so</think>\n\n", "<think></think>"),
    *("[THINK]a or b[/THINK]", "<|channel|>analysis<|message|>x<|channel|>final<|message|>"),
    "<|im_start|>assistant\n",
]
PIECES = [
    *(
        "<think>",
        "</think>",
        "**",
        '"',
        "“",
        "”",
        "'",
        "’s",
        "«",
        "»",
        "```",
        "`",
        "{",
        "}",
        "[",
        "]",
    ),
    *(
        "Caption: ",
        "Final caption:",
        "\n",
        "\n\n",
        "\r",
        "- ",
        "1. ",
        "2) ",
        "Option A: ",
        "> ",
        "# ",
    ),
    *(
        "annika",
        "Annika",
        "ANNIKA",
        "anika",
        "annikas ",
        "the character ",
        "the ",
        "a ",
        "A ",
        "an ",
    ),
    *(", ", ". ", ": ", "; ", "! ", "?", "...", "…", "Sure! ", "Okay, ", "Note: ", "Or: ", "---"),
    *(
        "The image shows ",
        "In this image, ",
        "This is a photo of ",
        "that ",
        "a woman ",
        "the man's ",
    ),
    *(
        "she ",
        "her ",
        "a sword ",
        "a painting of ",
        "in illustration style",
        "red hair ",
        "a close up ",
    ),
    *(
        "&amp;",
        "&quot;",
        "&lt;",
        "&nbsp;",
        "&#39;",
        "</s>",
        "<|im_end|>",
        "<pad>",
        "<answer>",
        "<b>",
    ),
    *("</answer>", "<|channel|>final<|message|>", "\\boxed{", '{"caption": "', '"}', "[trigger]"),
    *("{CHARACTER_NAME}", "{{name}}", "<loc_1>", "é", "e\u0301", "Ã©", "â€œ", "\u200b", "\u200d"),
    *(
        "\ud83d",
        "\ufeff",
        "\u00a0",
        "\x00",
        "\x85",
        "花子",
        "アン",
        "ン",
        "は",
        "🦊",
        "👩\u200d🦰",
        "_",
        "*",
    ),
    *(
        "I'm sorry, ",
        "Let me know ",
        "in the background ",
        "waves",
        "x",
        "ß",
        "C++",
        "o’brien",
        "May",
    ),
    *(
        "[00:01] ",
        "10:30",
        "(",
        ")",
        "<|im_start|>assistant\n",
        "assistant: ",
        "the red knight",
        "~~~",
    ),
]
ANYTHING = st.one_of(
    st.text(st.characters(codec=None), max_size=200),
    st.text(st.sampled_from("\"'“”‘’*_`#>-<{}[]()|:.\n aAnik\u200b\ufeff&;"), max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
)
FINISHES = st.sampled_from([None, "stop", "length", "content_filter", "eos"])
FOUND_IN_NOTHING_CLEAN = {"preamble", "unclean", "anchor_variant", "placeholder"}


@settings(max_examples=2500, deadline=None)
@given(caption=good_captions(), finish=st.sampled_from([None, "stop"]))
def test_a_good_caption_comes_back_byte_for_byte(
    caption: tuple[str, str, str], finish: str | None
) -> None:
    lora_type, anchor, text = caption
    cleaned = clean(text, lora_type=lora_type, anchor=anchor, finish=finish)
    assert cleaned.text == text
    assert cleaned.edits == ()
    assert cleaned.publishable
    found = {problem.label for problem in check(text, lora_type=lora_type, anchor=anchor)}
    assert not found & FOUND_IN_NOTHING_CLEAN


@settings(max_examples=4000, deadline=None)
@given(
    raw=ANYTHING, lora_type=st.sampled_from(TYPES), anchor=st.sampled_from(ANCHORS), finish=FINISHES
)
@example(raw="{{}}", lora_type="character", anchor="annika", finish=None)
@example(raw="\ud800", lora_type="character", anchor="annika", finish="stop")
def test_cleaning_twice_is_cleaning_once_and_what_comes_out_is_clean(
    raw: str, lora_type: str, anchor: str, finish: str | None
) -> None:
    once = clean(raw, lora_type=lora_type, anchor=anchor, finish=finish)
    check(raw, lora_type=lora_type, anchor=anchor)
    not_a_caption(raw, finish)
    if once.text is None:
        assert once.problems
        return
    assert len(once.text.splitlines()) == 1
    assert once.text == once.text.strip() != ""
    once.text.encode("utf-8")
    again = clean(once.text, lora_type=lora_type, anchor=anchor)
    assert again.text == once.text
    assert again.edits == ()
    if finish != "length":
        assert again.problems == once.problems
    found = {problem.label for problem in check(once.text, lora_type=lora_type, anchor=anchor)}
    assert not found & (FOUND_IN_NOTHING_CLEAN if anchor else {"preamble", "unclean"})


@settings(max_examples=2500, deadline=None)
@given(
    caption=good_captions(),
    thought=st.sampled_from(THOUGHTS),
    chatter=st.sampled_from(CHATTER),
    label=st.sampled_from(LABELS),
    wrapper=st.sampled_from(WRAPPERS),
    inner=st.sampled_from([pair for pair in WRAPPERS if not pair[0].isspace()]),
    note=st.sampled_from(NOTES),
)
def test_a_good_caption_comes_out_of_whatever_is_wrapped_around_it(
    caption: tuple[str, str, str],
    thought: str,
    chatter: str,
    label: str,
    wrapper: tuple[str, str],
    inner: tuple[str, str],
    note: str,
) -> None:
    lora_type, anchor, text = caption
    if wrapper[0] and inner[0].strip() and wrapper[0][:1] == inner[0][:1]:
        inner = ("", "")
    wrapped = f"{wrapper[0]}{inner[0]}{text}{inner[1]}{wrapper[1]}"
    raw = f"{thought}{chatter}{label}{wrapped}{note}"
    cleaned = clean(raw, lora_type=lora_type, anchor=anchor, finish="stop")
    assert cleaned.text == text
    assert cleaned.publishable


@settings(max_examples=1000, deadline=None)
@given(
    good=st.sampled_from(GOOD),
    before=st.sampled_from(["", "<think>x</think>", "Sure! ", "Caption: ", "</s><s>", "\ufeff"]),
    after=st.sampled_from(["", "</s>", "\n\nLet me know!", "\n", "<|im_end|>", "\u200b"]),
)
def test_a_tricky_caption_comes_out_of_simple_wrapping(
    good: tuple[str, str, str], before: str, after: str
) -> None:
    lora_type, anchor, text = good
    cleaned = clean(f"{before}{text}{after}", lora_type=lora_type, anchor=anchor, finish="stop")
    assert cleaned.text == text


MEGABYTE = 1_000_000
UNITS = [
    *("<think>", "</think>", "<think></think>", "a", " ", "\n", "\n ", " \n", '"', "'", "“", "*"),
    *(
        "**",
        "_",
        "__",
        "`",
        "```",
        "```\n",
        "[",
        "]",
        "{",
        "}",
        '{"a":',
        "(",
        "()",
        "<",
        "<|",
        "|>",
    ),
    *("&", "&amp;", "&amp;amp;", "&#", "\u200b", "\u200d", "\ud800", "\ufeff", "\u0301", "é", "Ã©"),
    *("annika ", "Annika ", "annika, ", "the ", "the character ", "a woman ", "anika ", "an"),
    *(
        "Caption: ",
        "Sure! ",
        "Final caption:\n",
        "Here is the caption",
        "Note: ",
        "1. ",
        "- ",
        "- a\n",
    ),
    *(
        "1. a b c d\n",
        "Option 1: ",
        "The image shows ",
        "In this image, ",
        "Or:\n",
        "---\n",
        "# ",
        "> ",
    ),
    *(
        "<|channel|>",
        "<|channel|>final<|message|>",
        "<answer>",
        "</answer>",
        "<caption>",
        "\\boxed{",
    ),
    *("<|im_start|>assistant\n", "<|im_start|>user", "<start_of_turn>", "[00:01] ", "00:01 ", ". "),
    *(
        "no ",
        "not ",
        "red hair ",
        "in a red ",
        "very ",
        "花",
        "アン",
        "花子",
        "🦊",
        "👩\u200d🦰",
        "[trigger]",
    ),
    *(
        "analysis",
        "assistant",
        "assistant: ",
        "assistantfinal",
        "\x85",
        "\u2028",
        ":",
        "：",
        ", ",
        "; ",
    ),
    *(
        "<b>",
        "</p>",
        "ß",
        "İ",
        "\U000e0020",
        "~~~",
        "~~~\n",
        "=",
        "\\",
        "\\n",
        "I'm sorry",
        "\t",
        "?",
    ),
    *(" #a", "let me ", "let me\n\n", "Title:\n", "\nCaption: ", "User: ", "json", "_a "),
    *("the image is ", "so the caption is ", "“a” ", "assistant\n", "Voici ", "The caption is "),
    *("<p>", "(a ", '5" '),
]


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_a_megabyte_of_anything_is_cleaned_in_the_time_it_takes_to_read(unit: str) -> None:
    raw = unit * (MEGABYTE // len(unit))
    for text in (raw, f"annika {raw}", f"{raw} annika waving", raw[:9_900]):
        clean(text, lora_type="character", anchor="annika", finish="length")
