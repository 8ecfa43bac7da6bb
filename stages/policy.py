"""A LoRA type's policy: what captions of that type describe and omit, and the prompt it makes.

`prompts/<type>.toml` holds the policy as data, `prompts/<type>.j2` its wording, and
`prompts/words.toml` the words by which a caption shows what it describes. One policy builds the
prompt and feeds the checker, so the two cannot disagree.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
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

_WORDS = "words.toml"
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
    allow: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "traits that captions may describe although their type leaves them out: hair, "
            "eyes, face, body, clothing, background, style …",
            "metavar": "TRAIT,…",
            "separator": ",",
        },
    )
    never: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "words or phrases that captions must not hold",
            "metavar": "WORD,…",
            "separator": ",",
        },
    )
    system_prompt: str = field(
        default="",
        metadata={"help": "text file that replaces the policy's instructions", "metavar": "FILE"},
    )


@dataclass(frozen=True, slots=True)
class Trait:
    """What a caption may say of a subject, a scene or a picture, and the words that show it.

    The fields are those of a `[traits.…]` table in prompts/words.toml, which explains them.
    """

    name: str
    label: str  # of the problem, where a policy leaves the trait out
    nouns: tuple[str, ...] = ()
    worn: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    say: bool = False
    of_anchor: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """prompts/words.toml: the vocabulary that all policies share."""

    looks: frozenset[str]
    degrees: frozenset[str]
    moving: frozenset[str]
    people: frozenset[str]
    many_people: frozenset[str]
    framing: frozenset[str]
    function: frozenset[str]
    carriers: frozenset[str]
    names_too: frozenset[str]
    traits: Mapping[str, Trait]


@dataclass(frozen=True)
class Policy:
    """One LoRA type, as its .toml says. Lengths are in sentences."""

    lora_type: str
    what: str
    describe: tuple[str, ...]
    omit: tuple[str, ...]
    omits: tuple[str, ...]  # the traits behind `omit`, by which the checker finds them
    sentences: tuple[int, int]
    fewest_words: int  # besides the anchor
    framing: str  # "required" or "wanted"
    insert: str  # how code may put in a missing anchor: "subject", "head", "in", "never"
    forbidden: tuple[str, ...]
    generic: tuple[str, ...]  # words too common to be an anchor of this type
    good: tuple[str, ...]
    bad: tuple[Mapping[str, str], ...]
    folders: tuple[str, ...]

    @cached_property
    def spelled(self) -> tuple[str, ...]:
        """Words that the prompt forbids one by one."""
        traits = read_words().traits
        said = [word for name in self.omits if traits[name].say for word in traits[name].alone]
        return (*said, *self.forbidden)

    @property
    def judges(self) -> tuple[object, ...]:
        """What the cleaner reads of it: a final made under another answer is cleaned anew."""
        return (
            *(self.omits, self.sentences, self.fewest_words, self.framing, self.insert),
            self.forbidden,
        )

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """Lines of the prompt, lower-case, that no caption says: an answer with one is an echo."""
        prompt = self.system("") + "\n" + self.user("", "{manual}", "{draft}")
        lines = (line.strip(" -.").lower() for line in prompt.splitlines())
        return tuple(line for line in lines if len(line) >= 30)

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
def read_words() -> Words:
    """The shared vocabulary, as shipped."""
    data = tomllib.loads((SHIPPED / _WORDS).read_text(encoding="utf-8"))
    traits = {
        name: Trait(name, **{key: _frozen(value) for key, value in table.items()})
        for name, table in data["traits"].items()
    }
    lists = {name: frozenset(words) for name, words in data.items() if name != "traits"}
    return Words(traits=traits, **lists)


def policy_of(options: Options) -> Policy:
    """The policy that the settings name. Raises Fatal as `read_policy` does."""
    return read_policy(options.lora_type, options.prompts_dir, options.allow, options.never)


@cache
def read_policy(
    lora_type: str, prompts_dir: str = "", allow: tuple[str, ...] = (), never: tuple[str, ...] = ()
) -> Policy:
    """The policy of a LoRA type. `allow` names traits that may be described all the same, `never`
    adds words. Raises Fatal if there is none or its file is malformed."""
    folders = [Path(prompts_dir).expanduser()] if prompts_dir else []
    if prompts_dir and not folders[0].is_dir():
        raise Fatal(f"--prompts_dir {prompts_dir}: there is no such folder", 2)
    folders.append(SHIPPED)
    for trait in allow:
        if trait not in read_words().traits:
            known = ", ".join(read_words().traits)
            raise Fatal(f"--allow {trait}: is none of {known}", 2)
    for folder in folders:
        path = folder / f"{lora_type}.toml"
        if path.is_file() and path.name != _WORDS:
            return _parse(lora_type, path, tuple(map(str, folders)), allow, never)
    known = ", ".join(
        sorted({path.stem for folder in folders for path in folder.glob("*.toml")} - {"words"})
    )
    raise Fatal(f"--lora_type {lora_type!r} is none of: {known}", 2)


def _parse(
    lora_type: str,
    path: Path,
    folders: tuple[str, ...],
    allow: tuple[str, ...],
    never: tuple[str, ...],
) -> Policy:
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        examples = data.get("examples", {})
        low, high = data["sentences"]
        omit, omits = _omitted(data["omit"], allow)
        return Policy(
            lora_type=lora_type,
            what=str(data["what"]),
            describe=tuple(data["describe"]),
            omit=omit,
            omits=omits,
            sentences=(int(low), int(high)),
            fewest_words=int(data.get("fewest_words", 0)),
            framing=str(data.get("framing", "wanted")),
            insert=str(data.get("insert", "never")),
            forbidden=(*data.get("forbidden", ()), *never),
            generic=tuple(data.get("generic", ())),
            good=tuple(examples.get("good", ())),
            bad=tuple(examples.get("bad", ())),
            folders=folders,
        )
    except KeyError as error:
        raise Fatal(f"{path}: the policy lacks {error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise Fatal(f"{path}: {error}") from None


def _omitted(
    entries: Sequence[Any], allow: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(lines of the prompt, traits to look for): an entry is a line, or one with its traits.

    Raises ValueError for an unknown trait.
    """
    lines: list[str] = []
    traits: list[str] = []
    for entry in entries:
        named = [] if isinstance(entry, str) else list(entry.get("traits", ()))
        for trait in named:
            if trait not in read_words().traits:
                raise ValueError(f"{trait!r} is none of: {', '.join(read_words().traits)}")
        left = [trait for trait in named if trait not in allow]
        if len(left) == len(named):
            lines.append(entry if isinstance(entry, str) else str(entry["say"]))
        elif left:
            lines.append(", ".join(left))
        traits += left
    return tuple(lines), tuple(traits)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
