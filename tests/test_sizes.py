"""Batches that do not fit: halved, remembered, grown again, and told once."""

from __future__ import annotations

import itertools
from pathlib import Path

import paces
from doors import report_of

from enhance.sizes import Sizes


def test_batches_that_do_not_fit_are_halved_and_grow_again_and_the_size_is_told(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "pictures"
    kinds = {f"{number:03}.png": "plain" for number in range(200)}
    kinds["100.png"] = "too large"
    paces.draw(folder, kinds)
    done = paces.run(folder, "--batch_size", 16, env={"PACED_FITS": "6"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("batches of 16 did not fit: set --batch_size 6 next time") == 1
    report = report_of(folder)
    assert report["did_not_fit"] == {"generated": [16, 6]}
    assert report["files"] == {"all": 200, "captioned": 199, "failed": 1}
    (failed,) = report["failed"]
    assert failed["file"] == "100.png"
    assert failed["reason"] == "a batch of 1 does not fit"
    assert len(paces.drafts(folder)) == 199

    again = paces.run(folder, "--batch_size", 6, env={"PACED_FITS": "6"})
    assert "did not fit" not in again.stdout


def batches(sizes: Sizes, fits: int, count: int) -> list[int]:
    """The sizes of so many batches in turn, of which those above `fits` fail."""
    walk = []
    for _ in range(count):
        size = sizes.now
        walk.append(size)
        if size > fits:
            sizes.failed(size)
        else:
            sizes.fitted(size)
    return walk


def test_a_size_that_failed_is_not_tried_twice() -> None:
    sizes = Sizes(16)
    walk = batches(sizes, 6, 500)
    assert walk[:3] == [16, 8, 4]
    failed = [size for size in walk if size > 6]
    assert len(failed) == len(set(failed))
    assert sizes.now == sizes.advice == 6


def test_after_each_failure_a_larger_size_is_tried_half_as_soon() -> None:
    sizes = Sizes(64)
    walk = batches(sizes, 40, 500)
    failed = [place for place, size in enumerate(walk) if size > 40]
    waits = [after - before for before, after in itertools.pairwise(failed[1:])]
    assert waits == sorted(waits)
    assert waits[-1] >= 2 * waits[0]


def test_a_size_that_fits_is_left_alone() -> None:
    sizes = Sizes(16)
    assert set(batches(sizes, 16, 100)) == {16}
    assert sizes.advice == 0


def test_a_batch_gathered_before_the_size_was_found_too_large_is_no_news() -> None:
    sizes = Sizes(16)
    assert sizes.failed(16)
    assert not sizes.failed(16)
    assert sizes.now == 8


def test_a_size_that_fitted_and_fits_no_more_is_halved() -> None:
    sizes = Sizes(16)
    batches(sizes, 8, 5)
    assert sizes.now == 8
    assert sizes.failed(8)
    assert sizes.now == 4
