"""One policy drives prompt and checker: what it leaves out, what a user allows, what never is."""

from __future__ import annotations

from pathlib import Path

import pytest
from doors import run_here
from few import caption_all, printed, refusal, write
from loopback import ChatServer

from stages.policy import read_policy, read_words
from stages.text import CleanOptions, check

TYPES = ("character", "style", "motion", "object")
CAPTION = "a close up of annika with red hair in a leather jacket, looking to the left"


def labels(caption: str, **options: tuple[str, ...]) -> list[str]:
    found = check(caption, lora_type="character", anchor="annika", options=CleanOptions(**options))
    return [problem.label for problem in found]


def test_an_allowed_trait_leaves_the_prompt_and_passes_the_checker() -> None:
    assert labels(CAPTION) == ["describes_appearance", "describes_clothing"]
    assert labels(CAPTION, allow=("clothing",)) == ["describes_appearance"]
    told = read_policy("character").system("annika")
    allowed = read_policy("character", allow=("clothing",)).system("annika")
    assert "- clothing that the character always wears\n" in told
    assert "clothing" not in allowed


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
        for noun in (*trait.nouns, *trait.worn):
            found = check(f"a wide shot with red {noun} of zqx", lora_type=lora_type, anchor="zqx")
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
