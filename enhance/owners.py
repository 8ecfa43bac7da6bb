"""Whose text is it? A person's is never lost; ours may be replaced.

A run knows its own texts by the journal's hashes. Where the journal was deleted, a caption that
equals what would be published now is ours, and the age of the others tells.
"""

from __future__ import annotations

import os
from pathlib import Path

from enhance.disk import Writer
from enhance.journal import Journal, Whose, text_hash
from stages.clean import made_of
from stages.dataset import Layout
from stages.load import read
from stages.sample import Caption, Sample, Stage
from stages.text.encoding import decode


class Owners:
    """Tells by the journal who wrote the texts of a dataset."""

    def __init__(self, layout: Layout, journal: Journal, cleaner: Stage) -> None:
        """`cleaner` tells our finals from a person's where the journal was deleted."""
        self._layout = layout
        self._journal = journal
        self._cleaner = cleaner

    def kept(self, media: Path) -> tuple[Path, ...]:
        """Where the manual caption may be kept: where this run would, and where another one did."""
        places = self._layout.kept(media)
        record = self._journal.record(self._layout.name(self._layout.original(media)))
        if record is not None and record.manual:
            places = (*places, self._layout.root / record.manual)
        return places

    def was_kept(self, media: Path) -> bool:
        """True if a run kept this file's manual caption, wherever that is now."""
        record = self._journal.record(self._layout.name(self._layout.original(media)))
        return record is not None and bool(record.manual)

    def is_final(self, media: Path, path: Path, data: bytes) -> bool:
        """True if `{name}.txt` is a published caption, as it was or edited since; False if it is
        a person's caption that waits to be used. Asked where no `_manual.txt` was kept."""
        name = self._layout.name(path)
        record = self._journal.record(name)
        if record is not None:
            return record.published or text_hash(data) in record.hashes
        combined_path = self._layout.path(media, "combined")
        if self._journal.record(self._layout.name(combined_path)) is not None:
            return False  # the journal is whole, and it never published this one
        combined = read(combined_path)
        if combined is None:
            return self._is_cleaned_draft(media, name, data)
        sample = Sample(media, combined=Caption(decode(combined)[0], ""))
        # The journal was deleted, or the files were renamed. What would be published now is ours;
        # else, a text younger than the merge is an edited final, an older one was merged. Noted at
        # once: the answer must not change when the merge is made anew.
        if self.cleans_to(sample, data):
            self._journal.adopt(name, data)
            return True
        younger = os.stat(path).st_mtime_ns > os.stat(combined_path).st_mtime_ns
        if younger:
            self._journal.published(name)
        return younger

    def _is_cleaned_draft(self, media: Path, name: str, data: bytes) -> bool:
        """True if `data` is what a draft would be published as that nothing was merged into."""
        draft = read(self._layout.path(media, "generated"))
        sample = Sample(media, generated=Caption(decode(draft)[0], "") if draft else None)
        if not self.cleans_to(sample, data):
            return False
        self._journal.adopt(name, data)
        return True

    def whose(self, sample: Sample, output: str, path: Path, data: bytes) -> Whose:
        """Who wrote the text standing at `path`. Raises OSError if what tells cannot be read."""
        record = self._journal.record(self._layout.name(path))
        if record is not None and text_hash(data) in record.hashes:
            return "ours"
        if output == "final":
            if self.awaits(sample.media, path, data):
                return "waiting"
            ours = self.cleans_to(sample, data)
        else:
            ours = record is None and self._moved(data)
        return "ours" if ours or not data.strip() else "person"

    def awaits(self, media: Path, path: Path, data: bytes) -> bool:
        """True if this is the person's caption itself, before the first publish replaces it."""
        record = self._journal.record(self._layout.name(path))
        if path != self._layout.original(media) or (record and record.published):
            return False
        kept = self._kept_manual(media)
        return kept == data or (kept is None and not self.is_final(media, path, data))

    def cleans_to(self, sample: Sample, data: bytes) -> bool:
        """True if `data` is what the sample's caption would be published as."""
        made = made_of(sample)
        if made is None or not made.usable:
            return False
        (caption,) = self._cleaner([sample])
        return not caption.blocked and caption.text.encode() == data

    def keep_manual(self, media: Path, path: Path, writer: Writer) -> None:
        """Keeps a person's `{name}.txt` byte for byte before it is replaced for the first time.

        Raises OSError if that is impossible.
        """
        data = read(path)
        if data is None:
            return
        place = self._layout.path(media, "manual")
        if self._kept_manual(media) is not None:
            # Killed between the copy and its line in the journal: undo must know of it.
            if not self.was_kept(media) and read(place) == data:
                self._journal.manual(self._layout.name(path), self._layout.name(place))
        elif not self.is_final(media, path, data):
            writer.write(place, data, durable=True, like=path)
            self._journal.manual(self._layout.name(path), self._layout.name(place))

    def _kept_manual(self, media: Path) -> bytes | None:
        kept = (read(path) for path in self.kept(media))
        return next((data for data in kept if data is not None), None)

    def _moved(self, data: bytes) -> bool:
        """True for a draft or merge of ours whose file has another name now: what it was made from
        may be another picture, so it is made anew."""
        name = self._journal.sidecar(data)
        return name is not None and not (self._layout.root / name).exists()
