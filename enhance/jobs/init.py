"""`enhance init DIR`: writes a caption.toml, which says what a folder of images is to teach."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from enhance.concepts import FILE, check
from enhance.console import say
from enhance.disk import Writer
from enhance.flags import init_parser
from enhance.jobs.questions import ask, guess, type_of
from enhance.jobs.work import number
from enhance.ranks import Ranks
from stages.dataset import Layout, Options
from stages.policy import Options as PolicyOptions
from stages.sample import Fatal
from stages.scan import scan

_HEAD = """\
# What the images in this folder and below are to teach: read by `enhance`, not by trainers. The
# nearest caption.toml wins, line by line, over those above it and over flags. A # switches a line
# off; any setting of the prompt, of drafting and of merging may stand here.
"""
# What stands beside each setting, and as an example where it is not set.
_NOTES: dict[str, tuple[str, Any]] = {
    "anchor": ("the trigger words, exactly as you will prompt them", ""),
    "lora_type": ("character, style, motion, object, or one of your own", "character"),
    "tag_clothing": ("outfits vary, so captions tell them", True),
    "allow": ("other traits to describe: hair, eyes, face, body, background …", ["background"]),
    "never": ("words that captions must not hold", ["glasses", "neck tattoo"]),
    "max_sentences": ("longest caption", 2),
    "target_tokens": ("the trainer's text encoder, or how many tokens it reads", "clip"),
    "rules": ("rules of your own, one a line, in a text file beside this one", "rules.md"),
    "system_prompt": ("instructions of your own in place of all others", "prompt.md"),
    "prompts_dir": ("LoRA types of your own", "types"),
}
_FILES = {"rules": Path.is_file, "system_prompt": Path.is_file, "prompts_dir": Path.is_dir}


def main(argv: Sequence[str]) -> int:
    """0. Raises Fatal, status 2, for a folder or settings that cannot be used, where there is a
    caption.toml already, and where nobody can be asked for what is missing."""
    given = vars(init_parser(__doc__ or "").parse_args(argv))
    yes, overwrite = given.pop("yes", False), given.pop("overwrite", False)
    root = Layout.of(Options(dataset_dir=given.pop("folder"))).root
    given = {name: value for name, value in given.items() if value not in ("", [])}
    check(PolicyOptions(**_hashable(given)))
    named = "anchor" in given
    folders = _folders(root, one=named)
    if not named and not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Fatal(
            "--anchor is missing, and there is nobody to ask: give it, or --yes to take the "
            "anchors from the names of the folders",
            2,
        )
    if not overwrite:
        folders = _without_settings(folders, root)
    written = 0
    for folder, images in folders.items():
        settings = dict(given)
        if named:
            settings.setdefault("lora_type", type_of(given["anchor"]))
        else:
            found = _guessed(folder, given) if yes else _asked(folder, images, given)
            if found is None:
                say(f"{folder.name}/: left out")
                continue
            settings = found
        check(PolicyOptions(**_hashable(settings)))
        path = folder / FILE
        text = "".join(_lines(settings, folder))
        Writer(Ranks().launch, 0).write(path, text.encode("utf-8", "replace"), durable=True)
        say(f"wrote {path}: anchor {settings['anchor']}, {settings['lora_type']}")
        written += 1
    if not written:
        raise Fatal("nothing was written: --anchor names what the folder's name does not", 2)
    say("Read it, then see what a run would do:")
    say(f"  enhance --dataset_dir {shlex.quote(os.fspath(root))} --dry_run")
    return 0


def _folders(root: Path, one: bool) -> dict[Path, int]:
    """The folders that get a file, with how many images it is about: the root if it holds images
    or if `one` file is about all, else each topmost folder that holds some. Raises Fatal."""
    layout = Layout.of(Options(dataset_dir=os.fspath(root)))
    found = scan(layout.root, True, layout.extension)
    counts = Counter(map(Path, map(os.path.dirname, found.media)))
    if not counts:
        raise Fatal(f"there are no images in {root} or below", 2)
    if one or root in counts:
        return {root: counts.total()}
    tops = {folder for folder in counts if counts.keys().isdisjoint(folder.parents)}
    below: Counter[Path] = Counter()
    for folder, count in counts.items():
        below[next(up for up in (folder, *folder.parents) if up in tops)] += count
    return dict(sorted(below.items()))


def _without_settings(folders: Mapping[Path, int], root: Path) -> dict[Path, int]:
    """The folders without a caption.toml. Raises Fatal if all have one."""
    left = {folder: count for folder, count in folders.items() if not (folder / FILE).exists()}
    there = [os.fspath((folder / FILE).relative_to(root)) for folder in folders.keys() - left]
    if not left:
        many = f"{there[0]} is there" if len(there) == 1 else f"{len(there)} of them are there"
        raise Fatal(f"{root}: {many} already: edit it, or --overwrite replaces it", 2)
    if there:
        say(f"{number(len(there), 'folder')} with a {FILE} already: left as it is")
    return left


def _guessed(folder: Path, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the folder's name tells, or None."""
    anchor, lora_type = guess(folder.name)
    return {"anchor": anchor, "lora_type": lora_type, **given} if anchor else None


def _asked(folder: Path, images: int, given: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return ask(folder.name, images, given)
    except EOFError:
        say("")
        raise Fatal(f"{folder}: no answer, so no {FILE} is written there", 2) from None


def _lines(settings: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """The file: what is set, and what else may be, as comments."""
    yield _HEAD
    for name, (note, example) in _NOTES.items():
        if name in settings:
            yield f"\n# {note}\n{name} = {_toml(_relative(name, settings[name], folder))}\n"
        else:
            yield f"\n# {note}\n# {name} = {_toml(example)}\n"


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    # Strings are those of JSON, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _relative(name: str, value: Any, folder: Path) -> Any:
    """Paths from where the user stands as the file will read them: from its own folder.

    Raises Fatal if there is no such file or folder.
    """
    if name not in _FILES:
        return value
    place = Path(os.path.abspath(Path(value).expanduser()))
    if not _FILES[name](place):
        raise Fatal(f"--{name} {value}: there is no such thing", 2)
    return (place.relative_to(folder) if folder in place.parents else place).as_posix()


def _hashable(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
