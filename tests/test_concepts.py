"""Several concepts in one dataset: a caption.toml decides for the files in its folder and below."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doors import CHAT, FLORENCE, draw_scenes, finals, report_of, run_here, snapshot, with_server
from few import changed, refusal, said, texts, write
from loopback import Answer, ChatServer, merge, texts_of

ANNIKA = 'anchor = "annika"\nlora_type = "character"\n'
SWORD = 'anchor = "crystal sword"\nlora_type = "object"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as kohya's trainers read it: two concepts, and a picture outside of both."""
    folder = tmp_path / "tree"
    names = ["10_annika/a.png", "10_annika/b.png", "5_sword/c.png", "d.png"]
    draw_scenes(folder, names)
    write(folder / "10_annika" / "caption.toml", ANNIKA)
    write(folder / "5_sword" / "caption.toml", SWORD)
    return folder


def caption(tree: Path, server: ChatServer, *more: str) -> int:
    """Captions the tree; how many requests that took."""
    before = len(server.requests)
    assert run_here("--dataset_dir", tree, *with_server(server), *more) == 0
    return len(server.requests) - before


def systems(server: ChatServer) -> dict[str, set[str]]:
    """The system messages by the anchor that was sent with them."""
    found: dict[str, set[str]] = {}
    for request in server.requests:
        system = request["messages"][0]["content"]
        found.setdefault(texts_of(request)["anchor"], set()).add(system)
    return found


def test_one_run_captions_each_folder_by_its_own_concept(tree: Path, server: ChatServer) -> None:
    assert caption(tree, server) == 4
    anchors = {name: text.split(" in ")[-1] for name, text in finals(tree).items()}
    assert anchors == {
        "10_annika/a": "annika",
        "10_annika/b": "annika",
        "5_sword/c": "crystal sword",
        "d": "cutout style",
    }
    found = systems(server)
    assert {anchor: len(texts) for anchor, texts in found.items()} == {
        "annika": 1,
        "crystal sword": 1,
        "cutout style": 1,
    }
    assert "LoRA of a character" in found["annika"].pop()
    assert "LoRA of an object" in found["crystal sword"].pop()
    assert "LoRA of a visual style" in found["cutout style"].pop()


def test_a_second_run_changes_nothing(tree: Path, server: ChatServer) -> None:
    caption(tree, server)
    before = snapshot(tree)
    probes = server.probes
    assert caption(tree, server) == 0
    assert snapshot(tree) == before
    assert server.probes == probes


def test_the_run_says_which_concepts_there_are_and_so_does_its_report(
    tree: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree / "5_sword" / "caption.toml", f'{SWORD}allow = ["background"]\n')
    caption(tree, server)
    told = capsys.readouterr().err.splitlines()
    assert "10_annika/: anchor annika, character, from caption.toml" in told
    assert "5_sword/: anchor crystal sword, object, allow (background), from caption.toml" in told
    report = report_of(tree)
    assert report["settings"]["anchor"] == {"value": "cutout style", "from": "flag"}
    assert report["concepts"] == [
        {
            "folder": "10_annika/",
            "from": ["10_annika/caption.toml"],
            "files": 2,
            "settings": {"anchor": "annika", "lora_type": "character"},
        },
        {
            "folder": "5_sword/",
            "from": ["5_sword/caption.toml"],
            "files": 1,
            "settings": {
                "anchor": "crystal sword",
                "lora_type": "object",
                "allow": ["background"],
            },
        },
    ]


def test_without_a_caption_toml_nothing_is_told_of_concepts(few: Path, server: ChatServer) -> None:
    caption(few, server)
    assert "concepts" not in report_of(few)


def test_the_nearest_file_wins_setting_by_setting(tree: Path, server: ChatServer) -> None:
    write(tree / "caption.toml", 'anchor = "outer"\nnever = ["hat"]\nmax_sentences = 1\n')
    draw_scenes(tree, ["10_annika/night/e.png"], seed=9)
    write(tree / "10_annika" / "night" / "caption.toml", "max_sentences = 5\n")
    assert caption(tree, server, "--never", "boot") == 5
    found = {anchor: texts for anchor, texts in systems(server).items() if anchor != "outer"}
    assert len(found["annika"]) == 2
    told = "".join(found["annika"])
    assert "Write 1 to 5 sentences" in told
    assert "Write 1 sentence in" in told
    assert "hat" in told
    assert "boot" not in told
    assert (tree / "d.txt").read_text().endswith("outer")


def test_a_caption_toml_is_no_caption(tree: Path, server: ChatServer) -> None:
    before = (tree / "10_annika" / "caption.toml").read_bytes()
    caption(tree, server)
    assert (tree / "10_annika" / "caption.toml").read_bytes() == before
    assert not list(tree.rglob("caption*.txt"))


def test_a_caption_toml_that_changes_reruns_its_own_files(tree: Path, server: ChatServer) -> None:
    caption(tree, server)
    before = texts(tree)
    write(tree / "10_annika" / "caption.toml", ANNIKA.replace("annika", "Ingrid"))
    assert caption(tree, server) == 2
    assert changed(before, texts(tree)) == {
        f"10_annika/{name}" for name in ("a.txt", "a_combined.txt", "b.txt", "b_combined.txt")
    }
    assert "Ingrid" in (tree / "10_annika" / "a.txt").read_text()


