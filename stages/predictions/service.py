"""One model on Replicate: what it takes, and a prediction for each request."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from stages.answer import Attempt, Message
from stages.asking import Asked
from stages.chat.client import Client, Tries
from stages.chat.gate import Gate
from stages.chat.loop import Closed
from stages.chat.place import Role
from stages.chat.purse import Purse
from stages.chat.trouble import Trouble
from stages.chat.weight import Scale
from stages.chat.wire import Late, Unanswered, Unreadable, Untrusted
from stages.llm import Manner, Options, Reply
from stages.predictions.begun import Begun, Forgetful
from stages.predictions.course import Course
from stages.predictions.errand import Errand, digest_of
from stages.predictions.inputs import Inputs
from stages.predictions.output import seconds_of, text_of, tokens_of
from stages.predictions.site import Site, Told
from stages.sight import QUESTION, Sight


class Predictions(Client[Site, Errand]):
    """One model, shared by all threads of this process."""

    def __init__(
        self,
        options: Options,
        key: str,
        gate: Gate | None,
        purse: Purse | None,
        role: Role,
        manner: Manner,
        begun: Begun | None = None,
    ) -> None:
        """`begun` is what processes before this one left. Raises Fatal without a key."""
        site = Site(options.base_url, key, role, options.deadline)
        super().__init__(site, options, gate, purse)
        self.course = Course(site, options, begun or Forgetful())
        self._manner = manner
        self._latest = ""  # version of the model
        self._scale = Scale()

    def prepare(self) -> None:
        """Finds the account, the model and what it takes. Raises Fatal where one of them will not
        do."""
        self.host.find_sdk()
        self.host.models(self.options.server_wait)
        course = self.course
        try:
            found = self.host.run(self.host.version(course.model, course.version))
        except Trouble as trouble:
            unknown = trouble.status == 404
            what = Trouble("model", str(trouble), 404) if unknown else trouble
            raise self.host.end(what, self.origin) from None
        except (Unanswered, Untrusted, Unreadable) as error:
            raise self.host.fatal(self.host.masked(error)) from None
        self._latest = str(found.get("id") or "")
        course.inputs = Inputs.of(found.get("openapi_schema") or {})
        self._fit(course.inputs)

    def errand(self, message: Message, attempt: Attempt, manner: Manner) -> Errand:
        """Raises OSError for a video that cannot be read."""
        made = Errand(message, attempt, manner)
        made.key = digest_of(made, self.host.address, self.options.model)
        return made

    def __call__(self, errand: Errand) -> Reply:
        """Raises as `Client._counted` does."""
        try:
            return self._counted(lambda: errand)
        finally:
            self._tidy(errand)

    def let_go(self, message: Message) -> None:
        """Nothing of what it shows need stay with the service."""
        ours = self.course.uploads.of(message)
        if ours:
            with suppress(Closed):  # then all are deleted
                self.host.run(self.course.uploads.delete(ours))

    def _fit(self, inputs: Inputs) -> None:
        """Raises Fatal for a model that cannot be asked about pictures."""
        fatal = self.host.fatal
        if not inputs.names:
            raise fatal(f"{self.origin} does not tell its input fields, so it cannot be asked")
        listed = ", ".join(inputs.names)
        if inputs.picture is None:
            flag = self.host.role.model
            raise fatal(f"{self.origin} takes no picture, only {listed}; name another with {flag}")
        if unfilled := inputs.unfilled(self._manner):
            needs = ", ".join(unfilled)
            raise fatal(f"{self.origin} needs {needs}, which nothing here fills; it takes {listed}")
        if inputs.prompt is None:
            said = f"{self.origin} takes no prompt: it describes pictures as it does by itself"
            self.host.tell("prompt", said)

    def _weight(self, request: Errand) -> tuple[int, int]:
        return self._scale.tokens(request.talk), request.manner.max_tokens

    def _send(
        self, request: Errand, seconds: float, tries: Tries
    ) -> tuple[Mapping[str, str], Told]:
        # A model that has yet to start is not late: that counts for the deadline alone.
        left = max(0.1, self.options.deadline - tries.seconds)
        try:
            return {}, self.host.run(self.course.whole(request, left))
        except Late:
            tries.late += 1  # what ran so long would again, and be paid again
            raise

    def _read(self, request: Errand, answer: Told) -> Reply:
        metrics = answer.get("metrics")
        request.seconds = seconds_of(metrics)
        read, written = tokens_of(metrics)
        self._scale.learn(request.talk, read)
        if self.options.max_cost and not written:
            self.host.tell("uncounted", f"{self.origin} tells no tokens: --max_cost cannot hold")
        if answer.get("status") != "succeeded":
            return Reply(str(answer.get("error")), "content_filter", read, written)
        try:
            text = text_of(answer.get("output"))
        except ValueError as error:
            # Unreadable would have it made again, and paid again.
            raise self._given_up(f"{self.origin}: {error}") from None
        limit = self.course.inputs.limit
        most = request.input.get(limit.name) if limit else None
        return Reply(text, "length" if most and written >= most else "stop", read, written)

    def _learn(self, request: Errand, trouble: Trouble) -> bool:
        """Only the vendor's own models are run by their name; others by that of a version."""
        unknown = trouble.status in (404, 405) or "version" in str(trouble).lower()
        if not (request.by_name and unknown and self._latest):
            return False
        self.course.version = self._latest
        return True

    def _answers(self) -> bool:
        message = Message(Asked(QUESTION), (Sight().picture,))
        errand = self.errand(message, Attempt(), self._manner)
        try:
            seconds = min(60.0, self.options.timeout)
            told = self.host.run(self.course.whole(errand, seconds))
            return bool(self._read(errand, told).text)
        except (RuntimeError, Trouble, Unanswered, Untrusted, Unreadable, Closed):
            return False
        finally:
            self._tidy(errand)

    def _tidy(self, errand: Errand) -> None:
        if errand.prediction and not errand.ended:
            with suppress(Closed):  # then it was left already
                self.host.run(self.course.left(errand))
