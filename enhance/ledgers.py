"""What the ledgers of a run say together: how much of what people wrote came through, and how much
was made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from stages.policy import Options
from stages.sample import Caption, Sample
from stages.text import CleanOptions, Counts, Ledger, trace

_COUNTS = tuple(count.name for count in fields(Counts))

Rules = Callable[[Path], Options]


def ledger(sample: Sample, rules: Options) -> Ledger | None:
    """Where the words of the final caption, else of the combined one, come from.

    None where there is neither, or a person wrote it, or it was merged from nothing.
    """
    merged = sample.final or sample.combined
    if merged is None or not merged.usable or merged.origin == "human":
        return None
    manual, draft = _shown(sample.manual), _shown(sample.generated)
    if not manual and not draft:
        return None
    return trace(
        merged.text,
        manual=manual,
        draft=draft,
        lora_type=rules.lora_type,
        anchor=rules.anchor,
        options=CleanOptions.of(rules),
    )


class Ledgers:
    """Those of this rank, added up. Files with anything invented or lost are told one by one."""

    def __init__(self, rules: Rules) -> None:
        """`rules` are those of a media file."""
        self._rules = rules
        self._counts = [0] * len(_COUNTS)
        self._files: list[dict[str, Any]] = []

    def of(self, sample: Sample) -> dict[str, Any] | None:
        """What is to be told of one file."""
        found = ledger(sample, self._rules(sample.media))
        if found is None:
            return None
        counts = found.counts
        if sample.combined is None:  # the draft itself: nobody can tell what it made up
            counts = replace(counts, words=0, invented=0)
        told: dict[str, Any] = {"counts": [getattr(counts, name) for name in _COUNTS]}
        if found.invented or found.lost:
            told |= {"invented": found.invented, "lost": found.lost}
            told["claims"] = [[claim.text, claim.source] for claim in found.claims]
        return told

    def add(self, name: str, told: Mapping[str, Any]) -> None:
        """One file, as `of` tells of it."""
        self._counts = [a + b for a, b in zip(self._counts, told["counts"], strict=True)]
        if "claims" in told:
            words = {part: told[part] for part in ("invented", "lost", "claims")}
            self._files.append({"file": name, **words})

    def as_json(self) -> dict[str, Any]:
        return {**dict(zip(_COUNTS, self._counts, strict=True)), "files": self._files}


def together(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The ledgers of all ranks as the report tells them."""
    whole = Counts()
    files: list[Mapping[str, Any]] = []
    for part in parts:
        whole += Counts(**{count.name: part[count.name] for count in fields(Counts)})
        files += part["files"]
    return {
        **asdict(whole),
        "recall": _rounded(whole.recall),
        "invention_rate": _rounded(whole.invention_rate),
        "files": sorted(files, key=lambda row: str(row["file"])),
    }


def told(found: Mapping[str, Any]) -> str:
    """A line of the summary; "" if nothing was merged of which something can be told."""
    parts = []
    if found["recall"] is not None:
        parts.append(f"{found['recall']:.1%} of what people wrote is kept or rightly left out")
    if found["invention_rate"] is not None:
        parts.append(f"{found['invention_rate']:.1%} of the words are in neither source")
    return ", ".join(parts)


def _shown(caption: Caption | None) -> str:
    return caption.text if caption and caption.usable else ""


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