def test_a_caption_toml_that_comes_or_goes_reruns_what_depends_on_it(
    tree: Path, server: ChatServer
) -> None:
    caption(tree, server)
    before = texts(tree)
    (tree / "5_sword" / "caption.toml").unlink()
    assert caption(tree, server) == 1
    assert "cutout style" in (tree / "5_sword" / "c.txt").read_text()
    write(tree / "5_sword" / "caption.toml", SWORD)
    assert caption(tree, server) == 1
    assert texts(tree) == before


def test_a_caption_toml_that_says_what_the_flags_say_reruns_nothing(
    tree: Path, server: ChatServer
) -> None:
    caption(tree, server)
    write(tree / "caption.toml", 'anchor = "cutout style"\n\n[policy]\nlora_type = "style"\n')
    assert caption(tree, server) == 0


def test_rules_beside_a_caption_toml_are_found_from_there(tree: Path, server: ChatServer) -> None:
    write(tree / "10_annika" / "mine.txt", "name the day")
    write(tree / "10_annika" / "caption.toml", f'{ANNIKA}rules = "mine.txt"\n')
    caption(tree, server)
    assert "- name the day" in systems(server)["annika"].pop()
    assert "name the day" not in systems(server)["crystal sword"].pop()


def test_a_folder_may_do_without_drafts(tree: Path, server: ChatServer) -> None:
    write(tree / "10_annika" / "a.txt", "a close up of annika")
    (tree / "10_annika" / "b.png").unlink()
    write(tree / "10_annika" / "caption.toml", f"{ANNIKA}no_generate = true\n")
    assert caption(tree, server) == 3
    assert sorted(path.name for path in tree.rglob("*_generated.txt")) == [
        "c_generated.txt",
        "d_generated.txt",
    ]
    assert [texts_of(one)["draft"] for one in server.requests].count("") == 1
    assert report_of(tree)["stages"]["generated"]["skipped"] == 1


def test_a_folder_may_have_its_own_captioner_prompt(tree: Path, server: ChatServer) -> None:
    write(tree / "10_annika" / "caption.toml", f'{ANNIKA}prompt = "<CAPTION>"\n')
    caption(tree, server)
    drafts = {path.name[0]: path.read_text() for path in tree.rglob("*_generated.txt")}
    assert len(drafts["a"]) < len(drafts["c"])


def test_a_folder_may_have_its_own_model_and_the_others_keep_theirs(tree: Path) -> None:
    with ChatServer(models=("small", "large")) as server:
        write(tree / "10_annika" / "caption.toml", f'{ANNIKA}[merge]\nmodel = "large"\n')
        caption(tree, server, "--model", "small")
        models = {texts_of(one)["anchor"]: one["model"] for one in server.requests}
        assert models == {"annika": "large", "crystal sword": "small", "cutout style": "small"}


def test_a_server_that_no_file_needs_is_not_asked(tree: Path, server: ChatServer) -> None:
    with ChatServer() as other:
        own = f'{ANNIKA}base_url = "{other.url}"\n'
        write(tree / "10_annika" / "caption.toml", own)
        assert caption(tree, server) == 2
        assert len(other.requests) == 2
        asked = other.probes
        draw_scenes(tree, ["5_sword/new.png"], seed=11)
        assert caption(tree, server) == 1
        assert (other.probes, len(other.requests)) == (asked, 2)


