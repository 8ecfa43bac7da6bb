"""What need not be done again, and what must never be overwritten.

The truths about files live here: a person's text is never lost, a second run changes nothing, a
text is fresh when what it was made from is the same, every write is whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from enhance.disk import Writer
from enhance.journal import Journal, Record, text_hash
from stages.dataset import Layout
from stages.load import decode, read
from stages.sample import Caption, Failure, Sample, Stage

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

    act: Literal["run", "fresh", "edited", "refused", "failed"]
    reason: str
    caption: Caption | None = None
    failure: Failure | None = None
    key: str = ""


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
        self._layout = layout
        self._journal = journal
        self._writer = writer
        self._cleaner = cleaner
        everything = ("generated", "combined", "final")
        self._overwrite = frozenset(everything if "all" in overwrite else overwrite)
        self._unnoted: dict[str, tuple[int, int, str]] = {}  # contents not in the journal yet

    def decide(self, stage: Stage, sample: Sample) -> Decision:
        """Whether the stage's text for this sample can be taken from disk. A text that is there and
        cannot be read costs its file."""
        try:
            return self._decide(stage, sample)
        except OSError as error:
            message = f"cannot read {error.filename}: {error.strerror}"
            failure = Failure(stage.output, message)
            return Decision("failed", message, failure=failure)

    def _decide(self, stage: Stage, sample: Sample) -> Decision:
        output = stage.output
        path = self._layout.path(sample.media, output)
        record = self._journal.records.get(self._layout.name(path))
        data = read(path)
        standing = data is not None and bool(data.strip())
        if output in self._overwrite:
            return Decision("run", f"--overwrite {output}", key=stage.key(sample))
        if data is not None and standing and not self._ours(sample, output, path, data, record):
            return Decision("edited", "written by hand", self._edited(sample, output, data))
        key = stage.key(sample)
        if record is None or not record.key:
            if (
                data is not None
                and standing
                and self._cleans_to(sample, data)
                and not self._awaits(sample, path, data, record)
            ):
                # The journal was deleted, but this is what would be published now: ours.
                self._journal.write(self._layout.name(path), key, data, None, origin="clean")
                self._journal.published(self._layout.name(path))
                return Decision("fresh", "up to date", Caption(decode(data)[0], "clean"), key=key)
            return Decision("run", "not made yet", key=key)
        if record.key != key:
            return Decision("run", f"{_changed(record.key, key)} changed", key=key)
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
        return Decision("fresh", "up to date", caption, key=key)

    def kept(self, media: Path) -> tuple[Path, ...]:
        """Where the manual caption may be kept: where this run would, and where another one did."""
        places = self._layout.kept(media)
        record = self._journal.records.get(self._layout.name(self._layout.original(media)))
        if record is not None and record.manual:
            places = (*places, self._layout.root / record.manual)
        return places

    def was_kept(self, media: Path) -> bool:
        """True if a run kept this file's manual caption, wherever that is now."""
        record = self._journal.records.get(self._layout.name(self._layout.original(media)))
        return record is not None and bool(record.manual)

    def is_final(self, media: Path, path: Path, data: bytes) -> bool:
        """True if `{name}.txt` is a published caption, as it was or edited since; False if it is
        a person's caption that waits to be used. Asked where no `_manual.txt` was kept."""
        name = self._layout.name(path)
        record = self._journal.records.get(name)
        if record is not None:
            return record.published or text_hash(data) in record.hashes
        combined_path = self._layout.path(media, "combined")
        if self._layout.name(combined_path) in self._journal.records:
            return False  # the journal is whole, and it never published this one
        combined = read(combined_path)
        if combined is None:
            return False
        sample = Sample(media, combined=Caption(decode(combined)[0], ""))
        # The journal was deleted, or the files were renamed. What would be published now is ours;
        # else, a text younger than the merge is an edited final, an older one was merged. Noted at
        # once: the answer must not change when the merge is made anew.
        if self._cleans_to(sample, data):
            self._journal.adopt(name, data)
            return True
        younger = os.stat(path).st_mtime_ns > os.stat(combined_path).st_mtime_ns
        if younger:
            self._journal.published(name)
        return younger

    def save(self, stage: Stage, sample: Sample, caption: Caption, key: str) -> None:
        """Writes a stage's answer the moment it exists. Raises OSError if that is impossible."""
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
        self._note_content(sample.media)
        path = self._layout.path(sample.media, stage.output)
        self._journal.fail(self._layout.name(path), key, message)

    def content(self, media: Path) -> str:
        """A digest of the media file's bytes; unchanged size and time spare reading them."""
        name = self._layout.name(media)
        try:
            status = os.stat(media)
        except OSError:
            return "missing"
        known = self._journal.contents.get(name)
        same = known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns)
        # Disks count time in steps of up to 2 s: within one, a change would go unseen.
        if known and same and known.at - known.mtime_ns > 2_000_000_000:
            return known.digest
        try:
            with open(media, "rb") as file:
                digest = hashlib.file_digest(file, _blake2b).hexdigest()
        except OSError:
            return "unreadable"
        if known and not same:
            self._journal.content(name, status.st_size, status.st_mtime_ns, digest)
        elif not known:  # noted with the first text: a run that cannot start leaves no trace
            self._unnoted[name] = (status.st_size, status.st_mtime_ns, digest)
        return digest

    def _note_content(self, media: Path) -> None:
        name = self._layout.name(media)
        content = self._unnoted.pop(name, None)
        if content is not None:
            self._journal.content(name, *content)

    def _ours(
        self, sample: Sample, output: str, path: Path, data: bytes, record: Record | None
    ) -> bool:
        """True if the text standing at `path` may be replaced without asking."""
        if record is not None and text_hash(data) in record.hashes:
            return True
        if output != "final":
            return record is None and self._moved(data)
        return self._awaits(sample, path, data, record) or self._cleans_to(sample, data)

    def _moved(self, data: bytes) -> bool:
        """True for a draft or merge of ours whose file has another name now: what it was made from
        may be another picture, so it is made anew."""
        name = self._journal.sidecars.get(text_hash(data))
        return name is not None and not (self._layout.root / name).exists()

    def _awaits(self, sample: Sample, path: Path, data: bytes, record: Record | None) -> bool:
        """True if this is the person's caption itself, before the first publish replaces it."""
        if path != self._layout.original(sample.media) or (record and record.published):
            return False
        kept = self._kept_manual(sample.media)
        return kept == data or (kept is None and not self.is_final(sample.media, path, data))

    def _edited(self, sample: Sample, output: str, data: bytes) -> Caption:
        """A person's text as a caption; of a final it is said what is wrong, though it stays."""
        text = decode(data)[0]
        if output != "final":
            return Caption(text, "human")
        (cleaned,) = self._cleaner([Sample(sample.media, combined=Caption(text, "human"))])
        problems = tuple(replace(problem, blocking=False) for problem in cleaned.problems)
        return Caption(text, "human", problems=problems)

    def _cleans_to(self, sample: Sample, data: bytes) -> bool:
        """True if `data` is what the sample's combined caption would be published as."""
        if sample.combined is None or not sample.combined.usable:
            return False
        (caption,) = self._cleaner([sample])
        return not caption.blocked and caption.text.encode() == data

    def _kept_manual(self, media: Path) -> bytes | None:
        kept = (read(path) for path in self.kept(media))
        return next((data for data in kept if data is not None), None)

    def _publish(self, sample: Sample, caption: Caption, key: str, path: Path) -> None:
        if path == self._layout.original(sample.media):
            self._keep_manual(sample.media, path)
        self._replace(path, sample, "final", caption, key)
        self._journal.published(self._layout.name(path))

    def _keep_manual(self, media: Path, path: Path) -> None:
        """Keeps a person's `{name}.txt` byte for byte before it is replaced for the first time."""
        data = read(path)
        if data is None or self._kept_manual(media) is not None:
            return
        if not self.is_final(media, path, data):
            place = self._layout.path(media, "manual")
            self._writer.write(place, data, durable=True)
            self._journal.manual(self._layout.name(path), self._layout.name(place))

    def _replace(self, path: Path, sample: Sample, output: str, caption: Caption, key: str) -> None:
        name = self._layout.name(path)
        data = caption.text.encode("utf-8", "replace")
        old = read(path)
        if old is not None and old.strip():
            record = self._journal.records.get(name)
            if not self._ours(sample, output, path, old, record):
                self._journal.keep(name, old)
        self._journal.write(
            name,
            key,
            data,
            caption.finish,
            origin=caption.origin,
            problems=[[p.label, p.blocking, p.where, p.message] for p in caption.problems],
        )
        if old != data:
            self._writer.write(path, data, durable=output == "final")


def with_caption(sample: Sample, output: str, caption: Caption) -> Sample:
    """The sample with one field filled."""
    return replace(sample, **{output: caption})  # type: ignore[arg-type]


def _changed(old: str, new: str) -> str:
    """The names of the parts in which two fingerprints differ."""
    before = dict(part.split("=", 1) for part in old.split())
    after = dict(part.split("=", 1) for part in new.split())
    return ", ".join(name for name, digest in after.items() if before.get(name) != digest)


def _blake2b() -> hashlib._Hash:
    return hashlib.blake2b(digest_size=16)  # type: ignore[return-value]
