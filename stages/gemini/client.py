"""Questions to one Gemini model: pictures or a video, and what is said about them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.answer import Message
from stages.chat.client import Client, Tries
from stages.chat.gate import Gate
from stages.chat.loop import Closed
from stages.chat.place import Role
from stages.chat.purse import Purse
from stages.chat.trouble import ENDING, Trouble
from stages.chat.wire import Unanswered, Unreadable, Untrusted
from stages.gemini.account import Account, generates, on_offer, plain, require_sdk
from stages.gemini.parts import Weights, contents
from stages.gemini.refusals import LostUpload
from stages.gemini.uploads import Upload, Uploads
from stages.gemini.ways import Way, Ways
from stages.llm import Manner, Options, Reply
from stages.sample import Fatal

if TYPE_CHECKING:
    from google.genai.types import GenerateContentResponse

log = logging.getLogger(__name__)

# Bytes of a video in a request, which Google bounds at 20 MB as base64; and 64 of them are held at
# once, each in several copies.
_INLINE = 5_000_000
_SHORT = 256  # tokens of an answer to a trial: some think before they say a word
_TRYING = 60.0  # seconds for one
_BROKEN = ("malformed_response", "malformed_function_call", "unexpected_tool_call")
_BANNED = "pup_limited_disabled"
_LATEST = re.compile(r"-latest$|-preview$|-exp$")


@dataclass(frozen=True, slots=True)
class Question:
    """One request, as it is put."""

    message: Message
    way: Way
    limit: int
    warmth: float | None
    upload: Upload | None = None


class Gemini(Client[Account, Question]):
    """One model, shared by all threads of this process."""

    def __init__(
        self,
        options: Options,
        key: str,
        gate: Gate | None,
        purse: Purse | None,
        *,
        role: Role,
        manner: Manner,
        detail: str,
        talk: Message,
    ) -> None:
        """`talk` is what it is tried with. Raises Fatal where a key is needed and there is none."""
        super().__init__(Account(options.base_url, key, role), options, gate, purse)
        self.origin = plain(options.model)
        self.name = self.origin or "the server's only model"
        self.manner = manner
        self._ways = Ways(manner, detail)
        self._weights = Weights()
        self._uploads = Uploads(self.host, options, purse)
        self._talk = talk

    def find(self) -> None:
        """Finds the model. Raises Fatal, with those on offer, if there is none of its name, or it
        answers no questions."""
        require_sdk()
        listed = self.host.listed(self.options.server_wait)
        names = None if listed is None else on_offer(listed)
        if not self.origin:
            if names is None:
                unlisted = f"{self.host.address} does not list its models ({self.host.unlisted})"
                raise Fatal(f"{unlisted}: name one with {self.host.role.model}")
            if len(names) != 1:
                pick = f"offers several models; pick one with {self.host.role.model}"
                raise self.host.fatal(f"{pick}: {self.host.offers(names) or 'none'}")
            self.origin = names[0]
        if listed is not None:
            model = listed.get(self.origin) or self.host.known(self.origin)
            offer = f"it offers: {self.host.offers(names or [])}; name one with "
            offer += self.host.role.model
            if model is None:
                raise self.host.fatal(f"knows no model {self.origin!r} (any more); {offer}")
            if not generates(model):
                raise self.host.fatal(f"{self.origin} answers no questions; {offer}")
            self._ways.longest = model.output_token_limit or 0
            if model.thinking is False:
                self._ways.thinks_not()
        self._ways.model = self.origin
        self._uploads.sweep()

    def trial(self, message: Message) -> Reply | None:
        """What it says to a short question, so that a bad key or model shows before the first file;
        None if that does not tell. Raises Fatal for what every file would meet."""
        for _ in range(self.LESSONS):
            question = self._short(message)
            try:
                _, answer = self._send(question, _TRYING, Tries())
                reply = self._read(question, answer)
            except (Unanswered, Untrusted, Unreadable):
                return None  # told by the first real question, if it lasts
            except Trouble as trouble:
                if trouble.of_wording and self._learn(question, trouble):
                    continue
                if trouble.kind in ENDING:
                    raise self.host.end(trouble, self.origin) from None
                return None
            self._purse.pay(self.options.cost(reply.prompt_tokens, reply.completion_tokens))
            return reply
        return None

    def __call__(self, message: Message, warmth: float | None, room: int) -> Reply:
        """Raises as `_counted` does."""

        def made() -> Question:
            film, way = message.film, self._ways.now
            upload = self._uploads.of(film) if film and film.size > _INLINE else None
            return Question(message, way, self._ways.limit(way, room), warmth, upload)

        return self._counted(made)

    def let_go(self, message: Message) -> None:
        """The message is answered: nothing of it stays with the server."""
        if message.film:
            self._uploads.let_go(message.film)

    def close(self) -> None:
        """Requests under way fail at once, and uploads are deleted."""
        self._uploads.close()
        super().close()

    def _weight(self, request: Question) -> tuple[int, int]:
        return self._weights.tokens(request.message), request.limit

    def _send(
        self, request: Question, seconds: float, tries: Tries
    ) -> tuple[Mapping[str, str], GenerateContentResponse]:
        message, way = request.message, request.way
        config = self._ways.config(way, message.said.system, request.warmth, request.limit, seconds)
        asked = contents(message, way.folds, request.upload)
        response = self.host.ask(
            lambda client: client.models.generate_content(
                model=self.origin, contents=asked, config=config
            ),
            seconds,
        )
        told = response.sdk_http_response
        headers = (told.headers if told else None) or {}
        return {name.lower(): value for name, value in headers.items()}, response

    def _read(self, request: Question, answer: GenerateContentResponse) -> Reply:
        usage, candidates = answer.usage_metadata, answer.candidates or []
        blocked = answer.prompt_feedback.block_reason if answer.prompt_feedback else None
        if not candidates and not blocked:
            raise Unreadable("an answer with neither a candidate nor a reason why there is none")
        said = candidates[0] if candidates else None
        parts = (said.content.parts or []) if said and said.content else []
        text = "".join(part.text or "" for part in parts if not part.thought)
        finish = _finish("" if said is None else _name(said.finish_reason))
        if finish in _BROKEN and not text.strip():
            raise Unreadable(finish)
        if finish == _BANNED:
            raise Trouble("key", "the account is limited or disabled by Google's use policy")
        if not candidates:
            finish, text = f"prompt_{_name(blocked).lower()}", ""
        thoughts = (usage.thoughts_token_count or 0) if usage else 0
        reply = Reply(
            text=text,
            finish=finish,
            prompt_tokens=(usage.prompt_token_count or 0) if usage else 0,
            completion_tokens=((usage.candidates_token_count or 0) if usage else 0) + thoughts,
            cached_tokens=(usage.cached_content_token_count or 0) if usage else 0,
            thought=thoughts > 0,
        )
        self._weights.learn(request.message, reply.prompt_tokens)
        self._compare(plain(answer.model_version or ""))
        return reply

    def _compare(self, version: str) -> None:
        """Requests for a model that was retired may go to another one."""
        named = _LATEST.sub("", self.origin)
        if version and not version.startswith(named) and named == self.origin:
            self.host.tell("model", f"{version} answers, asked for {self.origin}")

    def _learn(self, request: Question, trouble: Trouble) -> bool:
        film = request.message.film
        if isinstance(trouble, LostUpload):
            return film is not None and request.upload is not None and self._uploads.lost(film)
        return trouble.status == 400 and self._ways.learn(request.way, str(trouble))

    def _make_room(self, request: Question, reply: Reply) -> bool:
        cut = reply.finish == "length" and not reply.text.strip()
        return cut and self._ways.make_room(request.way, request.limit)

    def _answers(self) -> bool:
        question = self._short(self._talk)
        try:
            _, answer = self._send(question, _TRYING, Tries())
            return bool(self._read(question, answer))
        except (Unanswered, Untrusted, Unreadable, Trouble, Closed):
            return False

    def _short(self, message: Message) -> Question:
        return Question(message, self._ways.now, _SHORT, None)


def _name(reason: object) -> str:
    return str(getattr(reason, "value", reason) or "")


def _finish(reason: str) -> str:
    """Why an answer ended, as others say it; what has no other name stays as it is."""
    if reason in ("MAX_TOKENS", "CONTINUATION"):
        return "length"
    return "stop" if reason in ("", "STOP") else reason.lower()
