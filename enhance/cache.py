"""What need not be done again, and what must never be overwritten.

The truths about files live here and in `enhance/owners.py`: a person's text is never lost, a second
run changes nothing, a text is fresh when what it was made from is the same, every write is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from enhance.disk import Writer
from enhance.journal import Journal, text_hash
from enhance.owners import Owners
from enhance.rooms import part_of
from stages.dataset import Layout
from stages.load import read
from stages.media import reach, unreachable
from stages.sample import Caption, Failure, Sample, Stage, Unavailable
from stages.text.encoding import decode

FOLDER = ".enhance"  # in the dataset: small text files only, trainers scan dot-folders too


@dataclass(frozen=True, slots=True)
class Options:
    """What is done again."""

    overwrite: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "make these anew, texts edited by hand too (the old ones stay in the journal)",
            "choices": ("generated", "combined", "final", "all"),
        },
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage has to do for one sample, and why."""

    act: Literal["run", "fresh", "edited", "refused", "failed", "skipped"]
    reason: str
    caption: Caption | None = None
    failure: Failure | None = None
    key: str = ""
    suspect: bool = False  # a process died that was at this file: it is tried alone


UP_TO_DATE = Decision("fresh", "up to date")
SWITCHED_OFF = Decision("skipped", "switched off for this folder")
LEFT_ALONE = Decision("skipped", "it has a caption (--skip_captioned)")


