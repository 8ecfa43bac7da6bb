"""The ledger: which words of a merged caption come from which source, and what it lacks."""

from __future__ import annotations

import itertools

import pytest
from good_captions import GOOD
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledger_examples import EXAMPLES, SECOND_TABLE, Example

from stages.policy import read_policy
from stages.sample import Fatal
from stages.text import Claim, CleanOptions, Counts, Ledger, trace, unrelated
from stages.text.stems import meaning, synonyms
from stages.text.vocabulary import read_synonyms

TYPES = ["character", "style", "motion", "object"]
ALL = [*EXAMPLES, *SECOND_TABLE]
ANY_TEXT = st.text(max_size=60) | st.text(
    st.characters(categories=["Cs", "Lo", "Mn", "Nd", "Po", "So"]), max_size=40
)
ANCHORS = st.sampled_from(["", "annika", "the red knight", "花子", "C++", "May", "a", "\ud800"])
WORDS = [
    *("annika", "a", "woman", "man", "dog", "red", "hat", "not", "under", "left", "close", "up"),
    *(
        "walking",
        "street",
        "in",
        "the",
        "sky",
        "花子",
        "走る",
        "민지가",
        "photo",
        "shot",
        "two",
        "2",
    ),
    *("t-shirt", "harbour", "from", "behind", "ran", ",", ".", "camera", "park", "ภาพ", "Аня"),
]


@st.composite
def captions(draw: st.DrawFn) -> str:
    return " ".join(draw(st.lists(st.sampled_from(WORDS), max_size=14)))


def one(merged: str, manual: str = "", draft: str = "", lora_type: str = "character") -> Ledger:
    return trace(merged, manual=manual, draft=draft, lora_type=lora_type, anchor="annika")


@pytest.mark.parametrize(("lora_type", "anchor", "merge"), ALL)
def test_the_ledger_finds_what_a_careful_reader_would_underline(
    lora_type: str, anchor: str, merge: Example
) -> None:
    ledger = trace(
        merge.merged, manual=merge.manual, draft=merge.draft, lora_type=lora_type, anchor=anchor
    )
    assert (ledger.invented, ledger.lost) == (merge.invented, merge.lost)


@pytest.mark.parametrize("lora_type", TYPES)
def test_every_type_has_written_examples(lora_type: str) -> None:
    assert sum(one[0] == lora_type for one in ALL) >= 10


def test_each_claim_names_its_source() -> None:
    ledger = one(
        "a medium shot of annika waving at a dog, a cat beside her",
        manual="annika waves at a dog",
        draft="a woman waves, medium",
    )
    assert ledger.claims == (
        Claim("medium", "draft"),
        Claim("shot", "policy"),
        Claim("annika", "anchor"),
        Claim("waving", "both"),
        Claim("dog", "manual"),
        Claim("cat", "neither"),
    )


def test_neighbouring_words_of_one_source_are_one_claim() -> None:
    ledger = one(
        "annika leaning over a table and laughing, close up", manual="laughs, leans on table"
    )
    assert ledger.claims[1] == Claim("leaning over a table and laughing", "manual")


def test_recall_and_invention_add_up_over_files() -> None:
    ledgers = [
        one("annika waving, smiling", manual="annika waves at a dog"),
        one("annika in a close up", manual="a woman with red hair, close up"),
    ]
    counts = sum((ledger.counts for ledger in ledgers), Counts())
    assert counts == Counts(words=3, invented=1, facts=6, omitted=3, lost=1)
    assert counts.recall == pytest.approx(5 / 6)
    assert counts.invention_rate == pytest.approx(1 / 3)


def test_rates_of_nothing_are_none() -> None:
    counts = one("annika").counts
    assert (counts.recall, counts.invention_rate) == (None, None)


def test_an_allowed_trait_that_is_missing_is_lost() -> None:
    options = CleanOptions(allow=("hair",))
    texts = {"manual": "annika with long red hair, waving", "draft": ""}
    strict = trace("annika waving", lora_type="character", anchor="annika", **texts)
    allowed = trace(
        "annika waving", lora_type="character", anchor="annika", options=options, **texts
    )
    assert strict.lost == ()
    assert allowed.lost == ("long", "red", "hair")


def test_a_forbidden_word_that_is_missing_is_not_lost() -> None:
    texts = {"manual": "annika waving a sparkler", "draft": ""}
    options = CleanOptions(never=("sparkler",))
    without = trace(
        "annika waving", lora_type="character", anchor="annika", options=options, **texts
    )
    assert without.lost == ()
    assert one("annika waving", **texts).lost == ("sparkler",)


