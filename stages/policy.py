"""A LoRA type's policy: what captions of that type describe and omit, and the prompt it makes.

`prompts/<type>.toml` holds the policy as data, `prompts/<type>.j2` its wording. One policy builds
the prompt and feeds the checker, so the two cannot disagree.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from stages.sample import Fatal

# The wheel ships the folder inside the package `enhance`; a checkout has it beside the packages.
_ROOT = Path(__file__).resolve().parent.parent
SHIPPED = next(
    (path for path in (_ROOT / "enhance" / "prompts", _ROOT / "prompts") if path.is_dir()),
    _ROOT / "prompts",
)

_FENCE = re.compile(r"<\s*/?\s*(?:person|draft|anchor)\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Options:
    """What the LoRA is to learn."""

    lora_type: str = field(
        default="character",
        metadata={"help": "character, style, motion, object, or one of your own --prompts_dir"},
    )
    anchor: str = field(
        default="", metadata={"help": "the trigger word or words, exactly as you will prompt them"}
    )
    prompts_dir: str = field(
        default="",
        metadata={"help": "folder searched before the shipped prompts", "metavar": "DIR"},
    )
    system_prompt: str = field(
        default="",
        metadata={"help": "text file that replaces the policy's instructions", "metavar": "FILE"},
    )


@dataclass(frozen=True)
class Policy:
    """One LoRA type, as its .toml says. Lengths are in sentences."""

    lora_type: str
    what: str
    describe: tuple[str, ...]
    omit: tuple[str, ...]
    sentences: tuple[int, int]
    framing: str  # "required" or "wanted"
    forbidden: tuple[str, ...]
    generic: tuple[str, ...]  # words too common to be an anchor of this type
    good: tuple[str, ...]
    bad: tuple[Mapping[str, str], ...]
    folders: tuple[str, ...]

    @cached_property
    def _environment(self) -> Environment:
        # Templates may come from users, captions always do: sandboxed, and captions reach the
        # template as values, never as source.
        return SandboxedEnvironment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in self.folders]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
        )

    def system(self, anchor: str) -> str:
        """The instructions: byte-identical for all files of a concept, so servers cache them."""
        return self._render("system", anchor=anchor)

    def user(self, anchor: str, manual: str, draft: str) -> str:
        """One file's texts, fenced as data; an empty text has no fence."""
        return self._render("user", anchor=anchor, manual=_unfenced(manual), draft=_unfenced(draft))

    @cached_property
    def wording(self) -> str:
        """Both messages over placeholders: changes when a template or the policy does."""
        return self.system("{anchor}") + self.user("{anchor}", "{manual}", "{draft}")

    def _render(self, message: str, **values: str) -> str:
        name = f"{self.lora_type}.j2"
        try:
            template = self._environment.get_template(name)
            return template.render(policy=self, message=message, **values).strip()
        except TemplateError as error:
            raise Fatal(f"prompt template {name}, {message} message: {error}") from None


def _unfenced(caption: str) -> str:
    """A caption cannot end its own fence and speak as instructions."""
    while (bare := _FENCE.sub("", caption)) != caption:  # one within another leaves a third
        caption = bare
    return caption.strip()


@cache
def read_policy(lora_type: str, prompts_dir: str = "") -> Policy:
    """The policy of a LoRA type. Raises Fatal if there is none or its file is malformed."""
    folders = [Path(prompts_dir).expanduser()] if prompts_dir else []
    if prompts_dir and not folders[0].is_dir():
        raise Fatal(f"--prompts_dir {prompts_dir}: there is no such folder", 2)
    folders.append(SHIPPED)
    for folder in folders:
        path = folder / f"{lora_type}.toml"
        if path.is_file():
            return _parse(lora_type, path, tuple(map(str, folders)))
    known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    raise Fatal(f"--lora_type {lora_type!r} is none of: {', '.join(known)}", 2)


def _parse(lora_type: str, path: Path, folders: tuple[str, ...]) -> Policy:
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        examples = data.get("examples", {})
        low, high = data["sentences"]
        return Policy(
            lora_type=lora_type,
            what=str(data["what"]),
            describe=tuple(data["describe"]),
            omit=tuple(data["omit"]),
            sentences=(int(low), int(high)),
            framing=str(data.get("framing", "wanted")),
            forbidden=tuple(data.get("forbidden", ())),
            generic=tuple(data.get("generic", ())),
            good=tuple(examples.get("good", ())),
            bad=tuple(examples.get("bad", ())),
            folders=folders,
        )
    except KeyError as error:
        raise Fatal(f"{path}: the policy lacks {error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise Fatal(f"{path}: {error}") from None
