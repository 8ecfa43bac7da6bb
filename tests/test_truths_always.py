"""Whatever people and runs do to a dataset, in whatever order: no text of a person is lost."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from doors import run_here, snapshot
from few import texts
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from loopback import Answer, ChatServer, merge
from PIL import Image

from enhance.journal import Journal

STEMS = st.sampled_from(["one", "two words"])
PLACES = st.sampled_from(["{}.txt", "{}_manual.txt", "{}_combined.txt"])
TEXTS = st.sampled_from(
    [b"waving", b"annika waving", b"caf\xe9", b"two\r\nlines\n", b"\xef\xbb\xbfwith a mark", b"x"]
)
JOBS = st.sampled_from([("clean", "--anchor", "annika"), ("clean",), ("fix-encoding",)])


class Dataset(RuleBasedStateMachine):
    """People write, edit and delete; runs merge and publish, under changing settings."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "images"
        self.folder.mkdir()
        self.server = ChatServer()
        self.server.__enter__()
        # What people wrote and did not themselves replace or delete, by where they wrote it.
        self.written: dict[Path, bytes] = {}
        self.refusing = False
        self.count = 0
        self.server.script = lambda number, body: (
            Answer("I'm sorry, I can't help with that.") if self.refusing else merge(number, body)
        )

    def teardown(self) -> None:
        self.server.__exit__()
        shutil.rmtree(self.folder.parent)

    @initialize()
    def pictures(self) -> None:
        for name in ("one", "two words"):
            Image.new("RGB", (4, 4)).save(self.folder / f"{name}.png")

    @rule(stem=STEMS, place=PLACES, text=TEXTS)
    def write(self, stem: str, place: str, text: bytes) -> None:
        path = self.folder / place.format(stem)
        self.forget(path)
        if "_combined" in place:  # what we wrote there ourselves, written again, is still ours
            self.count += 1
            text += b" by hand, number %d" % self.count
        path.write_bytes(text)
        self.written[path] = text

    @rule(stem=STEMS, place=PLACES)
    def delete(self, stem: str, place: str) -> None:
        path = self.folder / place.format(stem)
        self.forget(path)
        path.unlink(missing_ok=True)

    def forget(self, path: Path) -> None:
        """What stands there now is about to be replaced or deleted by the person."""
        gone, kept = read(path), self.kept()
        self.written.pop(path, None)
        for other, text in list(self.written.items()):
            if text == gone and read(other) != text and text not in kept:
                del self.written[other]  # `path` was the manual caption kept from `other`

    @rule()
    def delete_the_journal(self) -> None:
        kept = self.kept()
        shutil.rmtree(self.folder / ".enhance", ignore_errors=True)
        # What only the journal still held is thereby deleted by the person.
        for path, text in list(self.written.items()):
            if text in kept and not self.stands(path, text):
                del self.written[path]

    @rule(refusing=st.booleans())
    def the_model_changes_its_mind(self, refusing: bool) -> None:
        self.refusing = refusing

    @rule(
        anchor=st.sampled_from(["annika", "zoe", ""]),
        overwrite=st.sampled_from([(), (), ("combined",), ("final",), ("all",)]),
        until=st.sampled_from(["final", "final", "combined"]),
    )
    def run(self, anchor: str, overwrite: tuple[str, ...], until: str) -> None:
        before = {path: text for path, text in self.written.items() if read(path) == text}
        flags = ["--anchor", anchor, "--lora_type", "motion", "--until", until, "--no_generate"]
        flags += ["--dataset_dir", str(self.folder), "--base_url", self.server.url]
        assert run_here(*flags, *(("--overwrite", *overwrite) if overwrite else ())) == 0
        self.nothing_is_lost()
        for path, text in before.items():
            if path.name.endswith("_manual.txt") or (
                path.name.endswith("_combined.txt") and not {"combined", "all"} & set(overwrite)
            ):
                assert read(path) == text, "an edited sidecar was overwritten"
        if not overwrite:
            left, sent = snapshot(self.folder), len(self.server.requests)
            assert run_here(*flags) == 0
            assert snapshot(self.folder) == left, "a second run touched a file"
            assert len(self.server.requests) == sent, "a second run sent a request"

    @rule(job=JOBS)
    def job(self, job: tuple[str, ...]) -> None:
        """A job on captions that exist, which a second time finds nothing to do."""
        assert run_here(job[0], self.folder, *job[1:]) == 0
        self.nothing_is_lost()
        left = snapshot(self.folder)
        assert run_here(job[0], self.folder, *job[1:]) == 0
        assert snapshot(self.folder) == left, "a second time a file was touched"

    @rule()
    def undo(self) -> None:
        assert run_here("undo", self.folder) == 0
        self.nothing_is_lost()

    @rule(
        job=JOBS | st.just(("run",)),
        anchor=st.sampled_from(["annika", "zoe", ""]),
        overwrite=st.sampled_from([(), (), ("combined",), ("all",)]),
    )
    def what_is_undone_at_once_leaves_every_text_as_it_was(
        self, job: tuple[str, ...], anchor: str, overwrite: tuple[str, ...]
    ) -> None:
        before = texts(self.folder)
        if job == ("run",):
            self.run(anchor, overwrite, "final")
        else:
            self.job(job)
        after = texts(self.folder)
        assert before.keys() <= after.keys()
        if all(after[name] == data for name, data in before.items()):
            return  # it replaced nothing, so an earlier run would be undone
        self.undo()
        present = texts(self.folder)
        assert {name: present[name] for name in before} == before
        if job != ("run",):
            assert present == before

    @precondition(lambda self: not self.refusing)
    @rule(stem=STEMS, text=TEXTS, job=st.none() | JOBS)
    def an_edited_final_stays(self, stem: str, text: bytes, job: tuple[str, ...] | None) -> None:
        """After a run that published, an edit by hand is never overwritten, cleaned or not."""
        path = self.folder / f"{stem}.txt"
        if not list(self.folder.glob(f"{stem}*.txt")):
            self.write(stem, "{}.txt", text)  # else there would be nothing to publish
        self.run("annika", (), "final")
        record = Journal(self.folder / ".enhance", 0, read_only=True).record(path.name)
        if record is None or not record.published:
            return
        edited = b"by hand: " + text
        self.write(stem, "{}.txt", edited)
        if job is not None:
            self.job(job)
            edited = path.read_bytes()
        self.run("zoe", (), "final")
        assert read(path) == edited

    def nothing_is_lost(self) -> None:
        for path, text in self.written.items():
            assert self.stands(path, text) or text in self.kept(), (path.name, text)

    def kept(self) -> list[bytes]:
        """The texts that the journal keeps."""
        lines = [
            json.loads(line)
            for journal in self.folder.glob(".enhance/journal.*.jsonl")
            for line in journal.read_text().splitlines()
        ]
        kept = [line[name] for line in lines for name in ("kept", "was") if name in line]
        return [text.encode("utf-8", "surrogateescape") for text in kept]

    def stands(self, path: Path, text: bytes) -> bool:
        """True if a text stands where it was written, or as the manual caption kept from there."""
        stem = path.name.removesuffix(".txt")
        return text in (read(path), read(path.with_name(f"{stem}_manual.txt")))


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


TestDataset = Dataset.TestCase
TestDataset.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
