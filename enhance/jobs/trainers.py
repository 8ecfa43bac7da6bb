"""What six trainers choke on, or drop in silence, in a folder of pictures and captions.

Each as data and a small function, as read in the trainers' sources: sd-scripts as of 2026-02,
musubi-tuner 2026-06, ai-toolkit, OneTrainer, SimpleTuner and diffusion-pipe 2026-08. Issue numbers
are those of the trainers' own trackers.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from enhance.jobs.work import number
from stages.dataset import Layout, Survey
from stages.kinds import IMAGES, MEDIA, VIDEOS, is_video
from stages.sample import Problem
from stages.text.corpus import Finding

_COMMON = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_DROPPED = 4  # parts of a stem that sd-scripts leaves out where a longer one has no caption

# What lies in the folder, as (its name, what is wrong).
Told = Iterator[tuple[str, Problem]]


@dataclass(frozen=True, slots=True)
class Trainer:
    """How one trainer reads a dataset."""

    name: str
    extension: str  # of captions, unless told otherwise; "" if it has to be told
    setting: str  # by which it is told; "" if it cannot be
    consequences: Mapping[str, str]  # of a problem, by label: what follows "the trainer"
    subfolders: bool  # looks into them unless told otherwise
    images: frozenset[str] = IMAGES  # the extensions that it looks for
    videos: frozenset[str] = VIDEOS
    plugins: frozenset[str] = frozenset()  # those it looks for where Pillow was taught them
    token_limit: str = "t5"
    fills: re.Pattern[str] | None = None  # places in a caption that it fills with the trigger
    shortens: bool = False  # a stem without a caption, to find one; see `missing`
    locale: bool = False  # reads captions in the encoding of the machine
    looks: Callable[[Survey, Layout], Told] = field(default=lambda *_: iter(()))

    def read(self, caption: str, anchor: str) -> str:
        """The caption as the trainer makes it, with `anchor` as its trigger."""
        return self.fills.sub(lambda _: anchor, caption) if self.fills and anchor else caption

    def explain(self, problem: Problem) -> Problem | None:
        """The problem with what becomes of it in this trainer; None if the trainer solves it."""
        if problem.label == "placeholder" and self.fills and self.fills.fullmatch(problem.where):
            return None
        consequence = self.consequences.get(problem.label)
        if not consequence:
            return problem
        return replace(problem, message=f"{problem.message} ({self.name} {consequence})")

    def in_folder(self, survey: Survey, layout: Layout) -> Told:
        """What is wrong with the files, apart from what stands in the captions."""
        if not self.setting and layout.extension != self.extension:
            message = f"{self.name} reads {self.extension} files only, not {layout.extension}"
            yield ".", _trainer(message, blocking=True)
        for path in survey.media:
            extension = os.path.splitext(path)[1].lower()
            if is_video(path):
                if extension not in self.videos:
                    known = ", ".join(sorted(self.videos))
                    save = f"save it as one of {known}" if known else "it trains on none"
                    message = f"{self.name} does not see {extension} videos: {save}"
                    yield layout.name(path), _trainer(message)
            elif extension not in self.images:
                lack = " without a plugin of Pillow" if extension in self.plugins else ""
                message = f"{self.name} does not see {extension} files{lack}: save it as PNG"
                yield layout.name(path), _trainer(message)
        if not self.subfolders:
            below = Counter(os.path.dirname(layout.name(path)) for path in survey.media)
            for folder, count in sorted(below.items()):
                if folder:
                    message = (
                        f"{self.name} does not look into subfolders unless its settings name or "
                        f"allow them: {number(count, 'file')}"
                    )
                    yield f"{folder}/", _trainer(message)
        yield from self.looks(survey, layout)

    def notes(self, layout: Layout, captions: list[str]) -> Iterator[Finding]:
        """What its settings must say for this set; nothing is wrong with the files."""
        if self.setting and layout.extension != self.extension:
            default = f"looks for {self.extension}" if self.extension else "has no default"
            yield _note(f'{self.name} {default}: set {self.setting} = "{layout.extension}"')
        if self.fills:
            count = sum(self.fills.search(caption) is not None for caption in captions)
            if count:
                message = (
                    f"{self.name} fills [trigger] and [name] in {number(count, 'caption')} with "
                    "its trigger_word; without one it leaves nothing in their place"
                )
                yield _note(message, count)
        if self.locale:
            count = sum(not caption.isascii() for caption in captions)
            if count:
                message = (
                    f"{self.name} reads captions in the encoding of the machine: start it with "
                    f"PYTHONUTF8=1 where that is not UTF-8; {number(count, 'caption')} with "
                    "letters beyond ASCII"
                )
                yield _note(message, count)


def missing(media: Path, caption: Path, trainer: Trainer | None) -> Problem:
    """That a picture lacks its caption; sd-scripts may find another: a_b_c_d_e.png reads a.txt."""
    parts = media.stem.split("_")
    other = media.with_name(f"{'_'.join(parts[:-_DROPPED])}{caption.suffix}")
    if trainer and trainer.shortens and len(parts) > _DROPPED and other.is_file():
        message = f"there is no {caption.name}: {trainer.name} takes {other.name} in its place"
        return Problem("trainer", True, message=message)
    return Problem("missing_caption", True, message=f"there is no {caption.name}")


def _trainer(message: str, blocking: bool = False) -> Problem:
    return Problem("trainer", blocking, message=message)


def _note(message: str, count: int = 0) -> Finding:
    return Finding("trainer", message, count=count)


def _onetrainer(survey: Survey, layout: Layout) -> Told:
    for path in _resource_forks(survey):
        yield layout.name(path), _trainer("OneTrainer aborts at this file of macOS (#71)", True)


def _simpletuner(survey: Survey, layout: Layout) -> Told:
    """It takes every picture it can reach, behind dots too (#94)."""
    for path in _resource_forks(survey):
        yield layout.name(path), _trainer("SimpleTuner takes this file of macOS for a picture")
    for path in survey.hidden:
        if path.is_dir() and (count := _pictures(path)):
            pictures = number(count, "picture")
            message = f"SimpleTuner looks into hidden folders too: it trains on {pictures}"
            yield f"{layout.name(path)}/", _trainer(message)


# What diffusion-pipe does not take for media; all else in a folder is media to it.
_NO_MEDIA = frozenset({".txt", ".npz", ".json", ".parquet", ".bak", ".db"})


def _diffusion_pipe(survey: Survey, layout: Layout) -> Told:
    for folder in sorted({Path(os.path.dirname(path)) for path in survey.media}):
        for path in sorted(folder.iterdir()):
            kind = path.suffix.lower()
            if path.name == "captions.json":
                message = "diffusion-pipe reads this in place of every .txt beside it"
            elif kind in _NO_MEDIA or (kind in MEDIA and not _hidden(path)) or not path.is_file():
                continue
            elif kind == ".tar":
                message = "diffusion-pipe opens this as a dataset"
            else:
                message = "diffusion-pipe takes this for a picture or video, and stops or warns"
            yield layout.name(path), _trainer(message, path.name == "captions.json")


def _resource_forks(survey: Survey) -> Iterator[Path]:
    return (
        path
        for path in survey.hidden
        if path.name.startswith("._") and path.suffix.lower() in MEDIA
    )


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _pictures(folder: Path) -> int:
    return sum(
        os.path.splitext(name)[1].lower() in MEDIA
        for _, _, names in os.walk(folder)
        for name in names
    )


_STOPS = "stops at it"

TRAINERS = {
    trainer.name.lower(): trainer
    for trainer in (
        Trainer(
            "sd-scripts",
            extension=".caption",
            setting="caption_extension",
            consequences={
                "not_utf8": _STOPS,
                "empty": "stops with an AssertionError",
                "multiline": "reads the first line; with enable_wildcard a random one",
                "missing_caption": "trains the picture on its class_tokens",
                "wildcard_syntax": "does with enable_wildcard or a separator set",
                "token_budget": "cuts at max_token_length, 75 by default and 225 at most; "
                "--target_tokens t5 if you train Flux",
            },
            subfolders=False,
            images=_COMMON | {".bmp"},
            videos=frozenset(),
            plugins=frozenset({".avif", ".jxl"}),
            token_limit="clip",
            shortens=True,
        ),
        Trainer(
            "musubi-tuner",
            extension="",
            setting="caption_extension",
            consequences={
                "not_utf8": _STOPS,
                "multiline": "takes all lines as one caption, line breaks and all (#834)",
                "missing_caption": "drops the picture in silence, and stops where it is a video",
                "stem_collision": "keeps one cache for both",
            },
            subfolders=False,
            images=_COMMON | {".bmp", ".avif"},
            plugins=frozenset({".jxl"}),
        ),
        Trainer(
            "ai-toolkit",
            extension=".txt",
            setting="caption_ext",
            consequences={
                "not_utf8": "stops at it (#113)",
                "missing_anchor": "puts its trigger_word in front",
                "trailing_newline": "takes it as part of the caption",
                "multiline": "takes all lines as one caption, line breaks and all",
                "missing_caption": "trains on any picture in a visible folder",
            },
            subfolders=True,
            images=_COMMON,
            fills=re.compile(r"\[(?:trigger|name)\]", re.IGNORECASE),
        ),
        Trainer(
            "OneTrainer",
            extension=".txt",
            setting="",
            consequences={
                "not_utf8": _STOPS,
                "multiline": "reads a random line at every step",
            },
            subfolders=False,
            images=_COMMON | {".bmp", ".tif", ".tiff", ".avif"},
            looks=_onetrainer,
        ),
        Trainer(
            "SimpleTuner",
            extension=".txt",
            setting="",
            consequences={
                "multiline": "takes each line as a caption, unless disable_multiline_split (#2414)",
                "missing_caption": _STOPS,
            },
            subfolders=True,
            images=IMAGES - {".heic", ".heif", ".jxl"},
            plugins=frozenset({".heic", ".heif", ".jxl"}),
            looks=_simpletuner,
        ),
        Trainer(
            "diffusion-pipe",
            extension=".txt",
            setting="",
            consequences={
                "multiline": "takes all lines as one caption, line breaks and all",
                "not_utf8": "reads it in the encoding of the machine",
                "missing_caption": "warns, and may drop the picture",
            },
            subfolders=False,
            locale=True,
            looks=_diffusion_pipe,
        ),
    )
}
