"""A LoRA type's policy: what captions of that type describe and omit, and the prompt it makes.

`prompts/<type>.toml` holds the policy as data, `prompts/<type>.j2` its wording. One policy builds
the prompt and feeds the checker, so the two cannot disagree.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from stages.frames import by_frames
from stages.policy_tables import examples, omitted
from stages.sample import Fatal, Problem
from stages.template import render, unfenced
from stages.tokens import TOKEN_LIMITS, most_words, token_limit
from stages.wordlists import SHIPPED, WORDS, read_words

# Sentences that another follows.
_SENTENCE = re.compile(r"[.!?] +(?=\S)")


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
            "help": "traits to describe although the LoRA type leaves them out: hair, eyes, face, "
            "body, clothing, background, style …",
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
    tag_clothing: bool = field(
        default=False, metadata={"help": "outfits vary: describe them (as --allow clothing)"}
    )
    max_sentences: int = field(
        default=0,
        metadata={"help": "longest caption (0: as its type says)", "metavar": "N", "least": 0},
    )
    target_tokens: str | int = field(
        default="",
        metadata={
            "help": f"the trainer's text encoder, or how many tokens it reads: "
            f"{', '.join(TOKEN_LIMITS)}",
            "metavar": "NAME|N",
            "parse": token_limit,
        },
    )
    rules: str = field(
        default="",
        metadata={"help": "text file of your own rules, one a line", "metavar": "FILE"},
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
    omits: tuple[str, ...]  # the traits behind `omit`, by which the checker finds them
    sentences: tuple[int, int]
    fewest_words: int  # besides the anchor
    framing: str  # "required" or "wanted"
    insert: str  # how code may put in a missing anchor: "subject", "head", "in", "never"
    forbidden: tuple[str, ...]
    generic: tuple[str, ...]  # words too common to be an anchor of this type
    good: tuple[str, ...]
    bad: tuple[Mapping[str, str], ...]  # text, why
    worked: tuple[Mapping[str, str], ...]  # person, draft, caption, why
    folders: tuple[str, ...]
    encoder: str | int = ""  # that captions must fit, "" for none
    rules: tuple[str, ...] = ()  # a user's own
    video: bool = False  # what is asked is asked about videos

    @cached_property
    def for_videos(self) -> Policy:
        """The same of videos: it asks for what happens, in its order."""
        return replace(self, video=True)

    @property
    def most_words(self) -> int:
        """How many words fit the text encoder, about; 0 if none is named."""
        return most_words(self.encoder) if self.encoder else 0

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
            *(self.forbidden, self.encoder),
        )

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """Lines of the prompt, lower-case, that no caption says: an answer with one is an echo."""
        prompt = "\n".join((self.system(""), self.user("", "{manual}", "{draft}"), self.look("")))
        lines = (line.strip(" -.").lower() for line in prompt.splitlines())
        return tuple(line for line in lines if len(line) >= 30)

    def system(self, anchor: str) -> str:
        """The instructions: byte-identical for all files of a concept, so servers cache them."""
        return render(self.lora_type, self.folders, "system", policy=self, anchor=anchor)

    def user(self, anchor: str, manual: str, draft: str) -> str:
        """One file's texts, fenced as data; an empty text has no fence."""
        texts = {"manual": unfenced(manual), "draft": unfenced(draft)}
        return self._file("user", anchor, by_frames(texts["draft"]), **texts)

    def look(self, anchor: str) -> str:
        """The instructions of a model that is shown the picture and writes the caption itself."""
        return render(self.lora_type, self.folders, "look", policy=self, anchor=anchor)

    def show(self, anchor: str, manual: str) -> str:
        """What such a model is told of one file, fenced as data."""
        return self._file("show", anchor, manual=unfenced(manual), draft="")

    def frames(self, seconds: Sequence[float]) -> str:
        """What is said besides where a video is shown as pictures of those times."""
        times = ", ".join(f"{one:.1f}" for one in seconds)
        return render("frames", self.folders, "frames", seconds=seconds, times=times)

    def draft(self) -> str:
        """What a vision model is asked that takes a question in words."""
        return render("draft", self.folders, "draft", policy=self)

    def repair(
        self, anchor: str, problems: Sequence[Problem], usable: bool, sees: bool = False
    ) -> str:
        """What is wrong with an answer; `usable`: it was a caption, and stands in the talk; `sees`:
        of a model that is shown the picture."""
        values = {"policy": self, "anchor": anchor, "problems": problems, "usable": usable}
        return render("repair", self.folders, "repair", sees=sees, **values)

    @cached_property
    def wording(self) -> str:
        """All messages over placeholders: changes when a template or the policy does."""
        broken = (Problem("lost", False, "{words}"),)
        return (
            self.system("{anchor}")
            + self.user("{anchor}", "{manual}", "{draft}")
            + (self.user("{anchor}", "{manual}", "0.0 s: {draft}") if self.video else "")
            + self.repair("{anchor}", broken, True)
        )

    def _file(self, message: str, anchor: str, frames: bool = False, **texts: str) -> str:
        values = {"policy": self, "anchor": anchor, "frames": frames, **texts}
        return render(self.lora_type, self.folders, message, **values)

    def with_rules(self, text: str) -> Policy:
        """With a user's own rules in the prompt, one a line."""
        lines = (line.strip().lstrip("-*• ").strip() for line in text.splitlines())
        return replace(self, rules=tuple(line for line in lines if line))


