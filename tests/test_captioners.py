"""Every captioner family, on its tiny trained checkpoint: the right draft for each picture."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from doors import FLORENCE, REPOSITORY, TWO_RANKS, draw_scenes, report_of, run, run_here
from few import write
from loopback import ChatServer
from scenes import MORE_DETAILED, Scene, all_scenes, caption, draw, held_out, save
from tiny_qwen import save_tiny_qwen

from stages.captioners import Attempt, Request, Settings, family_named, family_of
from stages.checkpoint import Checkpoint
from stages.media import open_image
from stages.text import whole

MODELS = REPOSITORY / "examples" / "models"
JANUS, JOYCAPTION = MODELS / "janus-shapes", MODELS / "joycaption-shapes"
CHATS = [JANUS, JOYCAPTION]
NAMES = [f"{number:02} étude.{('png', 'jpg', 'webp')[number % 3]}" for number in range(16)]

# Prompts of different length, by the name of the file; the short one is answered shortly.
BY_NAME = (
    '{% if name[1] in "0369" %}Describe this image in one sentence.'
    '{% elif name[1] in "147" %}Describe this image in detail. Tell which shapes there are, what '
    "colour each of them has, and how they stand to each other in the picture."
    "{% else %}What do you see?{% endif %}"
)
TASK_BY_NAME = (
    '{% if name[1] in "0369" %}<CAPTION>{% elif name[1] in "147" %}<MORE_DETAILED_CAPTION>'
    "{% else %}<DETAILED_CAPTION>{% endif %}"
)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, dict[str, Scene]]:
    """Sixteen scenes of shapes and sizes of their own, and what each of them is. Drawn with a seed
    of which the models know all: of others they miss two or four in a hundred."""
    generator = random.Random(3)
    unseen = [scene for scene in all_scenes() if held_out(scene)]
    chosen = dict(zip(NAMES, generator.sample(unseen, len(NAMES)), strict=True))
    folder = tmp_path / "pictures of shapes"
    folder.mkdir()
    for name, scene in chosen.items():
        save(draw(scene, generator), folder / name)
    return folder, chosen


def drafts(folder: Path) -> dict[str, str]:
    """The drafts by the name of their picture."""
    endings = {path.stem: path.name for path in folder.iterdir() if path.suffix != ".txt"}
    return {
        endings[path.name.removesuffix("_generated.txt")]: path.read_text("utf-8")
        for path in folder.glob("*_generated.txt")
    }


def draft(folder: Path, model: Path, *more: object) -> dict[str, str]:
    flags = ("--dataset_dir", folder, "--model_id", model, "--until", "generated")
    assert run_here(*flags, *more) == 0
    return drafts(folder)


def asked(model: Path) -> str:
    return TASK_BY_NAME if model == FLORENCE else BY_NAME


def expected(model: Path, scenes: dict[str, Scene]) -> dict[str, str]:
    """What each picture's own prompt asks for."""
    result = {}
    for name, scene in scenes.items():
        if name[1] in "0369":
            result[name] = caption(scene, "<CAPTION>")
        elif model == FLORENCE and name[1] in "258":
            result[name] = caption(scene, "<DETAILED_CAPTION>")
        else:
            result[name] = caption(scene, MORE_DETAILED)
    return result


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("model", [FLORENCE, *CHATS], ids=lambda model: model.name)
def test_each_picture_gets_its_own_caption_in_batches_of_any_size(
    pictures: tuple[Path, dict[str, Scene]], model: Path, size: int
) -> None:
    folder, scenes = pictures
    found = draft(folder, model, "--batch_size", size, "--prompt", asked(model), "--temperature", 0)
    assert found == expected(model, scenes)


