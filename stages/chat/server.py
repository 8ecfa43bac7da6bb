"""The chat client: any server that speaks OpenAI's chat completions.

What becomes of a request that fails `client` decides; `dialect` says how one is put.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from stages.chat.client import Client, Tries
from stages.chat.dialect import Dialect, ErrorInside, limit_of, only_thoughts, read_reply
from stages.chat.gate import Gate
from stages.chat.host import MERGING, Host
from stages.chat.place import QUOTA, Role
from stages.chat.probe import SMALL_TALK, Probe
from stages.chat.purse import Purse
from stages.chat.tokens import count_tokens
from stages.chat.trouble import Trouble, of_error
from stages.chat.weight import Scale, text_tokens
from stages.chat.wire import Answer
from stages.llm import Conversation, Manner, Options, Reply

log = logging.getLogger(__name__)

Body = Mapping[str, Any]


class Server(Client[Host, Body]):
    """One server and model, shared by all threads of this process."""

    batch_size = 1

    def __init__(
        self,
        options: Options,
        key: str,
        gate: Gate | None = None,
        purse: Purse | None = None,
        *,
        role: Role = MERGING,
        manner: Manner | None = None,
        talk: Conversation = SMALL_TALK,
    ) -> None:
        """`key` may be empty for a local server. The gate of its address and the purse of the run
        may be shared with other clients. `talk` is what it is probed with."""
        super().__init__(Host(options.base_url, key, role), options, gate, purse)
        self.manner = manner or options.manner
        self.name = options.model or "the server's only model"
        self._dialect = Dialect(self.origin, self.manner)
        self._scale = Scale()
        self._probe = Probe(self.host, self._dialect, talk, min(60.0, options.timeout))

    def prepare(self) -> None:
        """Finds the server and its model. Raises Fatal, with the address, if it cannot."""
        listed = self.find()
        if not self.host.local or not listed:
            # Public lists of models need no key, and lists of local servers are not complete.
            self.probe()

    def find(self) -> bool:
        """Finds the server and its model; False if it lists others. Raises Fatal as `prepare`."""
        names = self.host.models(wait=self.options.server_wait)
        if not self.origin:
            self.origin = self._dialect.model = self.host.only_model(names)
            log.info("%s with %s at %s", self.host.role.doing, self.origin, self.host.address)
        return names is None or self.origin in names

    def probe(self, talk: Conversation | None = None) -> Reply | None:
        """What it says to a few words, so that a bad key or model shows before the first file; None
        if that does not tell. Raises Fatal for what every file would meet."""
        reply = self._probe.say(talk)
        if reply:
            self._purse.pay(self.options.cost(reply.prompt_tokens, reply.completion_tokens))
        return reply

    def load(self) -> None:
        """Nothing to load."""

    def __call__(
        self,
        conversations: Sequence[Conversation],
        temperature: float | None = None,
        room: int = 1,
    ) -> list[Reply]:
        """One reply each, of up to `room` times as many tokens as its manner says. Raises Fatal for
        a bad key, an unknown model, a lost server, a quota that is spent; RuntimeError for what
        costs one file; TooLong for a full context."""
        warmth = self.manner.temperature if temperature is None else temperature

        def asked(conversation: Conversation) -> Reply:
            return self._counted(lambda: self._dialect.request(conversation, warmth, room))

        return [asked(conversation) for conversation in conversations]

    def tokens(self, texts: Sequence[str]) -> list[int] | None:
        """By the model's own files, if they are on this machine, else by the endpoint that the
        servers of llama.cpp and vLLM have."""
        counts = count_tokens(self.origin, texts)
        return counts if counts is not None else self.host.tokens(self.origin, texts)

    def body(
        self, conversation: Conversation, temperature: float | None, room: int, learned: bool
    ) -> Body:
        """A request as it would be sent; not `learned`: as to a server that refused nothing yet."""
        dialect = self._dialect if learned else Dialect(self.origin, self.manner)
        return dialect.request(conversation, temperature, room)

    def weight(self, request: Body) -> tuple[int, int]:
        """(tokens of a request, about; tokens that its answer may have)."""
        return self._weight(request)

    def _weight(self, request: Body) -> tuple[int, int]:
        return self._scale.tokens(request["messages"]), limit_of(request)

    def _send(
        self, request: Body, seconds: float, tries: Tries
    ) -> tuple[Mapping[str, str], Answer]:
        answer = self.host.post("chat/completions", request, seconds)
        if answer.status != 200:
            raise self.host.trouble(answer)
        return answer.headers, answer

    def _read(self, request: Body, answer: Answer) -> Reply:
        try:
            reply = read_reply(answer)
        except ErrorInside as error:
            raise of_error(self.host.masked(error), error.status, QUOTA) from None
        self._scale.learn(request["messages"], reply.prompt_tokens)
        texts = text_tokens(request["messages"])
        if 0 < reply.prompt_tokens < texts // 3 and texts > 700:
            self.host.tell(
                "context",
                f"read {reply.prompt_tokens} tokens of a prompt of about {texts}: is its "
                "context too small? (Ollama: OLLAMA_CONTEXT_LENGTH)",
            )
        return reply

    def _learn(self, request: Body, trouble: Trouble) -> bool:
        return self._dialect.learn(request, str(trouble))

    def _make_room(self, request: Body, reply: Reply) -> bool:
        return only_thoughts(reply) and self._dialect.make_room(request)

    def _answers(self) -> bool:
        return self._probe.answers()
