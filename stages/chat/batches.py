"""OpenAI's Batch API: a file of requests goes up, a file of answers comes down within a day.

Nothing is decided here but what becomes of a request of the API itself that fails: it is made again
for a while, then the run ends, and what is under way goes on at the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote

from stages.chat.freight import Freight
from stages.chat.host import Host
from stages.chat.trouble import ENDING, wait_of
from stages.chat.wire import Answer, Unanswered, Untrusted

ENDPOINT = "/v1/chat/completions"
ENDED = ("completed", "failed", "expired", "cancelled")
FULL = "token_limit_exceeded"  # of a queue in which no more tokens may wait

_TAG = "enhance"  # what our batches are called in their metadata
_SECONDS = 60.0  # of an answer that is no file
_PATIENCE = 300.0  # seconds of a server that answers nothing, while there is something to send
_OUTAGE = 3600.0  # and while there is only something to wait for
_PAGE = 100
_SKEW = 86_400  # seconds that its clock and ours may differ by
_NONE = (404, 405, 501)  # there is no such thing


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the server tells of it."""

    id: str
    status: str
    tag: str
    created: float
    input: str
    files: tuple[str, ...]  # of answers, and of requests that failed
    done: int
    errors: tuple[tuple[str, str], ...]  # (code, message), of one that failed as a whole
    wait: float | None = None  # seconds after which the server wants to be asked again

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Batches:
    """The batches and files of one server. Any thread may ask.

    Everything raises Fatal for what no repetition helps against, Closed once it is closed.
    """

    def __init__(self, host: Host) -> None:
        """`host` is who is spoken of, and whose key is sent."""
        self._host = host
        headers = {"authorization": f"Bearer {host.key}"}
        self._wire = Freight(host.address, headers, proxies=not host.local)

    def check(self) -> None:
        """Raises Fatal if the server has no such API."""
        self._page("")

    def find(self, tags: Mapping[str, float]) -> dict[str, str]:
        """The ids of the batches with these tags, of which each was chosen at a time."""
        found: dict[str, str] = {}
        oldest = min(tags.values(), default=0.0) - _SKEW
        for batch in self._listed():
            if 0 < batch.created < oldest or len(found) == len(tags):
                break
            if batch.tag in tags:
                found[batch.tag] = batch.id
        return found

    def remove_inputs(self, tags: Collection[str]) -> None:
        """Deletes the files of requests that were sent under these tags."""
        names = {_name(tag) for tag in tags}
        path = "files?purpose=batch&limit=1000"
        after = ""
        while names:
            page = self._json(self._get(path + after, "the list of files"))
            files = page.get("data") or []
            for file in files:
                if file.get("filename") in names:
                    self.remove(str(file["id"]))
            if not files or not page.get("has_more"):
                return
            after = f"&after={quote(str(files[-1]['id']))}"

    def submit(self, requests: IO[bytes], tag: str) -> Batch:
        """Sends a file of requests, and starts its batch once: an answer that is lost is looked
        for before it is started again."""
        fields, name = {"purpose": "batch"}, _name(tag)
        sent = self._asked(
            lambda: self._wire.upload("files", fields, requests, name), "a file of requests"
        )
        file = self._json(sent).get("id")
        if not isinstance(file, str):
            raise self._host.fatal(f"took a file of requests and answers {sent.text[:200]}")
        body = {
            "input_file_id": file,
            "endpoint": ENDPOINT,
            "completion_window": "24h",
            "metadata": {_TAG: tag},
        }
        chosen = {tag: time.time()}
        again = False

        def create() -> Answer | str:
            nonlocal again
            if again and (known := self.find(chosen).get(tag)):
                return known
            again = True
            return self._wire.post("batches", body, _SECONDS)

        made = self._asked(create, "a batch")
        if isinstance(made, str):
            return self._known(made)
        return self._batch(self._json(made), made)

    def look(self, batch: str) -> Batch | None:
        """How it stands; None if the server knows none of that name."""
        answer = self._get(f"batches/{quote(batch)}", "a batch", _OUTAGE, (404,))
        return None if answer.status == 404 else self._batch(self._json(answer), answer)

    def fetch(self, file: str, into: IO[bytes]) -> bool:
        """Writes a file of the server's into `into`; False if it is gone."""

        def download() -> Answer:
            into.seek(0)
            into.truncate()
            return self._wire.download(f"files/{quote(file)}/content", into)

        answer: Answer = self._asked(download, "a file of answers", _OUTAGE, (404,))
        return answer.status != 404

    def remove(self, file: str) -> None:
        """Deletes a file. It costs nothing if that fails: the server forgets it after a month."""
        try:
            self._wire.delete(f"files/{quote(file)}", _SECONDS)
        except (Unanswered, Untrusted):
            return

    def close(self) -> None:
        """What is under way ends now, with Closed."""
        self._wire.close()

    def _listed(self) -> Iterator[Batch]:
        after = ""
        while True:
            page = self._page(after)
            batches = page.get("data") or []
            for one in batches:
                yield self._batch(one, None)
            if not batches or not page.get("has_more"):
                return
            after = f"&after={quote(str(batches[-1]['id']))}"

    def _page(self, after: str) -> Mapping[str, Any]:
        answer = self._get(f"batches?limit={_PAGE}{after}", "the list of batches", _PATIENCE, _NONE)
        if answer.status in _NONE:
            raise self._host.fatal(
                f"has no Batch API (GET batches: HTTP {answer.status}): leave out --batch_api"
            )
        return self._json(answer)

    def _known(self, batch: str) -> Batch:
        told = self.look(batch)
        if told is None:
            raise self._host.fatal(f"lists a batch {batch} that it does not know")
        return told

    def _get(
        self, path: str, what: str, patience: float = _PATIENCE, taken: Collection[int] = ()
    ) -> Answer:
        answer: Answer = self._asked(lambda: self._wire.get(path, _SECONDS), what, patience, taken)
        return answer

    def _asked(
        self,
        ask: Callable[[], Any],
        what: str,
        patience: float = _PATIENCE,
        taken: Collection[int] = (),
    ) -> Any:
        """What `ask` returns: an answer of success or of a status in `taken`, or what is none.
        Asked again while that may help."""
        began, times = time.monotonic(), 0
        while True:
            seconds = None
            try:
                answer = ask()
                if not isinstance(answer, Answer):
                    return answer
                if answer.status < 300 or answer.status in taken:
                    return answer
                trouble = self._host.trouble(answer)
                if trouble.kind in ENDING and trouble.kind != "model":
                    raise self._host.end(trouble, "")
                if trouble.kind not in ("busy", "crowded", "loading", "broken"):
                    raise self._host.fatal(f"refuses {what}: {trouble}")
                why, seconds = str(trouble), trouble.seconds
            except Untrusted as error:
                raise self._host.fatal(self._host.masked(error)) from None
            except Unanswered as error:
                why = self._host.masked(error)
            if time.monotonic() - began > patience:
                raise self._host.fatal(
                    f"{what}: {why}, for {patience / 60:.0f} minutes; start again later, what is "
                    "under way goes on there and is collected then"
                )
            times += 1
            self._host.tell("batches", f"{what}: {why}; asking again")
            self._host.pause(min(0.25 * 2**times, 30.0) if seconds is None else seconds)

    def _json(self, answer: Answer) -> Mapping[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            said = " ".join(answer.text.split())[:200]
            raise self._host.fatal(f"has no Batch API, it answers {said!r}: leave out --batch_api")
        return found

    def _batch(self, told: Any, answer: Answer | None) -> Batch:
        try:
            errors = (told.get("errors") or {}).get("data") or []
            counts = told.get("request_counts") or {}
            files = (told.get("output_file_id"), told.get("error_file_id"))
            return Batch(
                id=str(told["id"]),
                status=str(told["status"]),
                tag=str((told.get("metadata") or {}).get(_TAG, "")),
                created=float(told.get("created_at") or 0),
                input=str(told.get("input_file_id") or ""),
                files=tuple(str(file) for file in files if file),
                done=int(counts.get("completed") or 0) + int(counts.get("failed") or 0),
                errors=tuple(
                    (str(error.get("code") or ""), self._host.masked(error.get("message") or ""))
                    for error in errors
                ),
                wait=wait_of(answer.headers) if answer else None,
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            said = self._host.masked(told)[:200]
            raise self._host.fatal(f"tells of a batch in a way unknown here: {said}") from None


def _name(tag: str) -> str:
    """Of the file of requests, by which it is found again."""
    return f"enhance-{tag}.jsonl"
