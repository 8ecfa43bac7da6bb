"""The second room: a captioner drafts what it sees in each picture or video."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from stages import llm
from stages.asking import Asked, Asking, InOneStep
from stages.captioners import Answer, Attempt, Fewer, Shown
from stages.colour import hexadecimal
from stages.drafter import Options as Options
from stages.drafting import Drafter
from stages.extras import missing
from stages.frames import joined
from stages.kinds import is_video
from stages.reel import Sampling
from stages.sample import Caption, Fatal, Problem, Sample, Unusable, fingerprint
from stages.text import not_a_caption, whole

_WHITE = "#ffffff"


class Generate:
    """Images and videos to drafts."""

    output = "generated"

    def __init__(
        self,
        options: Options,
        asking: Asking,
        drafter: Drafter,
        content: Callable[[Path], str],
        merged: bool = True,
    ) -> None:
        """`drafter` is that of `options`, perhaps shared; `content` is a digest of a media file's
        bytes; `merged`: a language model makes the caption of the draft."""
        self._merged = merged
        self._options = options
        self._asking = asking
        self._drafter = drafter
        self._content = content
        self._background = hexadecimal(options.background or _WHITE)
        self.batch_size, self.workers = options.batch_size, drafter.workers
        self.spent: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._checked = False
        self._same = functools.cache(self._settings)  # told once, not for each of 200,000 files

    def key(self, sample: Sample) -> str:
        media = fingerprint(media=self._content(sample.media))
        own = fingerprint(**self._asking.own(sample))
        return " ".join((media, self._of_all(sample.media), own)).rstrip()

    def settings(self, media: Path) -> str:
        return f"{self._of_all(media)} {self._asking.by_file}"

    def _of_all(self, media: Path) -> str:
        return self._same(missing(media), is_video(media))

    @property
    def notice(self) -> str:
        """What to tell the user about the model, if it is not the one they named."""
        return self._drafter.notice

    @property
    def server(self) -> llm.Options | None:
        """The server that drafts, None where a model does in this process."""
        return self._drafter.server

    def question(self, sample: Sample) -> str:
        """The text that is asked about a sample."""
        asked = self._asked(sample, self.server is not None and is_video(sample.media))
        return f"{asked.system}\n{asked.prompt}"

    def prepare(self) -> None:
        """Raises Fatal if the model cannot be had, no captioner takes it, or the prompt is none."""
        self.spent.update(self._drafter.prepare())
        if self._asking.by_default:
            self._default(False)
        if self._asking.one_step and not self._drafter.in_words:
            raise Fatal(
                f"--no_merge: {self._drafter.origin} takes tasks, no instructions; name a captioner"
                " that is asked in words, or the task whose answer is to be the caption: --prompt "
                "'<MORE_DETAILED_CAPTION>'",
                2,
            )
        self.batch_size = self._drafter.batch_size(self._options.batch_size)

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """Raises Unusable for an image that cannot be read, Unavailable for one that cannot be now,
        MemoryError for too large a batch."""
        opened = [self._open(sample) for sample in batch]
        parts = [(batch[place], one) for place, several in enumerate(opened) for one in several]
        asked = [self._put(sample, shown) for sample, shown in parts]
        requests = [
            self._drafter.request(shown, one) for (_, shown), one in zip(parts, asked, strict=True)
        ]
        if not self._checked:  # a prompt that no picture would do with is told at once
            first = requests[0]
            if self._asking.varies:  # then that is no matter of one file's own words
                first = self._drafter.again(first, Asked("Describe the picture."))
            self._drafter.check(first)
            self._checked = True
        try:
            try:
                answers = self._answers(requests, Attempt())
            except Fewer:
                return self(batch)
            self._ask_again(requests, answers)
            if isinstance(self._asking, InOneStep):
                problems = self._mended(self._asking, batch, asked, requests, answers)
            else:
                answers = _by_file(opened, answers)
                problems = [_problems(answer) for answer in answers]
        finally:
            self._drafter.let_go(requests)
        origin = self._drafter.origin
        return [
            Caption(answer.text, origin, answer.finish, told)
            for answer, told in zip(answers, problems, strict=True)
        ]

    def _open(self, sample: Sample) -> list[Shown]:
        shown = self._drafter.open(sample.media, self._background, self._options.sampling)
        if len(shown) > 1 and not self._merged:
            raise Unusable(
                f"{self._drafter.origin} looks at single frames of a video, so their drafts have "
                "to be merged: --no_merge is for captioners that see it as a whole"
            )
        return shown

    def _put(self, sample: Sample, shown: Shown) -> Asked:
        """What is asked about what is shown."""
        asked = self._asked(sample, shown.video)
        if shown.pictures < 2:
            return asked
        frames = self._asking.policy.frames(shown.seconds)
        return replace(asked, prompt=f"{asked.prompt}\n\n{frames}")

    def _asked(self, sample: Sample, video: bool) -> Asked:
        return self._asking.of(sample, lambda: self._default(video), video)

    def load(self) -> None:
        """Raises Fatal if the model cannot be loaded."""
        self._drafter.load()

    def close(self) -> None:
        self._drafter.close()

    def _ask_again(self, requests: Sequence[Any], answers: list[Answer]) -> None:
        """Once for each answer that runs in circles, or was cut off; what is no better stays."""
        for is_weak, attempt in (
            (_circles, Attempt(otherwise=True)),
            (_cut_off, Attempt(room=2)),
        ):
            weak = [place for place, answer in enumerate(answers) if is_weak(answer)]
            if not weak:
                continue
            try:
                again = self._answers([requests[place] for place in weak], attempt)
            except MemoryError:  # of twice the length; the first answers are there
                continue
            except RuntimeError:
                if self.server is None or any(_lost(answers[place]) for place in weak):
                    raise
                continue  # what there is can be used
            better = 0
            for place, answer in zip(weak, again, strict=True):
                if not is_weak(answer) and not _lost(answer):
                    answers[place] = answer
                    better += 1
            with self._counting:
                self.spent.update(repairs=len(weak), repaired=better)

    def _mended(
        self,
        asking: InOneStep,
        batch: Sequence[Sample],
        asked: Sequence[Asked],
        requests: Sequence[Any],
        answers: list[Answer],
    ) -> list[tuple[Problem, ...]]:
        """Asks once more for each answer that breaks the rules; what the last room cannot find out
        by itself of those that stay."""
        verdicts = [
            asking.judged(sample, answer.text, answer.finish)
            for sample, answer in zip(batch, answers, strict=True)
        ]
        weak, again = [], []
        for place, (one, answer, verdict) in enumerate(zip(asked, answers, verdicts, strict=True)):
            said = asking.again(one, answer.text, verdict)
            if said:
                weak.append(place)
                again.append(self._drafter.again(requests[place], said))
        others: list[Answer] = []
        if weak:
            try:
                others = self._answers(again, Attempt())
            except MemoryError:  # of a longer prompt; the first answers are there
                pass
            except RuntimeError:
                if self.server is None or any(verdicts[place].useless for place in weak):
                    raise
        better = 0
        for place, answer in zip(weak, others, strict=False):
            verdict = asking.judged(batch[place], answer.text, answer.finish)
            if verdict.better_than(verdicts[place]):
                answers[place], verdicts[place] = answer, verdict
                better += 1
        if weak:
            with self._counting:
                self.spent.update(repairs=len(weak), repaired=better)
        return [verdict.for_the_file for verdict in verdicts]

    def _answers(self, requests: Sequence[Any], attempt: Attempt) -> list[Answer]:
        answers = self._drafter(requests, attempt)
        with self._counting:
            for answer in answers:
                self.spent.update(answer.spent)
            self.spent.update(
                completion_tokens=sum(answer.tokens for answer in answers),
                padding_tokens=sum(answer.padding for answer in answers),
            )
        return answers

    def _settings(self, extra: str, video: bool) -> str:
        """What the keys of all pictures or all videos have in common, but for the `extra` that a
        file waits for: it is tried when that has come."""
        drafter = self._drafter
        told = {name: getattr(self._options, name) for name in drafter.telling}
        default = {one.name: one.default for one in fields(Options)}
        told["background"], default["background"] = self._background, _WHITE
        told["extra"], default["extra"] = extra, ""
        if video:
            told["sampling"], default["sampling"] = self._options.sampling, Sampling()
        policy = self._asking.policy_of(video)
        wording = functools.partial(drafter.wording, policy, self._options.wish)
        return fingerprint(
            model=drafter.model,
            settings=(
                *(getattr(self._options, name) for name in drafter.always),
                *((name, value) for name, value in told.items() if value != default[name]),
            ),
            **self._asking.same(wording, video),
        )

    def _default(self, video: bool) -> str:
        return self._drafter.prompt(self._asking.policy_of(video), self._options.wish)


def _by_file(opened: Sequence[Sequence[Shown]], answers: Sequence[Answer]) -> list[Answer]:
    """One draft for each file, of a video's frames together."""
    left = iter(answers)
    return [
        _joined(several, [next(left) for _ in several]) if len(several) > 1 else next(left)
        for several in opened
    ]