def test_a_draft_that_was_contradicted_is_not_missed() -> None:
    ledger = one("annika with a red ball", manual="annika with a red ball", draft="a blue ball")
    assert (ledger.invented, ledger.lost) == ((), ())


@pytest.mark.parametrize(
    ("manual", "draft", "merged"),
    [
        # German by a person, English by the models.
        ("annika steht mit einem Schirm auf der Brücke", "", "annika on the bridge, umbrella up"),
        ("アニカが橋の上に立っている", "a woman on a bridge", "annika on a bridge"),
        ("安妮卡拿着雨伞", "a woman on a bridge", "annika on a bridge with an umbrella"),
        ("Анника стоит на мосту", "", "annika standing on a bridge"),
        ("อันนิกายืนบนสะพาน", "a woman on a bridge", "annika on a bridge"),
    ],
)
def test_what_a_person_wrote_in_another_language_is_not_judged(
    manual: str, draft: str, merged: str
) -> None:
    ledger = one(merged, manual, draft)
    assert (ledger.invented, ledger.lost, ledger.counts.facts) == ((), (), 0)


@pytest.mark.parametrize(
    ("merged", "manual", "invented", "lost"),
    [
        ("annika lehnt an der Wand und lächelt", "annika lehnt an einer Wand", ("lächelt",), ()),
        ("annika sourit dans la rue", "annika sourit dans une rue avec un chien", (), ("chien",)),
        ("アニカが公園で犬と走っている", "アニカが犬と走る", ("公園",), ()),
        ("安妮卡在街上走", "安妮卡在街上走，拿着伞", (), ("拿", "伞")),
        ("Анника стоит на мосту", "Анника стоит на мосте с зонтом", (), ("зонтом",)),
    ],
)
def test_other_languages_are_compared_by_stems_and_letters(
    merged: str, manual: str, invented: tuple[str, ...], lost: tuple[str, ...]
) -> None:
    ledger = one(merged, manual)
    assert (ledger.invented, ledger.lost) == (invented, lost)


def test_an_unknown_type_is_fatal() -> None:
    with pytest.raises(Fatal, match="is none of"):
        trace("a", manual="", draft="", lora_type="sculpture", anchor="")


def test_the_list_of_synonyms_is_no_type() -> None:
    with pytest.raises(Fatal, match=r"is none of: character, motion, object, style\Z"):
        read_policy("synonyms")


def test_no_word_has_two_meanings_in_the_list() -> None:
    several = [{meaning(word).lemma for word in same} for same in read_synonyms()["same"]]
    clashes = [left & right for left, right in itertools.combinations(several, 2) if left & right]
    assert clashes == []


def test_forms_and_spellings_of_a_word_are_one() -> None:
    for several in (
        ("run", "runs", "running", "ran"),
        ("stand", "stood", "standing"),
        ("colour", "colors", "Colour's"),
        ("happy", "happily"),
        ("slow", "slowly"),
        ("leaf", "leaves"),
        ("woman", "women", "woman's", "woman’s", "lady"),
        ("snow", "snowy"),
        ("two", "2", "both"),
        ("don't", "not", "without"),
    ):
        assert len({meaning(word).key for word in several}) == 1, several


def test_a_broader_word_is_no_invention_and_a_narrower_one_no_loss() -> None:
    assert "person" in {*synonyms().implies[meaning("woman").key]}
    assert one("annika with an animal", "annika with a dog").invented == ()
    assert one("annika with a dog", "annika with an animal").lost == ()
    assert one("annika with a dog", "annika with an animal").invented == ("dog",)
    assert one("annika with an animal", "annika with a dog").lost == ("dog",)


