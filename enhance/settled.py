"""Files of which a run saw that nothing is left to do: the next one need not look at each text.

When all captions of a file stand, a run notes a digest of everything that they were made from: what
all keys share, the state of the media file, the texts. A run that finds the same digest, and no
line about the file behind it, would find each text up to date. Whatever differs, even if it does
not matter, is looked at text by text, as `enhance/cache.py` does.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhance.concepts import Concepts
from enhance.journal import Journal, text_hash
from enhance.rooms import part_of
from stages.dataset import SUFFIXES, Layout
from stages.load import read
from stages.sample import Caption, Sample, Stage
from stages.text.encoding import Unreadable, readable

_ENDINGS = {output: f"{suffix}.txt" for output, suffix in SUFFIXES.items()} | {"final": ".txt"}


_Place = tuple[str, str]  # of texts: what stands before the stem of the media file, and what behind


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for the files of a folder that have one extension."""

    settings: bytes
    manual: tuple[_Place, ...]  # where a person's caption may stand, the surest place first
    texts: dict[str, _Place]  # by the stage that makes them


@dataclass(frozen=True, slots=True)
class _State:
    """A file and its texts as they stand; `manual` as people wrote it, kept or not."""

    status: os.stat_result
    manual: bytes | None
    texts: list[bytes | None]

    def digest(self, rules: _Rules) -> str:
        status, texts = self.status, (self.manual, *self.texts)
        sizes = [-1 if text is None else len(text) for text in texts]
        kind = stat.S_IFMT(status.st_mode)
        of_file = repr((kind, status.st_size, status.st_mtime_ns, sizes)).encode()
        parts = (rules.settings, of_file, *(text or b"" for text in texts))
        return hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()


class Settled:
    """What is known of files without looking at their texts one by one."""

    def __init__(
        self,
        layout: Layout,
        journal: Journal,
        stages: Sequence[Stage],
        concepts: Concepts,
        overwrite: Sequence[str],
    ) -> None:
        self._layout = layout
        self._journal = journal
        self._stages = stages
        self._concepts = concepts
        self._rules: dict[tuple[str, str], _Rules] = {}
        self._off = bool(overwrite) or all(stage.output != "final" for stage in stages)

    def look(self, media: str) -> tuple[Collection[str], dict[str, Any]] | None:
        """Of a file that is as it was when it was noted: the stages that it went through, and what
        was told of it."""
        if self._off:
            return None
        name = self._layout.name(media)
        line = self._journal.last(name)
        if line is None or line.get("media") != name or "settled" not in line:
            return None
        stem, rules = self._rules_of(media)
        try:
            same = _state(media, stem, rules).digest(rules) == line["settled"]
        except OSError:  # the long way tells
            return None
        return (rules.texts, line["told"]) if same else None

    def note(self, sample: Sample, told: dict[str, Any]) -> None:
        """Call with a sample that came through all stages, and what was told of it. Nothing is
        noted of a file of which this run noted nothing else: a second run changes nothing."""
        media, name = os.fspath(sample.media), self._layout.name(sample.media)
        if self._off or not self._journal.worked(name):
            return
        stem, rules = self._rules_of(media)
        try:
            state = _state(media, stem, rules)
        except OSError:
            return
        if self._holds(sample, state, rules):
            self._journal.settle(name, state.digest(rules), told)

    def _holds(self, sample: Sample, state: _State, rules: _Rules) -> bool:
        """True if the journal knows all that stands there, and the sample is made of it: somebody
        may have written into a text meanwhile."""
        name = self._layout.name
        for output, data in zip(rules.texts, state.texts, strict=True):
            caption: Caption | None = getattr(sample, output)
            record = self._journal.record(name(self._layout.path(sample.media, output)))
            if caption is None or caption.origin == "human" or caption.blocked or data is None:
                return False
            if record is None or record.hash != text_hash(data) or _text(data) != caption.text:
                return False
        if not self._same_manual(sample, state.manual):
            return False
        content = self._journal.content_of(name(sample.media))
        status = state.status
        return "generated" not in rules.texts or (
            content is not None
            and (content.size, content.mtime_ns) == (status.st_size, status.st_mtime_ns)
            and content.sure
        )

    def _same_manual(self, sample: Sample, data: bytes | None) -> bool:
        """True if what a person wrote is what the sample holds, and nothing is to be told of it:
        that names the file, which is another one in the next run."""
        if sample.manual is not None:
            same = data is not None and _text(data) == sample.manual.text
            return same and not sample.manual.problems
        original = self._layout.name(self._layout.original(sample.media))
        record = self._journal.record(original)
        return data is None and (record is None or not record.manual)

    def _rules_of(self, media: str) -> tuple[str, _Rules]:
        """The stem of a media file, and what holds for it."""
        # By hand: os.path would take longer than to read a text.
        above, end = media.rindex(os.sep) + 1, media.rindex(".")
        known = media[:above], media[end:]
        rules = self._rules.get(known)
        if rules is None:
            rules = self._rules[known] = self._made(Path(media), known[0])
        return media[above:end], rules

    def _made(self, media: Path, folder: str) -> _Rules:
        layout = self._layout
        parts = [(stage.output, part_of(stage, Sample(media))) for stage in self._stages]
        told = [
            *((output, part.settings(media) if part else "") for output, part in parts),
            self._concepts.of(media).policy,  # by which the ledger was made
            *(self._elsewhere(layout.sidecars), self._elsewhere(layout.finals)),
            layout.extension,
        ]
        sidecars, finals = layout.stem(folder, layout.sidecars), layout.stem(folder, layout.finals)
        manual = [(sidecars, _ENDINGS["manual"])]
        if layout.sidecars is not layout.root:
            manual.append((folder, _ENDINGS["manual"]))
        if layout.finals is not layout.root:
            manual.append((folder, layout.extension))
        texts = {output: (sidecars, _ENDINGS[output]) for output, part in parts if part}
        texts["final"] = finals, layout.extension
        return _Rules(repr(told).encode("utf-8", "surrogatepass"), tuple(manual), texts)

    def _elsewhere(self, folder: Path) -> str:
        """The folder if it is not the dataset's own, which may be moved."""
        return "" if folder is self._layout.root else self._layout.name(folder)


def unsettled(
    share: Iterable[str],
    settled: Settled,
    count: Callable[[str, Collection[str], dict[str, Any]], None],
) -> Iterator[str]:
    """The media that have to be looked at text by text; `count` gets the others, each with what is
    known of it."""
    for media in share:
        found = settled.look(media)
        if found is None:
            yield media
        else:
            count(media, *found)


def _state(media: str, stem: str, rules: _Rules) -> _State:
    """Raises OSError for what cannot be read."""
    status = os.stat(media)
    manual = None
    for before, behind in rules.manual:
        manual = read(before + stem + behind)
        if manual is not None:
            break
    texts = [read(before + stem + behind) for before, behind in rules.texts.values()]
    return _State(status, manual, texts)


def _text(data: bytes) -> str | None:
    try:
        return readable(data)[0]
    except Unreadable:
        return None
