"""Several processes share the files by demand: who is slower or later does less, nobody hoards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import paces
import pytest
from doors import report_of
from launches import journals, wait_until
from torch.distributed import HashStore

from enhance.ranks import Ranks
from enhance.shares import Share, videos_first

FILES = {f"{number:02}.png": "plain" for number in range(24)}


def done_by(folder: Path) -> dict[int, int]:
    """How many drafts each rank has written."""
    return {rank: sum("hash" in line for line in lines) for rank, lines in journals(folder).items()}


def test_a_slower_process_does_less(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    paces.draw(folder, FILES)
    done = paces.run(
        folder,
        *("--batch_size", 4),
        launcher=paces.ranks(2),
        env={"PACED_SECONDS": "0.1", "PACED_SPEED": "0.1,1"},
    )
    assert done.returncode == 0, done.stderr
    assert report_of(folder)["files"] == {"all": 24, "captioned": 24}
    made = done_by(folder)
    assert made[0] < made[1]


def test_a_process_that_loads_its_model_leaves_the_files_to_the_others(tmp_path: Path) -> None:
    folder, gate = tmp_path / "pictures", tmp_path / "gate"
    paces.draw(folder, FILES)
    launch = paces.start(
        folder,
        *("--batch_size", 16),
        launcher=paces.ranks(2),
        # The one loads until the gate is opened, the other until the one is at it.
        env={"PACED_LATE": "1,0", "PACED_AFTER": "0,1", "PACED_GATE": str(gate)},
    )
    wait_until(lambda: len(paces.drafts(folder)) == 23)
    gate.touch()
    _, said = launch.communicate(timeout=120)
    assert launch.returncode == 0, said
    assert len(paces.drafts(folder)) == 24


@pytest.mark.parametrize("count", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize("world", [2, 3, 8])
def test_every_file_goes_to_one_process(count: int, world: int) -> None:
    store = HashStore()
    shares = [Share(range(count), Ranks(rank, world, rank, store)) for rank in range(world)]
    walks = {rank: iter(share) for rank, share in enumerate(shares)}
    got: list[int] = []
    while walks:
        for rank in list(walks):
            item = next(walks[rank], None)
            if item is None:
                del walks[rank]
            else:
                got.append(item)
    assert sorted(got) == list(range(count))


def test_files_that_stand_together_are_spread_over_the_run() -> None:
    share = Share(range(1000), Ranks(0, 4, 0, HashStore()))
    walk = list(share)
    for folder in (range(50), range(950, 1000), range(400, 450)):
        places = [place for place, item in enumerate(walk) if item in folder]
        quarters = Counter(place // 250 for place in places)
        assert set(quarters) == {0, 1, 2, 3}
        assert max(quarters.values()) <= 14


def test_no_process_takes_more_than_it_may_fairly_expect() -> None:
    store = HashStore()
    first, second = (Share(range(40), Ranks(rank, 8, rank, store)) for rank in range(2))
    assert first.batch(16) == 4
    assert first.rounds(4) == 1
    assert first.rounds(16) == 0
    first.serve(lambda: 4, computes=True)
    walk = iter(first)
    assert len([next(walk) for _ in range(4)]) == 4
    assert first.used_up
    second.serve(lambda: second.batch(16), computes=True)
    assert len(list(second)) == 36
    assert next(walk, None) is None
    assert first.batch(16) == 1


def test_what_a_broken_process_held_goes_to_the_others() -> None:
    store = HashStore()
    broken, well = (Share(range(40), Ranks(rank, 2, rank, store)) for rank in range(2))
    broken.serve(lambda: 8, computes=True)
    walk = iter(broken)
    held = [next(walk) for _ in range(5)]
    broken.ended(held[0])
    broken.give_back(but={held[1]})
    assert sorted(well) == sorted(set(range(40)) - {held[0], held[1]})


@pytest.mark.parametrize("costly", [0, 1, 7, 40])
def test_the_costly_files_are_claimed_before_the_others(costly: int) -> None:
    walk = list(Share(range(40), Ranks(0, 3, 0, HashStore()), costly=costly))
    assert sorted(walk[:costly]) == list(range(costly))
    assert sorted(walk[costly:]) == list(range(costly, 40))


def test_videos_are_the_costly_ones_where_several_processes_share() -> None:
    media = ["a.png", "b.MP4", "c.jpg", "d.webm"]
    assert videos_first(media, 1) == (media, 0)
    assert videos_first(media, 2) == (["b.MP4", "d.webm", "a.png", "c.jpg"], 2)
    assert videos_first(media[:1], 2) == (["a.png"], 0)