@pytest.mark.parametrize(("lora_type", "anchor", "caption"), GOOD)
def test_a_good_caption_taken_over_whole_has_nothing_invented_or_lost(
    lora_type: str, anchor: str, caption: str
) -> None:
    ledger = trace(caption, manual=caption, draft="", lora_type=lora_type, anchor=anchor)
    assert (ledger.invented, ledger.lost, ledger.counts.omitted) == ((), (), 0)


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT | captions(), ANY_TEXT | captions(), ANY_TEXT | captions(), ANCHORS)
@example("a\ud800b", "\udfff", "", "\ud800")
@example("İ", "ǅ ﬁ ß", "ﷺ", "ß")
def test_nothing_raises_and_what_is_told_stands_in_its_text(
    merged: str, manual: str, draft: str, anchor: str
) -> None:
    for lora_type in TYPES:
        ledger = trace(merged, manual=manual, draft=draft, lora_type=lora_type, anchor=anchor)
        assert all(claim.text in merged for claim in ledger.claims)
        assert all(word in merged for word in ledger.invented)
        assert all(word in manual for word in ledger.lost)
        counts = ledger.counts
        assert counts.invented <= counts.words
        assert counts.omitted + counts.lost <= counts.facts
    unrelated(merged, manual=manual, draft=draft, anchor=anchor)


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT | captions(), captions(), ANCHORS, st.sampled_from(TYPES))
def test_a_text_merged_with_itself_has_nothing_invented_or_lost(
    text: str, draft: str, anchor: str, lora_type: str
) -> None:
    ledger = trace(text, manual=text, draft=draft, lora_type=lora_type, anchor=anchor)
    assert (ledger.invented, ledger.lost) == ((), ())
    assert not unrelated(text, manual=text, draft=draft, anchor=anchor)


@settings(max_examples=200, deadline=None)
@given(captions(), captions(), st.randoms(use_true_random=False), st.sampled_from(TYPES))
def test_words_of_the_sources_in_any_order_are_no_inventions(
    manual: str, draft: str, random: object, lora_type: str
) -> None:
    # "close" and "up" of two places, side by side, would be a close-up that nobody told of.
    several = [word for word in f"{manual} {draft}".split() if word != "up"]
    random.shuffle(several)  # type: ignore[attr-defined]
    merged = " ".join(several)
    ledger = trace(merged, manual=manual, draft=draft, lora_type=lora_type, anchor="annika")
    assert ledger.invented == ()


SCENES = [
    "annika pulling a sled over a frozen lake while two dogs bark at the sled",
    "annika tearing a caption off a poster beside a broken vending machine",
    "annika typing a password on a keyboard, coffee cooling next to the screen",
    "annika reaching for a box in the video game store, boxes stacked to the ceiling",
    "annika on stage playing rock guitar, drummer and confetti behind her",
    "annika lifting a partner over her head in an empty gym, mirrors all around",
    "annika closing a laptop as the train enters a tunnel",
    "annika crossing a stream on slippery stones, shoes in one hand",
    "annika straightening a crooked painting above the fireplace",
    "annika feeding carrots to a donkey through a wire fence",
]


def test_the_caption_of_another_file_is_told_from_ones_own() -> None:
    pairs = list(itertools.permutations(SCENES, 2))
    found = [unrelated(a, manual="", draft=b, anchor="annika") for a, b in pairs]
    assert all(found)
    assert not any(unrelated(one, manual=one, draft="", anchor="annika") for one in SCENES)


def test_a_good_caption_given_to_another_file_is_told() -> None:
    own = [caption for _, anchor, caption in GOOD if anchor == "annika" and caption.isascii()]
    # Two as one: most of them have fewer than five words of content besides framing.
    joined = [f"{first}. {second}" for first, second in itertools.pairwise(own)]
    long = [one for one in joined if claimed(one) >= 9]
    pairs = [(a, b) for i, a in enumerate(long) for b in long[i + 2 :: 5]]
    found = sum(unrelated(a, manual="", draft=b, anchor="annika") for a, b in pairs)
    assert len(pairs) > 100
    assert found >= 0.95 * len(pairs)


def claimed(caption: str) -> int:
    return one(caption).counts.words


@pytest.mark.parametrize(("lora_type", "anchor", "merge"), ALL)
def test_no_honest_merge_is_taken_for_another_files(
    lora_type: str, anchor: str, merge: Example
) -> None:
    sources = {"manual": merge.manual, "draft": merge.draft}
    assert not unrelated(merge.merged, anchor=anchor, **sources)


@pytest.mark.parametrize(
    ("merged", "manual", "draft"),
    [
        ("annika waving", "annika laughing", "a woman laughs"),
        ("a close up of annika, seen from above", "annika", "a woman in a red coat walks home"),
        ("annika", "1girl, solo, smile, hat, gloves, forest, sword", ""),
        ("annika waving at a dog in a park, trees behind", "アニカが公園で犬に手を振る", ""),
        ("annika waving at a dog in a park, trees behind", "", ""),
        ("", "annika waving at a dog in a park", "a woman waves at a brown dog"),
    ],
)
def test_on_few_words_or_in_another_language_there_is_no_verdict(
    merged: str, manual: str, draft: str
) -> None:
    assert not unrelated(merged, manual=manual, draft=draft, anchor="annika")
