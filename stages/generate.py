"""The second room: a captioner drafts what it sees in each picture."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path

from stages.captioners import Answer, Attempt, Captioner, Request
from stages.colour import hexadecimal
from stages.drafter import Drafter
from stages.drafter import Options as Options
from stages.extras import missing
from stages.media import open_image
from stages.policy import Policy
from stages.sample import Caption, Problem, Sample, fingerprint
from stages.template import render_text, unfenced
from stages.text import not_a_caption

# Images per batch. A GPU that cannot hold 16 halves the batch by itself.
BATCH_SIZES = {"cuda": 16, "xpu": 16, "mps": 4, "cpu": 4}
_WHITE = "#ffffff"
_READY = 4  # batches that are kept ready at most


# Settings besides dtype and max_new_tokens that change a draft.
_TELLING = ("temperature", "top_p", "top_k", "quantize")


class Generate:
    """Images to drafts. The captioner is loaded by the first batch."""

    output = "generated"

    def __init__(
        self,
        options: Options,
        policy: Policy,
        anchor: str,
        template: str,
        drafter: Drafter,
        content: Callable[[Path], str],
        cores: int = 2,
    ) -> None:
        """`template` is the text of `--prompt`, "" for the captioner's own; `drafter` that of
        `options`, perhaps shared; `content` is a digest of a media file's bytes; `cores` are those
        that may decode pictures."""
        self._options = options
        self._policy = policy
        self._anchor = anchor
        self._template = template
        self._drafter = drafter
        self._content = content
        self._background = hexadecimal(options.background or _WHITE)
        self.batch_size = options.batch_size
        # One batch in the model while the next ones are decoded: a small model on a fast GPU is
        # through with a batch sooner than one core has decoded another.
        self.workers = 1 + max(1, min(_READY, cores - 1))
        self.spent: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._checked = False
        self._same = functools.cache(self._settings)  # told once, not for each of 200,000 files

    def key(self, sample: Sample) -> str:
        parts = fingerprint(media=self._content(sample.media)), self._same(missing(sample.media))
        if not self._template:
            return " ".join(parts)
        return " ".join((*parts, fingerprint(prompt=self._prompt(sample))))

    def settings(self, media: Path) -> str:
        same = self._same(missing(media))
        return f"{same} {self._template} {self._anchor}" if self._template else same

    @property
    def notice(self) -> str:
        """What to tell the user about the model, if it is not the one they named."""
        asked, used = self._drafter.asked, self._drafter.checkpoint.source
        return f"{asked} is loaded as {used}, its native version" if used != asked else ""

    def prepare(self) -> None:
        """Raises Fatal if the model cannot be had, no captioner takes it, or the prompt is none."""
        _ = self._default if not self._template else self._drafter.family
        if not self.batch_size:
            self.batch_size = BATCH_SIZES.get(self._drafter.device().partition(":")[0], 4)

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """Raises Unusable for an image that cannot be read, Unavailable for one that cannot be now,
        MemoryError for too large a batch."""
        captioner = self._drafter.load()
        requests = [
            Request(
                open_image(sample.media, captioner.size, self._background), self._prompt(sample)
            )
            for sample in batch
        ]
        if not self._checked:  # a prompt that no picture would do with is told at once
            captioner.check(requests[0].prompt)
            self._checked = True
        answers = self._asked(captioner, requests, Attempt())
        self._ask_again(captioner, requests, answers)
        origin = self._drafter.checkpoint.source
        return [
            Caption(answer.text, origin, answer.finish, _problems(answer)) for answer in answers
        ]

    def load(self) -> None:
        """Raises Fatal if the model cannot be loaded."""
        self._drafter.load()

    def close(self) -> None:
        self._drafter.close()

    def _ask_again(
        self, captioner: Captioner, requests: Sequence[Request], answers: list[Answer]
    ) -> None:
        """Once for each answer that runs in circles, or was cut off; what is no better stays."""
        for place_of, attempt in (
            (_circles, Attempt(otherwise=True)),
            (_cut_off, Attempt(room=2)),
        ):
            weak = [place for place, answer in enumerate(answers) if place_of(answer)]
            if not weak:
                continue
            try:
                again = self._asked(captioner, [requests[place] for place in weak], attempt)
            except MemoryError:  # of twice the length; the first answers are there
                continue
            better = 0
            for place, answer in zip(weak, again, strict=True):
                if not place_of(answer) and not not_a_caption(answer.text):
                    answers[place] = answer
                    better += 1
            with self._counting:
                self.spent.update(repairs=len(weak), repaired=better)

    def _asked(
        self, captioner: Captioner, requests: Sequence[Request], attempt: Attempt
    ) -> list[Answer]:
        answers = captioner(requests, attempt)
        with self._counting:
            self.spent.update(
                completion_tokens=sum(answer.tokens for answer in answers),
                padding_tokens=sum(answer.padding for answer in answers),
            )
        return answers

    def _prompt(self, sample: Sample) -> str:
        """What is asked about a sample. Raises Fatal for a template that cannot be rendered."""
        if not self._template:
            return self._default
        return render_text(
            self._template,
            name=sample.media.stem,
            folder=sample.media.parent.name,
            manual=unfenced(sample.manual.text) if sample.manual else "",
            anchor=self._anchor,
        )

    def _settings(self, extra: str) -> str:
        """What all keys have in common, but for the `extra` that a file waits for: it is tried
        when that has come."""
        told = {name: getattr(self._options, name) for name in _TELLING}
        default = {one.name: one.default for one in fields(Options)}
        told["background"], default["background"] = self._background, _WHITE
        told["extra"], default["extra"] = extra, ""
        checkpoint = self._drafter.checkpoint
        return fingerprint(
            model=(checkpoint.source, checkpoint.revision),
            settings=(
                *(self._options.dtype, self._options.max_new_tokens),
                *((name, value) for name, value in told.items() if value != default[name]),
            ),
            **self._wording(),
        )

    def _wording(self) -> dict[str, object]:
        """What is asked, told without the hub, unless it differs by file. Nothing of a model whose
        folder is gone: what cannot be told is not held against a draft."""
        if self._template:
            return {}
        if self._drafter.known:
            return {"prompt": self._default}
        if self._drafter.checkpoint.gone:
            return {}
        return {"prompt": (self._policy.draft(), self._options.wish)}

    @cached_property
    def _default(self) -> str:
        return self._drafter.family.prompt(self._policy, self._options.wish)


def _circles(answer: Answer) -> bool:
    lost = not_a_caption(answer.text)
    if lost is None:
        return False
    # Signs without a word, or marks that do not show, over and over.
    endless = answer.finish == "length" and lost.label in ("garbage", "empty")
    return endless or lost.label == "loop"


def _cut_off(answer: Answer) -> bool:
    return answer.finish == "length" and not _circles(answer)


def _problems(answer: Answer) -> tuple[Problem, ...]:
    """Why a draft is none. What the policy wants of a caption is the merge's business."""
    lost = not_a_caption(answer.text)
    if lost:
        return (lost,)
    if answer.finish == "length":
        message = "the draft was cut off at twice --max_new_tokens"
        return (Problem("truncated", False, message=message),)
    return ()