def _joined(frames: Sequence[Shown], answers: Sequence[Answer]) -> Answer:
    """Those of a video's frames as one, without those that are no drafts."""
    told = [
        (shown.seconds[0], whole(answer.text, answer.finish))
        for shown, answer in zip(frames, answers, strict=True)
        if not _lost(answer)
    ]
    return Answer(joined(told), "stop") if told else answers[0]


def _lost(answer: Answer) -> Problem | None:
    """Why it is no draft; one that was cut off still is."""
    return not_a_caption(answer.text, None if answer.finish == "length" else answer.finish)


def _circles(answer: Answer) -> bool:
    lost = _lost(answer)
    if lost is None:
        return False
    # Signs without a word, or marks that do not show, over and over.
    endless = answer.finish == "length" and lost.label in ("garbage", "empty")
    return endless or lost.label == "loop"


def _cut_off(answer: Answer) -> bool:
    return answer.finish == "length" and not _circles(answer)


def _problems(answer: Answer) -> tuple[Problem, ...]:
    """Why a draft is none. What the policy wants of a caption is the merge's business."""
    lost = _lost(answer)
    if lost:
        return (lost,)
    if answer.finish == "length":
        message = "the draft was cut off at twice --max_new_tokens"
        return (Problem("truncated", False, message=message),)
    return ()
