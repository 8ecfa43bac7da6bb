"""The last room: cleans the combined caption, or the captioner's own where nothing is merged, and
decides whether it may be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from stages import text
from stages.policy import Options, policy_of
from stages.sample import Caption, Sample, Unusable, fingerprint


class Clean:
    """A caption to the final one, with its problems. Sends nothing, loads nothing."""

    output = "final"
    batch_size = 1
    workers = 8  # each waits for the disk: finals are on it before they count

    def __init__(self, options: Options) -> None:
        self._options = options
        self._cleaning = text.CleanOptions.of(options)
        self.spent: Counter[str] = Counter()

    def key(self, sample: Sample) -> str:
        made = made_of(sample)
        name = "generated" if made and made is sample.generated else "combined"
        text = (made.text, made.finish, made.blocked) if made else None
        return f"{fingerprint(**{name: text})} {self._settings}"

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
        """Raises Unusable for a sample without a caption to clean."""
        return [self._final(sample) for sample in batch]

    def close(self) -> None:
        """Nothing to close."""

    def _final(self, sample: Sample) -> Caption:
        made = made_of(sample)
        if made is None:
            raise Unusable("there is no caption to clean")
        if made.blocked:
            # Who made it knows what cannot be seen here: that it is another picture's, say.
            return Caption("", "clean", problems=made.problems)
        cleaned = text.clean(
            made.text,
            lora_type=self._options.lora_type,
            anchor=self._options.anchor,
            finish=made.finish,
            options=self._cleaning,
        )
        return Caption(cleaned.text or "", "clean", problems=cleaned.problems)


def made_of(sample: Sample) -> Caption | None:
    """What the final caption is made of: the combined one, or where nothing is merged the draft."""
    return sample.combined if sample.combined is not None else sample.generated
