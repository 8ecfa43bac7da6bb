"""The five layers of settings: flags, environment, `.env`, `--config` YAML, defaults.

Each layer is spelled as flags and goes through the one parser in `enhance/flags.py`.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import dotenv
import yaml

from enhance import aliases, cache, console
from enhance.flags import DEFAULTS, JOB_SECTIONS, SECTIONS, RunOptions, parser, spell
from stages import batched, dataset, generate, llm, policy
from stages.captioners import HOSTED
from stages.sample import Fatal

KEY = "OPENAI_API_KEY"
CAPTIONER_KEY = "CAPTIONER_API_KEY"  # where the captioner's server has another one
_OF_SERVICES = (name for service in HOSTED.values() for name in service.keys)
_KEYS = tuple(dict.fromkeys((KEY, CAPTIONER_KEY, *_OF_SERVICES)))
_PREFIX = "ENHANCE_"

# The wheel ships the folder inside this package; a checkout has it beside.
_HERE = Path(__file__).resolve().parent
SHIPPED = _HERE / "configs" if (_HERE / "configs").is_dir() else _HERE.parent / "configs"


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

    load: dataset.Options
    policy: policy.Options
    generate: generate.Options
    batch: batched.Options
    merge: llm.Options
    cache: cache.Options
    run: RunOptions
    report: console.Options
    keys: Mapping[str, Secret]  # by the names under which people give them
    origins: Mapping[str, str]
    notices: tuple[str, ...] = ()  # names of other tools that were read

    @property
    def key(self) -> Secret:
        """Of the server that merges."""
        return self.keys[KEY]

    def values(self) -> dict[str, Any]:
        """Every setting by name, without secrets."""
        return {
            option.name: getattr(getattr(self, section), option.name)
            for section, options in SECTIONS.items()
            for option in fields(options)
        }


def read(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Config:
    """The settings of a run. Raises Fatal, status 2, for anything that is wrong in any layer.

    `--print_config` prints them and raises SystemExit, as `--help` does.
    """
    dotted = _dotted()
    layers = _layers(vars(parser().parse_args(argv)), environment, dotted)
    found = ChainMap(*layers.values())
    origins = {name: _origin(name, layers) for name in DEFAULTS}
    sections = {name: _section(name, found) for name in SECTIONS}
    keys = {name: Secret(environment.get(name) or dotted.get(name) or "") for name in _KEYS}
    named = {"environment": environment, ".env": dotted}
    told = tuple(aliases.notices(named, origins, _PREFIX))
    config = Config(**sections, keys=keys, origins=origins, notices=told)
    if found.get("print_config"):
        _print(config)
        raise SystemExit(0)
    return config


def _utf8(data: bytes) -> str:
    return data.decode("utf-8-sig")


def read_job(
    parse: argparse.ArgumentParser,
    argv: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    text: Callable[[bytes], str] = _utf8,
) -> tuple[dataset.Options, policy.Options, argparse.Namespace]:
    """The settings of a job on captions that exist, by its `flags.job_parser`, and its own flags;
    those of a run among them (`--dry_run`, `--strict`) from any layer. `text` reads the YAML.

    Raises Fatal, status 2, for anything that is wrong in any layer.
    """
    given = parse.parse_args(argv)
    found = ChainMap(*_layers(vars(given), environment, _dotted(), text).values())
    load, rules = (_section(name, found) for name in JOB_SECTIONS)
    shared = {"config": None, **{option.name: option.default for option in fields(RunOptions)}}
    own = {action.dest for action in parse._actions} & shared.keys()
    layered = {name: found.get(name, shared[name]) for name in own}
    return load, rules, argparse.Namespace(**vars(given) | layered)


def _layers(
    flags: dict[str, Any],
    environment: Mapping[str, str],
    dotted: Mapping[str, str],
    text: Callable[[bytes], str] = _utf8,
) -> dict[str, dict[str, Any]]:
    parse = _parser()
    layers = {
        "flag": flags,
        "environment": _layer(parse, "in the environment", _from_variables, environment),
        ".env": _layer(parse, "in .env", _from_variables, dotted),
    }
    file = ChainMap(*layers.values()).get("config")
    if file:
        where = f"--config {file}"
        layers[str(file)] = _layer(parse, where, lambda file: _from_yaml(file, text), file)
    return layers


def _section(name: str, found: Mapping[str, Any]) -> Any:
    values = {
        option.name: found[option.name] for option in fields(SECTIONS[name]) if option.name in found
    }
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return SECTIONS[name](**values | lists)


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


def layer(where: str, spell: Callable[[Any], list[str]], source: Any) -> dict[str, Any]:
    """The settings of a source, by the parser of all others; messages begin with `where`.

    Raises Fatal, status 2.
    """
    return _layer(_parser(), where, spell, source)


@functools.cache
def _parser() -> argparse.ArgumentParser:
    return parser()


def _from_variables(variables: Mapping[str, str]) -> list[str]:
    spelled: list[str] = []
    for name, value in aliases.values(variables, _PREFIX):
        spelled += spell(name, value)
    for variable, value in sorted(variables.items()):
        if variable.startswith(_PREFIX):
            spelled += spell(variable.removeprefix(_PREFIX).lower(), value)
    return spelled


class _Texts(yaml.SafeLoader):
    """Scalars as they are written: an anchor may be `no` or `007`. The parser knows the types."""


_Texts.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _from_yaml(file: str, text: Callable[[bytes], str]) -> list[str]:
    """Settings by name, at the top or below their section."""
    path = Path(file).expanduser()
    if not path.exists() and (SHIPPED / f"{file}.yaml").is_file():
        path = SHIPPED / f"{file}.yaml"
    try:
        data = yaml.load(text(path.read_bytes()), _Texts)
    except OSError as error:
        shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.yaml")))
        raise Fatal(f"{error.strerror}; the shipped ones are {shipped}", 2) from None
    except (yaml.YAMLError, ValueError) as error:
        raise Fatal(" ".join(str(error).split()), 2) from None
    if data is None:
        return []
    if not isinstance(data, dict):
        raise Fatal("expected names and values, as in `anchor: annika`", 2)
    return spelled(data)


def spelled(data: Mapping[str, Any]) -> list[str]:
    """A file's settings as flags: by name, at the top or below their section. Raises Fatal."""
    flags: list[str] = []
    for name, value in data.items():
        inside = value.items() if name in SECTIONS and isinstance(value, dict) else [(name, value)]
        for inner, item in inside:
            folded = str(inner).lower().replace("-", "_")
            secret = "key" in folded or ("token" in folded and "max" not in folded)
            if secret and folded not in DEFAULTS:
                raise Fatal(f"{inner}: keys belong into the environment or .env, as {KEY}", 2)
            if folded == "config":
                raise Fatal("config: a file of settings cannot name another one", 2)
            if item is not None:
                flags += spell(folded, item)
    return flags


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
    for name, key in config.keys.items():
        print(f"# {name}: {'set' if key else 'not set'}", flush=True)