class Cache:
    """The texts on disk as the stages' memory."""

    def __init__(
        self,
        layout: Layout,
        journal: Journal,
        writer: Writer,
        cleaner: Stage,
        overwrite: Sequence[str] = (),
    ) -> None:
        """`cleaner` tells our finals from a person's where the journal was deleted."""
        self.begin: Callable[[], None] = lambda: None  # called when the run first leaves a trace
        self._begun = False
        self._beginning = threading.Lock()
        self._layout = layout
        self._journal = journal
        self._writer = writer
        self._cleaner = cleaner
        self.owners = Owners(layout, journal, cleaner)
        everything = ("generated", "combined", "final")
        self._overwrite = frozenset(everything if "all" in overwrite else overwrite)
        self._unnoted: dict[str, tuple[int, int, str]] = {}  # contents not in the journal yet

    def decide(self, stage: Stage, sample: Sample) -> Decision:
        """Whether the stage's text for this sample can be taken from disk. A text that is there and
        cannot be read costs its file, and so does media that cannot be had."""
        try:
            decision = self._decide(stage, sample)
            return self._beware(stage, sample, decision) if decision.act == "run" else decision
        except OSError as error:
            message = f"cannot read {error.filename}: {error.strerror}"
        except Unavailable as reason:
            message = str(reason)
        return Decision("failed", message, failure=Failure(stage.output, message))

    def _decide(self, stage: Stage, sample: Sample) -> Decision:
        output = stage.output
        if part_of(stage, sample) is None:
            return SWITCHED_OFF
        path = self._layout.path(sample.media, output)
        record = self._journal.record(self._layout.name(path))
        data = read(path)
        standing = data is not None and bool(data.strip())
        if output in self._overwrite:
            return Decision("run", f"--overwrite {output}", key=stage.key(sample))
        if data and standing and self.owners.whose(sample, output, path, data) == "person":
            return Decision("edited", "written by hand", self._edited(sample, output, data))
        key = stage.key(sample)
        if record is None or not record.key:
            if (
                data is not None
                and standing
                and not self.owners.awaits(sample.media, path, data)  # sooner told than cleaned
                and self.owners.cleans_to(sample, data)
            ):
                # The journal was deleted, but this is what would be published now: ours.
                self._journal.write(self._layout.name(path), key, data, None, origin="clean")
                self._journal.published(self._layout.name(path))
                return replace(UP_TO_DATE, caption=Caption(decode(data)[0], "clean"), key=key)
            return Decision("run", "not made yet", key=key)
        changed = record.key != key and _changed(record.key, key)
        if changed:
            return Decision("run", f"{changed} changed", key=key)
        if record.failure:
            failure = Failure(output, record.failure, lasting=True)
            return Decision("failed", record.failure, failure=failure, key=key)
        if record.text is not None:
            caption = Caption(record.text, record.origin, record.finish, record.problems)
            return Decision("refused", "no caption came out of it", caption, key=key)
        if data is None or not standing:
            return Decision("run", "its text is gone", key=key)
        if text_hash(data) != record.hash:
            return Decision("run", "an earlier text stands there", key=key)
        caption = Caption(decode(data)[0], record.origin, record.finish, record.problems)
        return replace(UP_TO_DATE, caption=caption, key=key)

    def save(self, stage: Stage, sample: Sample, caption: Caption, key: str) -> None:
        """Writes a stage's answer the moment it exists. Raises OSError if that is impossible."""
        self._start()
        self._note_content(sample.media)
        path = self._layout.path(sample.media, stage.output)
        name = self._layout.name(path)
        if caption.blocked or not caption.text.strip():
            self._journal.refuse(name, key, caption.text, caption.finish, caption.problems)
        elif stage.output == "final":
            self._publish(sample, caption, key, path)
        else:
            self._replace(path, sample, stage.output, caption, key)

    def fail(self, stage: Stage, sample: Sample, message: str, key: str) -> None:
        """Remembers a failure that the same input would repeat."""
        self._start()
        self._note_content(sample.media)
        path = self._layout.path(sample.media, stage.output)
        self._journal.fail(self._layout.name(path), key, message)

    def trying(self, stage: Stage, samples: Sequence[Sample], alone: bool) -> None:
        """Call before a model of this process is given the samples: it may take the process with
        it. `alone`: since a process died at this one before."""
        self._start()
        names = [self._layout.name(self._layout.path(one.media, stage.output)) for one in samples]
        self._journal.trying(names, alone)

    def tried(self, stage: Stage, sample: Sample) -> None:
        """Call after a sample for which nothing is saved."""
        self._journal.tried(self._layout.name(self._layout.path(sample.media, stage.output)))

    def broke(self, reason: str) -> None:
        """Call where this process can compute no more: what it is at may be why."""
        self._journal.crashed(reason)

    def stopped(self) -> None:
        """Call as soon as this process is to end."""
        with contextlib.suppress(OSError):  # the disk may be why
            self._journal.stopped()

    def content(self, media: Path) -> str:
        """A digest of the media file's bytes; unchanged size and time spare reading them.

        Raises Unavailable if they cannot be read.
        """
        name = self._layout.name(media)
        status = reach(media)
        known = self._journal.content_of(name)
        same = known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns)
        if known and same and known.sure:
            return known.digest
        try:
            with open(media, "rb") as file:
                digest = hashlib.file_digest(file, _blake2b).hexdigest()
        except OSError as error:
            raise unreachable(media, error) from None
        if known and not same:
            self._journal.content(name, status.st_size, status.st_mtime_ns, digest)
        elif not known:  # noted with the first text: a run that cannot start leaves no trace
            self._unnoted[name] = (status.st_size, status.st_mtime_ns, digest)
        return digest

    def _beware(self, stage: Stage, sample: Sample, decision: Decision) -> Decision:
        """A file that was under way when a process died is tried alone, so that a second death
        tells whether it is the culprit."""
        name = self._layout.name(self._layout.path(sample.media, stage.output))
        verdict, what = self._journal.verdict(name)
        if verdict == "culprit" and stage.output not in self._overwrite:
            message = f"{what}; --overwrite {stage.output} tries it again"
            self._journal.fail(name, decision.key, message)
            failure = Failure(stage.output, message, lasting=True)
            return Decision("failed", message, failure=failure, key=decision.key)
        return replace(decision, suspect=verdict != "clear")

    def _start(self) -> None:
        with self._beginning:
            if not self._begun:
                self._begun = True
                self.begin()

    def _note_content(self, media: Path) -> None:
        name = self._layout.name(media)
        content = self._unnoted.pop(name, None)
        if content is not None:
            self._journal.content(name, *content)

    def _edited(self, sample: Sample, output: str, data: bytes) -> Caption:
        """A person's text as a caption; of a final it is said what is wrong, though it stays."""
        text = decode(data)[0]
        if output != "final":
            return Caption(text, "human")
        (cleaned,) = self._cleaner([Sample(sample.media, combined=Caption(text, "human"))])
        problems = tuple(replace(problem, blocking=False) for problem in cleaned.problems)
        return Caption(text, "human", problems=problems)

    def _publish(self, sample: Sample, caption: Caption, key: str, path: Path) -> None:
        if path == self._layout.original(sample.media):
            self.owners.keep_manual(sample.media, path, self._writer)
        self._replace(path, sample, "final", caption, key)
        self._journal.published(self._layout.name(path))

    def _replace(self, path: Path, sample: Sample, output: str, caption: Caption, key: str) -> None:
        name = self._layout.name(path)
        data = caption.text.encode("utf-8", "replace")
        old = read(path)
        whose = self.owners.whose(sample, output, path, old) if old is not None else "ours"
        self._journal.replace(
            name,
            key,
            data,
            caption.finish,
            old,
            whose,
            origin=caption.origin,
            problems=[[p.label, p.blocking, p.where, p.message] for p in caption.problems],
        )
        if old != data:
            self._writer.write(path, data, durable=output == "final")


def with_caption(sample: Sample, output: str, caption: Caption) -> Sample:
    """The sample with one field filled."""
    return replace(sample, **{output: caption})  # type: ignore[arg-type]


def _changed(old: str, new: str) -> str:
    """The names of the parts in which a fingerprint differs from an older one."""
    before = dict(part.split("=", 1) for part in old.split())
    after = dict(part.split("=", 1) for part in new.split())
    return ", ".join(name for name, digest in after.items() if before.get(name) != digest)


def _blake2b() -> hashlib._Hash:
    return hashlib.blake2b(digest_size=16)  # type: ignore[return-value]
