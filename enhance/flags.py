"""The flags: every room's options as one parser, and settings spelled as flags.

Every room declares its options as a frozen dataclass beside its code. A name is a flag, a YAML key
and an ENHANCE_* variable; all are parsed here, so types, choices and typos give the same message.
"""

from __future__ import annotations

import argparse
import difflib
import math
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NoReturn

from enhance import __version__, cache, console
from stages import batched, dataset, generate, llm, policy
from stages.sample import Fatal


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How the run goes."""

    until: str = field(
        default="final",
        metadata={"help": "stop after this text", "choices": ("generated", "combined", "final")},
    )
    overlap: bool = field(
        default=True,
        metadata={
            "help": "one stage after the other, the captioner unloaded first: "
            "for models that share a GPU"
        },
    )
    dry_run: bool = field(
        default=False, metadata={"help": "say what would run per stage and why; write nothing"}
    )
    explain: bool = field(
        default=False, metadata={"help": "like --dry_run, and say it of every file"}
    )
    strict: bool = field(
        default=False, metadata={"help": "exit with status 3 if some files need a person"}
    )
    cache_generated_captions_to_disk: bool = field(
        default=False,
        metadata={"help": "does nothing: drafts are always kept (a flag of enhance_captions.py)"},
    )


SECTIONS: dict[str, type[Any]] = {
    "load": dataset.Options,
    "policy": policy.Options,
    "generate": generate.Options,
    "batch": batched.Options,
    "merge": llm.Options,
    "cache": cache.Options,
    "run": RunOptions,
    "report": console.Options,
}

# What a job on captions that exist shares with a run.
JOB_SECTIONS = ("load", "policy")


DEFAULTS: dict[str, Any] = {
    option.name: option.default for options in SECTIONS.values() for option in fields(options)
}

# Settings of several values in one word, with commas: the values may hold spaces.
LISTED = frozenset(
    option.name
    for options in SECTIONS.values()
    for option in fields(options)
    if "separator" in option.metadata
)


# What gen-captions.py calls it.
_ALSO = {"output_dir": ("caption_dir",)}


class Parser(argparse.ArgumentParser):
    """Takes --kebab-case too, and says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise Fatal(message, 2)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Names what it does not know without the values: one of them may be a key."""
        found, unknown = self.parse_known_args(_snake_case(args), namespace)
        if unknown:
            names = [name.partition("=")[0] for name in unknown if name.startswith("-")] or unknown
            meant = difflib.get_close_matches(names[0], self._option_string_actions, 1)
            hint = f" (did you mean {meant[0]}?)" if meant else ""
            self.error(f"unrecognized arguments: {' '.join(names)}{hint}")
        return found


def parser() -> argparse.ArgumentParser:
    """The parser of every layer: only what is given appears in its result."""
    result = Parser(
        prog="enhance",
        description="Training captions for LoRA fine-tuning, from a folder of images.",
        epilog="Other jobs: enhance captioners; enhance show FILE; enhance init, check, clean, "
        "undo, fix-encoding DIR; each has its own --help. Settings are also read from ENHANCE_* "
        "variables, .env and --config, and for the folders below it from a caption.toml.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"enhance {__version__}")
    result.add_argument(
        "--config", metavar="FILE", help="YAML file of settings, or the name of a shipped one"
    )
    result.add_argument(
        "--print_config", action="store_true", help="print all settings and their origin, and stop"
    )
    for name, options in SECTIONS.items():
        _add_group(result, name, options)
    return result


def job_parser(name: str, description: str) -> Parser:
    """The parser of a job on captions that exist: their folder, what they are read by and held
    against. Only what is given appears in its result."""
    result = Parser(
        prog=f"enhance {name}",
        description=description,
        epilog="These settings are also read from ENHANCE_* variables, .env and --config.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    result.add_argument(
        "dataset_dir", nargs="?", metavar="DIR", help="folder of images and captions"
    )
    result.add_argument(
        "--config", metavar="FILE", help="YAML file of settings, or the name of a shipped one"
    )
    prompt = ("system_prompt", "rules")  # nothing is asked here
    for section in JOB_SECTIONS:
        _add_group(result, section, SECTIONS[section], without=("dataset_dir", *prompt))
    return result


def init_parser(description: str) -> Parser:
    """The parser of `enhance init`: what a caption.toml may set of the policy. Only what is given
    appears in its result."""
    result = Parser(
        prog="enhance init",
        description=description,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    result.add_argument("folder", metavar="DIR", help="folder of images, or of folders of images")
    result.add_argument(
        "--yes", action="store_true", help="ask nothing: names come from the folders"
    )
    result.add_argument(
        "--overwrite", action="store_true", help="replace a caption.toml that is there"
    )
    _add_group(result, "policy", SECTIONS["policy"])
    return result


def _add_group(
    parser: argparse.ArgumentParser, name: str, options: type[Any], without: Sequence[str] = ()
) -> None:
    group = parser.add_argument_group(name, (options.__doc__ or "").strip())
    hints = typing.get_type_hints(options)
    for option in fields(options):
        if option.name not in without:
            _add(group, option, hints[option.name])


def _add(group: Any, option: Any, kind: Any) -> None:
    metadata = dict(option.metadata)
    text = metadata.pop("help")
    default = option.default
    if kind is bool:
        no = default is True  # then the switch people type is --no_…, and `help` is about it
        group.add_argument(
            f"--{option.name}",
            action="store_true",
            help=argparse.SUPPRESS if no else text,
        )
        group.add_argument(
            f"--no_{option.name}",
            dest=option.name,
            action="store_false",
            help=text if no else argparse.SUPPRESS,
        )
        return
    if metadata.pop("separator", None):
        group.add_argument(f"--{option.name}", type=_listed, help=text, **metadata)
        return
    if "parse" in metadata:
        group.add_argument(
            f"--{option.name}", type=_parsed(metadata.pop("parse")), help=text, **metadata
        )
        return
    if kind == tuple[str, ...]:
        group.add_argument(f"--{option.name}", nargs="+", help=text, **metadata)
        return
    if type(None) in typing.get_args(kind):  # nothing said is a value of its own
        (kind,) = (one for one in typing.get_args(kind) if one is not type(None))
    if default not in ("", 0, None, MISSING):
        text = f"{text} (default: {default})"
    if "least" in metadata:
        kind = _at_least(kind, metadata.pop("least"), metadata.pop("most", math.inf))
    elif "choices" not in metadata:
        metadata.setdefault("metavar", "TEXT")
    names = [f"--{name}" for name in (option.name, *_ALSO.get(option.name, ()))]
    text = text.replace("%", "%%")
    group.add_argument(*names, dest=option.name, type=kind, help=text, **metadata)


def _listed(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := " ".join(part.split()))]


def _parsed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type of argparse that tells why a text is none; nothing said is as good as not given."""

    def checked(text: str) -> Any:
        try:
            return parse(text) if text else text
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def _at_least(kind: Any, least: float, most: float) -> Any:
    """A number type that argparse checks; its name is what argparse calls the type."""

    def number(text: str) -> Any:
        value = kind(text)
        if not least <= value <= most:
            allowed = f"at least {least:g}" + ("" if most == math.inf else f" and at most {most:g}")
            raise argparse.ArgumentTypeError(f"{text} is not {allowed}")
        return value

    number.__name__ = str(kind.__name__)
    return number


def spell(name: str, value: Any) -> list[str]:
    """One setting as a user would have typed it."""
    positive = name.removeprefix("no_")
    if _is_switch(positive):
        on = value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")
        off = str(value).lower() in ("0", "false", "no", "off", "")
        if not on and not off:
            raise Fatal(f"{name}: expected true or false, not {value!r}", 2)
        return [f"--{positive}" if on == (positive == name) else f"--no_{positive}"]
    if name in LISTED:
        return [f"--{name}={value if isinstance(value, str) else ','.join(map(str, value))}"]
    if isinstance(DEFAULTS.get(name), tuple) and isinstance(value, str):
        value = value.replace(",", " ").split()
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)] if value else []
    return [f"--{name}={value}"]


def _is_switch(name: str) -> bool:
    return name == "print_config" or isinstance(DEFAULTS.get(name), bool)


def _snake_case(argv: Sequence[str]) -> list[str]:
    """`--Like-This=x` is `--like_this=x`; values are left alone."""
    result = []
    for argument in argv:
        if argument.startswith("--") and len(argument) > 2:
            name, equals, value = argument.partition("=")
            argument = f"--{name[2:].replace('-', '_')}{equals}{value}"
        result.append(argument)
    return result
