"""The main job, from a folder of pictures to the captions trainers read."""

from pathlib import Path

from doors import finals, local_models, report_of, run_here, snapshot, with_server
from loopback import ChatServer


def test_a_folder_becomes_captions_that_fuse_what_was_written_and_what_is_seen(
    dataset: Path, server: ChatServer
) -> None:
    assert run_here("--dataset_dir", dataset, *with_server(server)) == 0
    captions = finals(dataset)
    assert len(captions) == 12
    assert captions["03 été"] == (
        "a white square to the left of a white circle in cutout style, "
        "page two, medium shot, playful mood"
    )
    assert captions["04 日本"] == "a green square above an orange cross in cutout style"
    assert report_of(dataset)["files"] == {"all": 12, "captioned": 12}


def test_a_second_run_sends_nothing_and_touches_no_file(dataset: Path, server: ChatServer) -> None:
    run_here("--dataset_dir", dataset, *with_server(server))
    before, sent = snapshot(dataset), (len(server.requests), server.probes)
    assert run_here("--dataset_dir", dataset, *with_server(server)) == 0
    assert snapshot(dataset) == before
    assert (len(server.requests), server.probes) == sent


def test_without_a_server_the_merge_runs_in_process(dataset: Path) -> None:
    assert run_here("--dataset_dir", dataset, *local_models()) == 0
    assert finals(dataset)["01"] == (
        "a yellow square above a black star in cutout style, "
        "wide shot, bright noon light, calm mood"
    )
