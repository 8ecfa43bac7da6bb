"""The one parser and the five layers: flags, environment, `.env`, `--config` YAML, defaults.

Every room declares its options as a frozen dataclass beside its code. Each layer is spelled as
flags and parsed by the same parser, so types, choices and typos give the same message everywhere.
"""

from __future__ import annotations

import argparse
import os
import typing
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

import dotenv
import yaml

from enhance import __version__, cache, console
from stages import generate, llm, load, policy
from stages.sample import Fatal

# Names that other tools use for our settings.
ALIASES = {"OPENAI_BASE_URL": "base_url"}
KEY = "OPENAI_API_KEY"
_PREFIX = "ENHANCE_"

# The wheel ships the folder inside this package; a checkout has it beside.
_HERE = Path(__file__).resolve().parent
SHIPPED = _HERE / "configs" if (_HERE / "configs").is_dir() else _HERE.parent / "configs"


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
        default=False, metadata={"help": "accepted for enhance_captions.py: drafts are always kept"}
    )


SECTIONS: dict[str, type[Any]] = {
    "load": load.Options,
    "policy": policy.Options,
    "generate": generate.Options,
    "merge": llm.Options,
    "cache": cache.Options,
    "run": RunOptions,
    "report": console.Options,
}


class Secret:
    """A key that never shows in a log, a report or an error."""

    def __init__(self, value: str = "") -> None:
        self._value = value.strip()

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a run, and which layer each came from."""

    load: load.Options
    policy: policy.Options
    generate: generate.Options
    merge: llm.Options
    cache: cache.Options
    run: RunOptions
    report: console.Options
    key: Secret
    origins: Mapping[str, str]

    def values(self) -> dict[str, Any]:
        """Every setting by name, without secrets."""
        return {
            option.name: getattr(getattr(self, section), option.name)
            for section, options in SECTIONS.items()
            for option in fields(options)
        }


class Parser(argparse.ArgumentParser):
    """Takes --kebab-case too, and says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise Fatal(message, 2)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Names what it does not know without the values: one of them may be a key."""
        found, unknown = self.parse_known_args(_snake_case(args), namespace)
        if unknown:
            names = [name.partition("=")[0] for name in unknown if name.startswith("-")] or unknown
            self.error(f"unrecognized arguments: {' '.join(names)}")
        return found


def parser() -> argparse.ArgumentParser:
    """The parser of every layer: only what is given appears in its result."""
    result = Parser(
        prog="enhance",
        description="Training captions for LoRA fine-tuning, from a folder of images.",
        epilog="Other jobs: enhance show FILE, enhance check DIR; each has its own --help. "
        "Settings are also read from ENHANCE_* variables, .env and --config.",
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
        group = result.add_argument_group(name, (options.__doc__ or "").strip())
        hints = typing.get_type_hints(options)
        for option in fields(options):
            _add(group, option, hints[option.name])
    return result


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
    if kind == tuple[str, ...]:
        group.add_argument(f"--{option.name}", nargs="+", help=text, **metadata)
        return
    if default not in ("", 0, MISSING):
        text = f"{text} (default: {default})"
    group.add_argument(f"--{option.name}", type=kind, help=text.replace("%", "%%"), **metadata)


def read(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Config:
    """The settings of a run. Raises Fatal, status 2, for anything that is wrong in any layer.

    `--print_config` prints them and raises SystemExit, as `--help` does.
    """
    parse = parser()
    dotted = _dotted()
    flags = vars(parse.parse_args(argv))
    layers = {
        "flag": flags,
        "environment": _layer(parse, "in the environment", _from_variables, environment),
        ".env": _layer(parse, "in .env", _from_variables, dotted),
    }
    file = ChainMap(*layers.values()).get("config")
    layers[str(file)] = _layer(parse, f"--config {file}", _from_yaml, file) if file else {}
    found = ChainMap(*layers.values())
    origins = {name: _origin(name, layers) for name in _defaults()}
    sections = {
        name: options(
            **{
                option.name: tuple(value)
                if isinstance(value := found[option.name], list)
                else value
                for option in fields(options)
                if option.name in found
            }
        )
        for name, options in SECTIONS.items()
    }
    key = Secret(environment.get(KEY) or dotted.get(KEY) or "")
    config = Config(**sections, key=key, origins=origins)
    if found.get("print_config"):
        _print(config)
        raise SystemExit(0)
    return config


def _snake_case(argv: Sequence[str]) -> list[str]:
    """`--Like-This=x` is `--like_this=x`; values are left alone."""
    result = []
    for argument in argv:
        if argument.startswith("--") and len(argument) > 2:
            name, equals, value = argument.partition("=")
            argument = f"--{name[2:].replace('-', '_')}{equals}{value}"
        result.append(argument)
    return result


def _dotted() -> dict[str, str]:
    try:
        values = dotenv.dotenv_values(".env", encoding="utf-8-sig")
    except OSError as error:
        raise Fatal(f".env: {error.strerror}", 2) from None
    except UnicodeDecodeError:
        raise Fatal(".env: this is not UTF-8; save it as such", 2) from None
    return {name: value for name, value in values.items() if value is not None}


def _layer(
    parse: argparse.ArgumentParser, where: str, spell: Callable[[Any], list[str]], source: Any
) -> dict[str, Any]:
    try:
        return vars(parse.parse_args(spell(source)))
    except Fatal as error:
        raise Fatal(f"{where}: {error}", 2) from None


def _from_variables(variables: Mapping[str, str]) -> list[str]:
    spelled: list[str] = []
    for variable, name in ALIASES.items():
        if variables.get(variable) and f"{_PREFIX}{name.upper()}" not in variables:
            spelled += _flag(name, variables[variable])
    for variable, value in sorted(variables.items()):
        if variable.startswith(_PREFIX):
            spelled += _flag(variable.removeprefix(_PREFIX).lower(), value)
    return spelled


class _Texts(yaml.SafeLoader):
    """Scalars as they are written: an anchor may be `no` or `007`. The parser knows the types."""


_Texts.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _from_yaml(file: str) -> list[str]:
    """Settings by name, at the top or below their section."""
    path = Path(file).expanduser()
    if not path.exists() and (SHIPPED / f"{file}.yaml").is_file():
        path = SHIPPED / f"{file}.yaml"
    try:
        data = yaml.load(path.read_text(encoding="utf-8-sig"), _Texts)
    except OSError as error:
        raise Fatal(str(error.strerror), 2) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Fatal(" ".join(str(error).split()), 2) from None
    if data is None:
        return []
    if not isinstance(data, dict):
        raise Fatal("expected names and values, as in `anchor: annika`", 2)
    spelled: list[str] = []
    for name, value in data.items():
        inside = value.items() if name in SECTIONS and isinstance(value, dict) else [(name, value)]
        for inner, item in inside:
            folded = str(inner).lower().replace("-", "_")
            if "key" in folded or ("token" in folded and "max" not in folded):
                raise Fatal(f"{inner}: keys belong into the environment or .env, as {KEY}", 2)
            if folded == "config":
                raise Fatal("config: a file of settings cannot name another one", 2)
            if item is not None:
                spelled += _flag(folded, item)
    return spelled


def _flag(name: str, value: Any) -> list[str]:
    """One setting as a user would have typed it."""
    positive = name.removeprefix("no_")
    if _is_switch(positive):
        on = value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")
        off = str(value).lower() in ("0", "false", "no", "off", "")
        if not on and not off:
            raise Fatal(f"{name}: expected true or false, not {value!r}", 2)
        return [f"--{positive}" if on == (positive == name) else f"--no_{positive}"]
    if isinstance(_defaults().get(name), tuple) and isinstance(value, str):
        value = value.replace(",", " ").split()
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)] if value else []
    return [f"--{name}={value}"]


def _is_switch(name: str) -> bool:
    return name == "print_config" or isinstance(_defaults().get(name), bool)


def _defaults() -> dict[str, Any]:
    return {
        option.name: option.default for options in SECTIONS.values() for option in fields(options)
    }


def _origin(name: str, layers: Mapping[str, Mapping[str, Any]]) -> str:
    return next((layer for layer, values in layers.items() if name in values), "default")


def _print(config: Config) -> None:
    """As YAML that `--config` reads back; the origin of each value beside it."""
    for section, options in SECTIONS.items():
        print(f"{section}:")
        for option in fields(options):
            value = getattr(getattr(config, section), option.name)
            plain = list(value) if isinstance(value, tuple) else value
            text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=1000)
            text = text.removesuffix("\n").removesuffix("\n...")
            print(f"  {option.name}: {text}  # {config.origins[option.name]}")
    print(f"# {KEY}: {'set' if config.key else 'not set'}", flush=True)