def test_the_key_is_sent_to_no_server_that_only_a_caption_toml_names(
    tree: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-run")
    with ChatServer() as other:
        write(tree / "10_annika" / "caption.toml", f'{ANNIKA}base_url = "{other.url}"\n')
        caption(tree, server)
        assert len(other.headers) == 2
        assert "sk-of-the-run" not in str(other.headers)
        assert "sk-of-the-run" in str(server.headers)


def test_concepts_share_one_model_in_this_process(tree: Path) -> None:
    flags = ("--model_id", FLORENCE, "--model", CHAT, "--anchor", "cutout style")
    assert run_here("--dataset_dir", tree, *flags, "--lora_type", "style") == 0
    assert {text.split(" in ")[-1] for text in finals(tree).values()} >= {"annika", "cutout style"}


def test_a_failing_file_of_one_concept_costs_no_other(tree: Path, server: ChatServer) -> None:
    server.script = lambda number, body: (
        Answer("I'm sorry, I cannot help with that.")
        if texts_of(body)["anchor"] == "annika"
        else merge(number, body)
    )
    caption(tree, server)
    assert sorted(finals(tree)) == ["5_sword/c", "d"]
    assert [row["file"] for row in report_of(tree)["needs_a_person"]] == [
        "10_annika/a.png",
        "10_annika/b.png",
    ]


def test_a_dry_run_tells_concepts_and_plans_by_them(
    tree: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree / "10_annika" / "caption.toml", f"{ANNIKA}no_generate = true\n")
    capsys.readouterr()
    flags = ("--dataset_dir", tree, *with_server(server), "--dry_run")
    assert run_here(*flags) == 0
    told = capsys.readouterr()
    assert "10_annika/: anchor annika" in told.err
    assert "draft: 2 of 4 files would run" in told.out
    assert server.probes == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("ancor = 'x'", "did you mean --anchor?"),
        ("anchor = annika", "Invalid value"),
        ("limit = 3", "limit belongs to the run"),
        ("[load]\nrecursive = false", "recursive belongs to the run"),
        ("overwrite = ['final']", "overwrite belongs to the run"),
        ("trust_remote_code = true", "trust_remote_code belongs to the run"),
        ("max_cost = 3", "max_cost belongs to the run"),
        ("api_key = 'sk-1'", "keys belong into the environment"),
        ("config = 'x.yaml'", "cannot name another one"),
        ("lora_type = 'hobby'", "'hobby' is none of"),
        ("allow = ['hairs']", "hairs"),
        ("merge_temperature = 9", "merge_temperature"),
        ("max_sentences = 'few'", "few"),
        ("rules = 'nowhere.txt'", "there is no such file"),
        ("prompts_dir = 'nowhere'", "there is no such folder"),
        ('anchor = "two\\nlines"', "one line"),
    ],
)
def test_a_caption_toml_that_cannot_be_used_ends_the_run_with_its_name(
    tree: Path, capsys: pytest.CaptureFixture[str], content: str, why: str
) -> None:
    write(tree / "5_sword" / "caption.toml", content)
    before = snapshot(tree)
    for arguments in (("--dataset_dir", tree, "--model", tree), ("check", tree), ("clean", tree)):
        line = refusal(capsys, *arguments)
        assert "5_sword/caption.toml: " in line
        assert why in line
        assert "sk-1" not in line
    assert snapshot(tree) == before


def test_a_caption_toml_saved_by_an_old_editor_is_read(tree: Path, server: ChatServer) -> None:
    write(tree / "5_sword" / "caption.toml", 'anchor = "épée"\n'.encode("utf-8-sig"))
    write(tree / "10_annika" / "caption.toml", 'anchor = "Zoë"\n'.encode("cp1252"))
    caption(tree, server)
    assert set(systems(server)) == {"épée", "Zoë", "cutout style"}


def test_check_judges_each_file_and_each_set_by_its_concept(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree / "10_annika" / "a.txt", "a close up of annika in a red hat")
    write(tree / "10_annika" / "b.txt", "a close up of a crystal sword on a shelf")
    write(tree / "5_sword" / "c.txt", "a close up of a crystal sword on a shelf")
    write(tree / "d.txt", "a cat asleep in cutout style")
    flags = ("--anchor", "cutout style", "--lora_type", "style", "--format", "json")
    answer: dict[str, Any] = json.loads("\n".join(said(capsys, 3, "check", tree, *flags)))
    labels = {name: [row["label"] for row in rows] for name, rows in answer["files"].items()}
    assert labels == {
        "10_annika/a.png": ["describes_clothing"],
        "10_annika/b.png": ["missing_anchor"],
    }
    assert {name: one["captions"] for name, one in answer["sets"].items()} == {
        "": 1,
        "10_annika/": 2,
        "5_sword/": 1,
    }
    text = said(capsys, 3, "check", tree, *flags[:4])
    assert "10_annika/: the set of 2 captions" in text


def test_a_common_anchor_is_told_of_its_folder(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree / "10_annika" / "caption.toml", 'anchor = "girl"\n')
    write(tree / "10_annika" / "a.txt", "a close up of girl waving at the camera")
    answer = json.loads("\n".join(said(capsys, 3, "check", tree, "--format", "json")))
    assert [row["label"] for row in answer["files"]["10_annika/"]] == ["generic_anchor"]


def test_clean_cleans_each_file_by_its_concept(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree / "10_annika" / "a.txt", "a close up of the character Annika waving")
    write(tree / "5_sword" / "c.txt", "a close up of Crystal Sword on a shelf")
    assert said(capsys, 0, "clean", tree)[-1].startswith("2 cleaned")
    assert (tree / "10_annika" / "a.txt").read_text() == "a close up of annika waving"
    assert (tree / "5_sword" / "c.txt").read_text() == "a close up of crystal sword on a shelf"


def test_finals_are_known_by_their_concept_where_the_journal_was_deleted(
    tree: Path, server: ChatServer
) -> None:
    caption(tree, server)
    for path in (tree / ".enhance").iterdir():
        path.unlink()
    before = texts(tree)
    caption(tree, server)
    assert texts(tree) == before
    assert not list(tree.rglob("*_manual.txt"))


def test_show_tells_the_concept_of_a_file(
    tree: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption(tree, server)
    assert "  10_annika/: anchor annika, character, from caption.toml" in said(
        capsys, 0, "show", tree / "10_annika" / "a.png"
    )
    assert "caption.toml" not in "".join(said(capsys, 0, "show", tree / "d.png"))