@pytest.mark.parametrize("model", [FLORENCE, *CHATS], ids=lambda model: model.name)
def test_the_order_of_the_files_changes_nothing(
    pictures: tuple[Path, dict[str, Scene]], model: Path, tmp_path: Path
) -> None:
    folder, scenes = pictures
    others = tmp_path / "others"
    others.mkdir()
    shuffled = dict(zip(scenes, random.Random(4).sample(NAMES, len(NAMES)), strict=True))
    for name, other in shuffled.items():
        # Its number tells the prompt, so that stays.
        shutil.copy(folder / name, others / f"{other[0]}{name[1]}{other[0]} {name}")
    more = ("--batch_size", 5, "--prompt", asked(model), "--temperature", 0)
    right = expected(model, scenes)
    assert {name[4:]: text for name, text in draft(others, model, *more).items()} == right


@pytest.mark.parametrize("model", CHATS, ids=lambda model: model.name)
def test_two_processes_draft_what_one_does(
    pictures: tuple[Path, dict[str, Scene]], model: Path
) -> None:
    folder, scenes = pictures
    flags = ("--dataset_dir", folder, "--model_id", model, "--until", "generated")
    more = ("--prompt", asked(model), "--temperature", 0)
    done = run(*flags, *more, launcher=TWO_RANKS)
    assert done.returncode == 0, done.stderr
    assert drafts(folder) == expected(model, scenes)


@pytest.mark.parametrize("model", CHATS, ids=lambda model: model.name)
@pytest.mark.parametrize("lora_type", ["character", "style"])
def test_the_default_prompt_is_answered_with_the_scene(
    pictures: tuple[Path, dict[str, Scene]], model: Path, lora_type: str
) -> None:
    folder, scenes = pictures
    found = draft(folder, model, "--lora_type", lora_type, "--temperature", 0)
    assert found == {name: caption(scene, MORE_DETAILED) for name, scene in scenes.items()}


def test_joycaption_samples_as_its_author_advises_and_is_mostly_right(
    pictures: tuple[Path, dict[str, Scene]],
) -> None:
    folder, scenes = pictures
    found = draft(folder, JOYCAPTION, "--prompt", "Describe this image.")
    right = {name: caption(scene, MORE_DETAILED) for name, scene in scenes.items()}
    assert sum(found[name] == right[name] for name in NAMES) >= 13


@pytest.mark.parametrize("model", CHATS, ids=lambda model: model.name)
def test_a_hot_temperature_makes_other_drafts(
    pictures: tuple[Path, dict[str, Scene]], model: Path
) -> None:
    folder, scenes = pictures
    flags = ("--prompt", "Describe this image.", "--max_new_tokens", 40)
    wild = draft(folder, model, *flags, "--temperature", 2, "--top_p", 1, "--top_k", 0)
    assert wild != {name: caption(scene, MORE_DETAILED) for name, scene in scenes.items()}
    tame = draft(folder, model, *flags, "--temperature", 2, "--top_k", 1)
    assert tame == {name: caption(scene, MORE_DETAILED) for name, scene in scenes.items()}


def test_the_captioner_for_anything_else_asks_by_the_models_own_chat_template(
    pictures: tuple[Path, dict[str, Scene]],
) -> None:
    folder, scenes = pictures
    more = ("--captioner", "image_text", "--prompt", BY_NAME, "--batch_size", 6)
    assert draft(folder, JANUS, *more) == expected(JANUS, scenes)


def test_a_model_of_another_family_answers_in_a_batch_as_it_does_alone(
    pictures: tuple[Path, dict[str, Scene]], tmp_path: Path
) -> None:
    # Its pictures keep their own shape, and its processor wants torchvision for videos.
    checkpoint = Checkpoint(str(save_tiny_qwen(tmp_path / "qwen")))
    family = family_of(checkpoint)
    assert family is family_named("image_text")
    captioner = family.Captioner(checkpoint, Settings("cpu", max_new_tokens=12))
    folder, scenes = pictures
    requests = [
        Request(
            open_image(folder / name, captioner.size), f"Describe {name} {'at length ' * place}"
        )
        for place, name in enumerate(list(scenes)[:6])
    ]
    captioner.check("What do you see?")
    together = [answer.text for answer in captioner(requests, Attempt())]
    alone = [captioner([request], Attempt())[0].text for request in requests]
    assert together == alone
    assert len(set(together)) > 1


