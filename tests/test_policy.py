"""One policy drives prompt and checker: what it leaves out, what a user allows, what never is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from doors import report_of, run_here, with_server
from few import caption_all, printed, refusal, said, write
from loopback import Answer, ChatServer

from stages.policy import read_policy
from stages.text import CleanOptions, check
from stages.wordlists import read_words

TYPES = ("character", "style", "motion", "object")
CAPTION = "a close up of annika with red hair in a leather jacket, looking to the left"


def labels(caption: str, **options: Any) -> list[str]:
    found = check(caption, lora_type="character", anchor="annika", options=CleanOptions(**options))
    return [problem.label for problem in found]


def asked_for(prompt: str) -> str:
    """The part of a prompt that lists what to describe."""
    return prompt[prompt.index("Describe what") : prompt.index("Leave out")]


def left_out(prompt: str) -> str:
    return prompt[prompt.index("Leave out") : prompt.index("\nWrite ")]


def test_an_allowed_trait_is_asked_for_by_the_prompt_and_passes_the_checker() -> None:
    assert labels(CAPTION) == ["describes_appearance", "describes_clothing"]
    assert labels(CAPTION, allow=("clothing",)) == ["describes_appearance"]
    told = read_policy("character").system("annika")
    allowed = read_policy("character", allow=("clothing",)).system("annika")
    assert "- clothing that the character always wears\n" in left_out(told)
    assert "clothing" not in asked_for(told)
    assert "clothing" not in left_out(allowed)
    assert "- clothing: what is worn in this picture" in asked_for(allowed)


@pytest.mark.parametrize("lora_type", TYPES)
@pytest.mark.parametrize("trait", read_words().traits)
def test_every_trait_can_be_asked_for_in_every_type(lora_type: str, trait: str) -> None:
    prompt = read_policy(lora_type, allow=(trait,)).system("zqx")
    assert f"- {read_words().traits[trait].ask}\n" in asked_for(prompt)


def test_tag_clothing_is_allow_clothing() -> None:
    tagged = read_policy("character", tag_clothing=True)
    assert tagged.system("annika") == read_policy("character", allow=("clothing",)).system("annika")
    assert read_policy("character", allow=("clothing",), tag_clothing=True) == tagged
    assert labels(CAPTION, tag_clothing=True) == ["describes_appearance"]


def test_the_number_of_sentences_is_told_to_the_model_and_counted_by_the_checker() -> None:
    two = "a close up of annika, waving. A hand is raised."
    assert "Write 1 to 3 sentences in" in read_policy("character").system("annika")
    assert "Write 1 sentence in" in read_policy("character", max_sentences=1).system("annika")
    assert "Write 2 to 6 sentences in" in read_policy("motion", max_sentences=6).system("zqx")
    assert labels(two, max_sentences=2) == []
    assert labels(two, max_sentences=1) == ["too_long"]


def test_examples_with_more_sentences_than_wanted_are_not_shown() -> None:
    assert "Then" not in read_policy("motion", max_sentences=1).system("zqx")
    assert not read_policy("motion", max_sentences=1).good


def test_examples_with_a_word_that_must_never_stand_are_not_shown() -> None:
    assert "ladder" in " ".join(read_policy("character").good)
    assert "ladder" not in " ".join(read_policy("character", never=("ladder",)).good)


@pytest.mark.parametrize(("encoder", "words"), [("clip", 60), ("t5", 368), (100, 72)])
def test_the_length_that_the_text_encoder_reads_is_told_in_words_and_checked(
    encoder: str | int, words: int
) -> None:
    assert f", {words} words at most" in read_policy("style", target_tokens=encoder).system("zqx")
    things = read_words().traits["clothing"].worn
    caption = "a close up of annika pointing at a " + ", then at a ".join(things[:40])
    assert ("token_budget" in labels(caption, target_tokens=encoder)) == (encoder != "t5")
    assert "token_budget" not in labels(CAPTION, target_tokens=encoder)


def test_an_encoder_that_is_none_is_refused_with_the_names_of_all(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, "check", few, "--target_tokens", "clap")
    assert "'clap' is no number of tokens and none of clip, " in line
    assert "-3" in refusal(capsys, "--dataset_dir", few, "--target_tokens=-3")


def test_an_encoder_may_stand_in_every_layer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "target_tokens: ''  # default" in printed(capsys)
    assert "target_tokens: clip  # flag" in printed(capsys, "--target_tokens", "CLIP")
    monkeypatch.setenv("ENHANCE_TARGET_TOKENS", "90")
    told = printed(capsys)
    assert "target_tokens: 90  # environment" in told
    monkeypatch.delenv("ENHANCE_TARGET_TOKENS")
    write(Path("mine.yaml"), told)
    assert "target_tokens: 90  # mine.yaml" in printed(capsys, "--config", "mine.yaml")


@pytest.mark.parametrize(
    ("flags", "label"),
    [
        (("--max_sentences", "1"), "too_long"),
        (("--target_tokens", "10"), "token_budget"),
        ((), "describes_clothing"),
    ],
)
def test_check_and_the_run_hold_captions_against_the_settings(
    few: Path,
    server: ChatServer,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    label: str,
) -> None:
    caption = "a close up of annika in a red hat. She waves at the camera."
    for name in ("one", "two", "sub/three"):
        write(few / f"{name}.txt", "annika in a red hat waves at the camera")
    server.script = lambda *_: Answer(caption)
    where = ("--dataset_dir", few, *with_server(server, "annika"), "--lora_type", "character")
    assert run_here(*where, *flags) == 0
    notes = [note["problem"] for note in report_of(few)["notes"]]
    assert notes.count(label) == 3
    settings = ("check", few, "--anchor", "annika")
    assert f"     3 {label}" in "\n".join(said(capsys, 3, *settings, *flags))
    assert run_here(*where, "--tag_clothing") == 0
    assert label not in [note["problem"] for note in report_of(few)["notes"]]
    assert said(capsys, 0, *settings, "--tag_clothing")[-1] == "no problems found"


def prompts(server: ChatServer) -> set[str]:
    """The system messages that were sent."""
    return {request["messages"][0]["content"] for request in server.requests}


def test_rules_of_ones_own_end_up_in_the_prompt_whatever_their_encoding(
    few: Path, server: ChatServer
) -> None:
    write(Path("rules.txt"), "- say “café”, not “bar”\r\n\r\nname the day\r\n".encode("cp1252"))
    caption_all(few, server, "--rules", "rules.txt")
    (prompt,) = prompts(server)
    assert "where one above says otherwise:\n- say “café”, not “bar”\n- name the day\n" in prompt


def test_rules_of_ones_own_are_appended_to_a_system_prompt_of_ones_own(
    few: Path, server: ChatServer
) -> None:
    write(Path("rules.txt"), "name the day")
    write(Path("mine.txt"), "Merge.")
    caption_all(few, server, "--rules", "rules.txt", "--system_prompt", "mine.txt")
    assert prompts(server) == {"Merge.\n- name the day"}


def test_rules_that_changed_merge_anew_and_a_file_that_only_moved_does_not(
    few: Path, server: ChatServer
) -> None:
    write(Path("rules.txt"), "name the day")
    write(Path("same.txt"), "name the day")
    assert caption_all(few, server, "--rules", "rules.txt") == 3
    assert caption_all(few, server, "--rules", "same.txt") == 0
    write(Path("rules.txt"), "name the hour")
    assert caption_all(few, server, "--rules", "rules.txt") == 3


@pytest.mark.parametrize(("content", "why"), [(None, "there is no such file"), ("\n", "is empty")])
def test_a_file_of_rules_that_cannot_be_used_is_refused(
    few: Path, capsys: pytest.CaptureFixture[str], content: str | None, why: str
) -> None:
    if content is not None:
        write(Path("rules.txt"), content)
    line = refusal(capsys, "--dataset_dir", few, "--model", few, "--rules", "rules.txt")
    assert "--rules rules.txt: " in line
    assert why in line


def test_of_a_line_that_names_several_traits_those_that_are_not_allowed_stay() -> None:
    allowed = read_policy("character", allow=("hair", "body")).system("annika")
    assert "\n- eyes, face\n" in allowed
    assert labels(CAPTION, allow=("hair", "clothing")) == []


def test_a_word_that_must_never_stand_is_told_to_the_model_and_found() -> None:
    policy = read_policy("character", never=("looking to the left", "hat"))
    assert "looking to the left, hat" in policy.system("annika")
    found = check(
        "a close up of annika, looking to the left",
        lora_type="character",
        anchor="annika",
        options=CleanOptions(never=("looking to the left", "hat")),
    )
    assert [(problem.label, problem.where) for problem in found] == [
        ("forbidden_words", "looking to the left")
    ]


@pytest.mark.parametrize("lora_type", TYPES)
def test_every_word_that_a_policy_leaves_out_is_found_by_the_checker(lora_type: str) -> None:
    words = read_words()
    for name in read_policy(lora_type).omits:
        trait = words.traits[name]
        for word in trait.alone:
            found = check(f"in a wide shot {word} of zqx", lora_type=lora_type, anchor="zqx")
            assert trait.label in [problem.label for problem in found], (name, word)
        look = "pointed" if name == "face" else "red"  # a red nose may be of the day
        for noun in (*trait.nouns, *trait.worn):
            caption = f"a wide shot with {look} {noun} of zqx"
            found = check(caption, lora_type=lora_type, anchor="zqx")
            assert trait.label in [problem.label for problem in found], (name, noun)


@pytest.mark.parametrize("lora_type", TYPES)
def test_words_to_leave_out_pass_within_the_anchor(lora_type: str) -> None:
    for name in read_policy(lora_type).omits:
        for word in read_words().traits[name].alone:
            caption = f"a wide shot of {word} walking slowly to the left. Then, a pause"
            found = check(caption, lora_type=lora_type, anchor=word)
            assert not [p for p in found if p.label.startswith("describes")], word


def test_a_trait_that_is_none_is_refused_with_the_names_of_all(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys, "check", few, "--allow", "hairs")
    assert "--allow hairs" in line
    assert "clothing" in line


def test_allowed_traits_come_from_every_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "allow: [hair, face]  # flag" in printed(capsys, "--allow", "hair, face")
    monkeypatch.setenv("ENHANCE_NEVER", "glasses,neck tattoo")
    assert "never: [glasses, neck tattoo]  # environment" in printed(capsys)
    settings = tmp_path / "mine.yaml"
    write(settings, "policy:\n  allow: [hair, eyes]\n  never: [in the rain]\n")
    monkeypatch.delenv("ENHANCE_NEVER")
    told = printed(capsys, "--config", settings)
    assert f"allow: [hair, eyes]  # {settings}" in told
    assert f"never: [in the rain]  # {settings}" in told


def test_a_trait_allowed_later_merges_and_cleans_anew(few: Path, server: ChatServer) -> None:
    flags = ("--lora_type", "character")
    assert caption_all(few, server, *flags) == 3
    assert caption_all(few, server, *flags) == 0
    assert caption_all(few, server, *flags, "--allow", "clothing") == 3


CREATURE = """
what = "a creature"
describe = ["what it does"]
omit = [{{ say = "its looks", traits = {traits} }}, "the weather"]
sentences = [1, 1]
forbidden = ["cute"]
insert = "subject"
"""


def creature(folder: Path, traits: str) -> Path:
    types = folder / "types"
    types.mkdir()
    write(types / "creature.toml", CREATURE.format(traits=traits))
    write(types / "creature.j2", '{% extends "base.j2" %}')
    return types


def test_a_type_of_ones_own_leaves_out_traits_by_name(tmp_path: Path) -> None:
    types = str(creature(tmp_path, '["hair"]'))
    prompt = read_policy("creature", types).system("grumbo")
    assert (
        "- its looks\n- the weather\n- these words, unless they are part of the anchor: cute"
        in (prompt)
    )
    found = check(
        "grumbo with black fur, a cute blonde in the rain",
        lora_type="creature",
        anchor="grumbo",
        options=CleanOptions(prompts_dir=types),
    )
    assert [(problem.label, problem.where) for problem in found] == [
        ("describes_appearance", "black fur"),
        ("describes_appearance", "blonde"),
        ("forbidden_words", "cute"),
    ]


def test_a_type_of_ones_own_that_names_an_unknown_trait_is_refused(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types = creature(tmp_path, '["feathers"]')
    capsys.readouterr()
    assert run_here("check", few, "--lora_type", "creature", "--prompts_dir", types) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "creature.toml" in line
    assert "'feathers' is none of: hair" in line


def test_the_vocabulary_is_no_lora_type(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, "check", few, "--lora_type", "words")
    assert line.endswith("is none of: character, motion, object, style")
