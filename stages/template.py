"""The wording of a prompt: `prompts/<type>.j2`, rendered in Jinja's sandbox."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from stages.sample import Fatal
from stages.wordlists import article_for

_PLACE = re.compile(r"\b(a )?ANCHOR\b")
# Our own fences, and the marks of chat templates: a server's tokenizer would take them for such.
_FENCE = re.compile(
    r"<\s*/?\s*(?:person|draft|anchor)\s*>|<\|[^<>|\n]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>"
    r"|<(?:start|end)_of_turn>",
    re.IGNORECASE,
)


def render(lora_type: str, folders: tuple[str, ...], message: str, **values: object) -> str:
    """One message of a type's template, searched in `folders`. Raises Fatal for a broken one."""
    name = f"{lora_type}.j2"
    try:
        return _environment(folders).get_template(name).render(message=message, **values).strip()
    except TemplateError as error:
        raise Fatal(f"prompt template {name}, {message} message: {error}") from None


def render_text(source: str, **values: object) -> str:
    """A user's own text, itself a template. Raises Fatal, status 2, for a broken one."""
    try:
        return _environment(()).from_string(source).render(**values).strip()
    except Exception as error:  # of the template, or of what it does with the values
        names = ", ".join(values)
        raise Fatal(f"--prompt: {error} (what a template may use: {names})", 2) from None


def unfenced(caption: str) -> str:
    """A caption that cannot end its own fence, or its turn, and speak as instructions."""
    while (bare := _FENCE.sub("", caption)) != caption:  # one within another leaves a third
        caption = bare
    return caption.strip()


@cache
def _environment(folders: tuple[str, ...]) -> Environment:
    # Templates may come from users, captions always do: sandboxed, and captions reach the
    # template as values, never as source.
    environment = SandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters["fill"] = filled
    return environment


def filled(example: str, anchor: str) -> str:
    """An example with the anchor in the place of ANCHOR, and the article that fits it."""
    own = anchor.lower().startswith(("a ", "an ", "the "))
    article = "" if own else f"{article_for(anchor)} "
    return _PLACE.sub(lambda found: f"{article if found[1] else ''}{anchor}", example)