def test_a_model_whose_chat_takes_no_picture_is_refused_in_one_line(
    pictures: tuple[Path, dict[str, Scene]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = pictures
    flags = ("--dataset_dir", folder, "--until", "generated", "--captioner", "image_text")
    assert run_here(*flags, "--model_id", JOYCAPTION) == 4
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "enhance:" in line]
    assert "chat template" in line
    assert "--captioner" in line


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("model", CHATS, ids=lambda model: model.name)
def test_the_precision_changes_no_caption(
    pictures: tuple[Path, dict[str, Scene]], model: Path, dtype: str
) -> None:
    folder, scenes = pictures
    more = ("--prompt", asked(model), "--temperature", 0, "--attn_implementation", "eager")
    found = draft(folder, model, "--dtype", dtype, *more)
    right = expected(model, scenes)
    assert sum(found[name] == right[name] for name in NAMES) >= 15


def test_a_quantized_model_captions_and_its_eyes_stay_whole(
    pictures: tuple[Path, dict[str, Scene]],
) -> None:
    pytest.importorskip("bitsandbytes")
    from stages.vlm import kept_whole

    folder, scenes = pictures
    found = draft(folder, FLORENCE, "--quantize", "8bit", "--prompt", TASK_BY_NAME)
    right = expected(FLORENCE, scenes)
    assert sum(found[name] == right[name] for name in NAMES) >= 15
    for model in (FLORENCE, *CHATS):
        kept = kept_whole(Checkpoint(str(model)))
        assert "lm_head" in kept
        assert "model.language_model" not in kept
        assert all(name.startswith("model.") for name in kept if "vis" in name or "vq" in name)


def test_without_bitsandbytes_the_line_to_install_it_is_told(
    pictures: tuple[Path, dict[str, Scene]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = pictures
    done = run(
        *("--dataset_dir", folder, "--model_id", FLORENCE, "--until", "generated"),
        *("--quantize", "4bit"),
        env={"PYTHONPATH": f"{without(folder.parent, 'bitsandbytes')}:{REPOSITORY}"},
    )
    assert done.returncode == 4
    assert 'pip install "enhance-captions[quantize]"' in done.stderr.splitlines()[-1]


def without(folder: Path, package: str) -> Path:
    """A folder for PYTHONPATH under which a package is not found."""
    write(
        folder / "sitecustomize.py",
        f"import importlib.util as u\nfind = u.find_spec\n"
        f"u.find_spec = lambda name, *more: None if name == {package!r} else find(name, *more)\n",
    )
    return folder


def test_a_prompt_may_be_a_file_and_use_what_is_known_of_each_picture(tmp_path: Path) -> None:
    folder = tmp_path / "10_annika"
    right = draw_scenes(folder, ["one.png", "two.png"])
    write(folder / "one.txt", "a drawing in one sentence")
    prompt = tmp_path / "prompt.txt"
    write(prompt, "{% if manual %}{{ manual }}{% else %}{{ folder }} {{ name }}{% endif %}\n")
    found = draft(folder, JANUS, "--prompt", prompt)
    phrase = (
        right["one.png"].removeprefix("The image shows ").removesuffix(" on a grey background.")
    )
    assert found == {"one.png": phrase, "two.png": right["two.png"]}


def test_a_changed_manual_caption_drafts_anew_only_where_the_prompt_uses_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "few"
    draw_scenes(folder, ["one.png", "two.png"])
    write(folder / "one.txt", "a drawing")
    for prompt, made in (("{{ manual }} What do you see?", 1), ("What do you see?", 0)):
        write(folder / "one.txt", "a drawing")
        draft(folder, JANUS, "--prompt", prompt, "--overwrite", "generated")
        write(folder / "one.txt", "a scribble")
        draft(folder, JANUS, "--prompt", prompt)
        assert report_of(folder)["stages"]["generated"].get("done", 0) in (made, 2)
        counts = report_of(folder)["stages"]["generated"]
        assert (counts.get("done", 0) == 1) == bool(made)


def test_a_caption_that_holds_the_models_own_marks_is_only_text(tmp_path: Path) -> None:
    folder = tmp_path / "few"
    right = draw_scenes(folder, ["one.png", "two.png"])
    for mark in ("<image_placeholder><|reserved_special_token_69|>", "<image>"):
        write(folder / "one.txt", f"see {mark} here")
        for model in CHATS:
            more = ("--prompt", "What do you see? {{ manual }}", "--temperature", 0)
            found = draft(folder, model, *more, "--overwrite", "generated")
            assert found == right


@pytest.mark.parametrize(
    ("prompt", "told"),
    [("{{ who }}", "who"), ("{% if %}", "--prompt"), ("{{ manual.nothing }}", "nothing")],
)
def test_a_template_that_cannot_be_rendered_ends_the_run_at_once(
    pictures: tuple[Path, dict[str, Scene]],
    capsys: pytest.CaptureFixture[str],
    prompt: str,
    told: str,
) -> None:
    folder, _ = pictures
    flags = ("--dataset_dir", folder, "--model_id", JANUS, "--until", "generated")
    assert run_here(*flags, "--prompt", prompt) == 2
    error = capsys.readouterr().err
    assert "--prompt" in error
    assert told in error
    assert not drafts(folder)


@pytest.mark.parametrize("model", CHATS, ids=lambda model: model.name)
def test_a_draft_that_needs_more_room_is_asked_for_again_and_comes_whole(
    pictures: tuple[Path, dict[str, Scene]], model: Path
) -> None:
    folder, scenes = pictures
    more = ("--prompt", asked(model), "--temperature", 0, "--max_new_tokens", 14)
    assert draft(folder, model, *more) == expected(model, scenes)
    counts = report_of(folder)["stages"]["generated"]
    assert counts["repairs"] == counts["repaired"] > 0


def test_a_draft_that_stays_cut_off_is_told_and_never_passed_on_as_whole(
    tmp_path: Path, server: ChatServer
) -> None:
    folder = tmp_path / "few"
    draw_scenes(folder, ["one.png", "two.png"])
    write(folder / "one.txt", "made for Otto")
    flags = ("--dataset_dir", folder, "--model_id", JANUS, "--prompt", "What do you see?")
    assert run_here(*flags, "--max_new_tokens", 4, "--base_url", server.url) == 0
    report = report_of(folder)
    counts = report["stages"]["generated"]
    assert (counts["done"], counts["repairs"], counts.get("repaired", 0)) == (2, 2, 0)
    assert report["notes"][0]["problem"] == "truncated"
    assert (folder / "one_generated.txt").read_text().startswith("The")
    (asked,) = [body["messages"][-1]["content"] for body in server.requests]
    assert "made for Otto" in asked
    assert "<draft>" not in asked
    (row,) = report["failed"]
    assert row["file"] == "two.png"
    assert "cut off" in row["reason"]


def test_of_a_cut_draft_the_language_model_sees_what_is_whole() -> None:
    assert whole("A red kite. It is above the", "length") == "A red kite."
    assert whole("1girl, solo, long hai", "length") == "1girl, solo"
    assert whole("a red ki", "length") == ""
    assert whole("<think>A kite?</think>A red kite", "stop") == "A red kite"


def test_a_model_that_runs_in_circles_is_asked_once_more_and_then_listed(
    pictures: tuple[Path, dict[str, Scene]], tmp_path: Path
) -> None:
    folder, _ = pictures
    stuck = repeating(JANUS, tmp_path / "stuck")
    more = ("--prompt", "What do you see?", "--max_new_tokens", 60, "--temperature", 0)
    assert draft(folder, stuck, *more) == {}
    report = report_of(folder)
    counts = report["stages"]["generated"]
    assert (counts["repairs"], counts.get("repaired", 0)) == (16, 0)
    assert {row["file"] for row in report["needs_a_person"]} == set(NAMES)
    assert {*report["needs_a_person"][0]["problems"]} <= {"loop", "garbage"}


def test_hidden_marks_without_end_are_circles_too(
    pictures: tuple[Path, dict[str, Scene]], tmp_path: Path
) -> None:
    folder, _ = pictures
    stuck = repeating(JOYCAPTION, tmp_path / "stuck")
    more = ("--prompt", "What do you see?", "--max_new_tokens", 60, "--temperature", 0)
    draft(folder, stuck, *more)
    # The second answer is sampled, so that it may be anything.
    assert report_of(folder)["stages"]["generated"]["repairs"] == 16


def repeating(model: Path, folder: Path) -> Path:
    """A copy of a model that always says the same word: nothing it sees or read reaches its end."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if "language_model" in name and ("o_proj" in name or "down_proj" in name):
            weights[name] = weight * 0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_model_is_known_by_its_type_and_a_text_model_is_refused(
    pictures: tuple[Path, dict[str, Scene]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = pictures
    flags = ("--dataset_dir", folder, "--until", "generated")
    assert run_here(*flags, "--model_id", MODELS / "chat-shapes") == 4
    error = capsys.readouterr().err
    assert "takes no picture and text together" in error
    assert "florence-community/Florence-2-large-ft" in error


def test_a_model_with_code_of_its_own_says_what_to_do_and_why(
    pictures: tuple[Path, dict[str, Scene]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = pictures
    own = tmp_path / "own"
    own.mkdir()
    code = {"AutoConfig": "code.Own", "AutoModelForImageTextToText": "code.Model"}
    write(own / "config.json", json.dumps({"model_type": "own", "auto_map": code}))
    write(own / "code.py", f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert run_here("--dataset_dir", folder, "--model_id", own, "--until", "generated") == 4
    error = capsys.readouterr().err
    assert "--trust_remote_code" in error
    assert "anything on this machine" in error
    assert not (tmp_path / "ran").exists()


def test_captioners_are_listed_with_models_memory_and_licence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_here("captioners") == 0
    out = capsys.readouterr().out
    for part in ("florence2", "image_text", "janus", "joycaption", "GB", "MIT", "Llama 3.1"):
        assert part in out


def test_wishes_of_a_model_that_takes_none_are_refused(
    pictures: tuple[Path, dict[str, Scene]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = pictures
    flags = ("--dataset_dir", folder, "--until", "generated", "--model_id", FLORENCE)
    assert run_here(*flags, "--caption_type", "Descriptive") == 2
    assert "--caption_type" in capsys.readouterr().err


@pytest.mark.parametrize("prompt", ["question.txt", "prompts/question", "prompt.j2"])
def test_a_prompt_file_that_is_not_there_is_not_asked_as_a_question(
    pictures: tuple[Path, dict[str, Scene]], capsys: pytest.CaptureFixture[str], prompt: str
) -> None:
    folder, _ = pictures
    flags = ("--dataset_dir", folder, "--model_id", JANUS, "--until", "generated")
    assert run_here(*flags, "--prompt", prompt) == 2
    assert f"--prompt {prompt}: there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("prompt", ["{{ 1/0 }}", "{{ anchor + 1 }}", "{{ name.split('-')[1] }}"])
def test_a_template_that_fails_on_a_file_names_it(
    pictures: tuple[Path, dict[str, Scene]], capsys: pytest.CaptureFixture[str], prompt: str
) -> None:
    folder, _ = pictures
    flags = ("--dataset_dir", folder, "--model_id", JANUS, "--until", "generated")
    assert run_here(*flags, "--prompt", prompt) == 2
    assert NAMES[0] in capsys.readouterr().err


def test_where_a_template_makes_nothing_the_captioners_own_prompt_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "few"
    right = draw_scenes(folder, ["one.png", "two.png"])
    write(folder / "one.txt", "What do you see?")
    assert draft(folder, JANUS, "--prompt", "{{ manual }}") == right
    assert draft(folder, FLORENCE, "--prompt", "  ", "--overwrite", "generated") == right


@pytest.mark.parametrize(
    ("model", "captioner"),
    [(JOYCAPTION, "florence2"), (JANUS, "joycaption"), (FLORENCE, "joycaption")],
)
def test_a_captioner_that_the_model_is_not_made_for_ends_the_run_at_once(
    pictures: tuple[Path, dict[str, Scene]],
    capsys: pytest.CaptureFixture[str],
    model: Path,
    captioner: str,
) -> None:
    folder, _ = pictures
    flags = ("--dataset_dir", folder, "--model_id", model, "--until", "generated")
    more = ("--captioner", captioner, "--prompt", "What is in {{ name }}?")
    assert run_here(*flags, *more) == 4
    error = capsys.readouterr().err
    assert captioner in error
    assert "--captioner" in error
    assert not drafts(folder)


def broken_weights(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    write(folder / "model.safetensors", weights[: len(weights) // 2])


def broken_tokenizer(folder: Path) -> None:
    write(folder / "tokenizer.json", '{"a": 1}')


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


@pytest.mark.parametrize("harm", [broken_weights, broken_tokenizer, no_template])
def test_a_model_whose_files_are_not_whole_ends_the_run_and_blames_no_picture(
    pictures: tuple[Path, dict[str, Scene]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Path], None],
) -> None:
    folder, _ = pictures
    shutil.copytree(JOYCAPTION, tmp_path / "broken")
    harm(tmp_path / "broken")
    flags = ("--dataset_dir", folder, "--until", "generated")
    assert run_here(*flags, "--model_id", tmp_path / "broken") == 4
    error = capsys.readouterr().err
    assert str(tmp_path / "broken") in error
    assert not any(name in error for name in NAMES)


def test_a_caption_too_long_for_the_prompt_costs_its_own_file_alone(tmp_path: Path) -> None:
    folder = tmp_path / "few"
    right = draw_scenes(folder, ["one.png", "two.png"])
    write(folder / "one.txt", "a long manual text, " * 400)
    write(folder / "two.txt", "an <image> in it")
    prompt = "{% if name == 'one' %}{{ manual }}{% else %}<MORE_DETAILED_CAPTION>{% endif %}"
    assert draft(folder, FLORENCE, "--prompt", prompt) == {"two.png": right["two.png"]}
    (row,) = report_of(folder)["failed"]
    assert row["file"] == "one.png"
    assert "too long" in row["reason"]
    # A mark of a picture in a caption is no picture.
    draft(folder, FLORENCE, "--prompt", "Say: {{ manual[:30] }}")
    assert not report_of(folder)["failed"]


def test_a_model_folder_is_one_however_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "few"
    draw_scenes(folder, ["one.png"])
    draft(folder, FLORENCE)
    monkeypatch.chdir(REPOSITORY)
    for spelled in ("examples/models/florence2-shapes", "./examples/models/florence2-shapes/"):
        assert run_here("--dataset_dir", folder, "--model_id", spelled, "--until", "generated") == 0
        assert "repairs" not in report_of(folder)["stages"]["generated"]
    lines = (folder / ".enhance" / "journal.0.jsonl").read_text().splitlines()
    made = [one for one in map(json.loads, lines) if "_generated.txt" in str(one.get("path"))]
    assert len([one for one in made if "hash" in one]) == 1