def policy_of(options: Options) -> Policy:
    """The policy that the settings name, without `rules`: files are read upstairs. Raises Fatal."""
    return read_policy(
        options.lora_type,
        options.prompts_dir,
        options.allow,
        options.never,
        options.tag_clothing,
        options.max_sentences,
        options.target_tokens,
    )


@cache
def read_policy(
    lora_type: str,
    prompts_dir: str = "",
    allow: tuple[str, ...] = (),
    never: tuple[str, ...] = (),
    tag_clothing: bool = False,
    max_sentences: int = 0,
    target_tokens: str | int = "",
) -> Policy:
    """The policy of a LoRA type under the settings of those names.

    Raises Fatal if there is none or its file is malformed.
    """
    folders = [Path(prompts_dir).expanduser()] if prompts_dir else []
    if prompts_dir and not folders[0].is_dir():
        raise Fatal(f"--prompts_dir {prompts_dir}: there is no such folder", 2)
    folders.append(SHIPPED)
    allow = (*allow, "clothing") if tag_clothing and "clothing" not in allow else allow
    for trait in allow:
        if trait not in read_words().traits:
            known = ", ".join(read_words().traits)
            raise Fatal(f"--allow {trait}: is none of {known}", 2)
    for folder in folders:
        path = folder / f"{lora_type}.toml"
        if path.is_file() and path.name != WORDS:
            policy = _parse(lora_type, path, tuple(map(str, folders)), allow, never)
            if max_sentences:
                fewest = min(policy.sentences[0], max_sentences)
                policy = replace(policy, sentences=(fewest, max_sentences))
            return _consistent(replace(policy, encoder=target_tokens))
    known = ", ".join(
        sorted({path.stem for folder in folders for path in folder.glob("*.toml")} - {"words"})
    )
    raise Fatal(f"--lora_type {lora_type!r} is none of: {known}", 2)


def _consistent(policy: Policy) -> Policy:
    """Without the examples that the user's settings rule out: they would teach otherwise."""

    def fits(text: str) -> bool:
        short = len(_SENTENCE.findall(text)) < policy.sentences[1]
        return short and not any(
            re.search(rf"\b{re.escape(word)}s?\b", text, re.IGNORECASE) for word in policy.forbidden
        )

    return replace(
        policy,
        good=tuple(text for text in policy.good if fits(text)),
        worked=tuple(one for one in policy.worked if fits(one["caption"])),
    )


def _parse(
    lora_type: str,
    path: Path,
    folders: tuple[str, ...],
    allow: tuple[str, ...],
    never: tuple[str, ...],
) -> Policy:
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        shown = data.get("examples", {})
        low, high = data["sentences"]
        omit, omits = omitted(data["omit"], allow)
        return Policy(
            lora_type=lora_type,
            what=str(data["what"]),
            describe=(*data["describe"], *(read_words().traits[name].ask for name in allow)),
            omit=omit,
            omits=omits,
            sentences=(int(low), int(high)),
            fewest_words=int(data.get("fewest_words", 0)),
            framing=str(data.get("framing", "wanted")),
            insert=str(data.get("insert", "never")),
            forbidden=(*data.get("forbidden", ()), *never),
            generic=tuple(data.get("generic", ())),
            good=tuple(one["text"] for one in examples(shown, "good", ("text",), allow)),
            bad=examples(shown, "bad", ("text", "why"), allow),
            worked=examples(shown, "worked", ("draft", "caption"), allow),
            folders=folders,
        )
    except KeyError as error:
        raise Fatal(f"{path}: the policy lacks {error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise Fatal(f"{path}: {error}") from None
