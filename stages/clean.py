"""The last room: cleans the combined caption and decides whether it may be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from stages import text
from stages.policy import Options, policy_of
from stages.sample import Caption, Sample, Unusable, fingerprint


class Clean:
    """The combined caption to the final one, with its problems. Sends nothing, loads nothing."""

    output = "final"
    batch_size = 1
    workers = 8  # each waits for the disk: finals are on it before they count

    def __init__(self, options: Options) -> None:
        self._options = options
        self._cleaning = text.CleanOptions.of(options)
        self.spent: Counter[str] = Counter()

    def key(self, sample: Sample) -> str:
        combined = sample.combined
        text = (combined.text, combined.finish, combined.blocked) if combined else None
        return f"{fingerprint(combined=text)} {self._settings}"

    def settings(self, media: Path) -> str:
        return self._settings

    @cached_property
    def _settings(self) -> str:
        """What all keys have in common; told once."""
        return fingerprint(
            anchor=self._options.anchor,
            type=self._options.lora_type,
            policy=policy_of(self._options).judges,
            cleaner=text.VERSION,
        )

    def prepare(self) -> None:
        """Nothing to prepare."""

    def load(self) -> None:
        """Nothing to load."""

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """Raises Unusable for a sample without a combined caption."""
        return [self._final(sample) for sample in batch]

    def close(self) -> None:
        """Nothing to close."""

    def _final(self, sample: Sample) -> Caption:
        if sample.combined is None:
            raise Unusable("there is no combined caption to clean")
        if sample.combined.blocked:
            # The merge knows what cannot be seen here: that it is another picture's, say.
            return Caption("", "clean", problems=sample.combined.problems)
        cleaned = text.clean(
            sample.combined.text,
            lora_type=self._options.lora_type,
            anchor=self._options.anchor,
            finish=sample.combined.finish,
            options=self._cleaning,
        )
        return Caption(cleaned.text or "", "clean", problems=cleaned.problems)
