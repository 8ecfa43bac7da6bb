"""The third room: one caption out of what a person wrote and what the captioner saw."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from stages.llm import Chat, Options, Reply
from stages.policy import Policy
from stages.sample import Caption, Sample, Unusable, fingerprint
from stages.text import not_a_caption


class Merge:
    """Manual caption and draft to the combined caption, by a chat model under a policy."""

    output = "combined"

    def __init__(
        self, chat: Chat, options: Options, policy: Policy, anchor: str, instructions: str = ""
    ) -> None:
        """`instructions`, if given, replace the policy's system message."""
        self._chat = chat
        self._options = options
        self._policy = policy
        self._anchor = anchor
        self._system = instructions.strip() or policy.system(anchor)
        self.batch_size, self.workers = chat.batch_size, chat.workers
        self.spent: Counter[str] = Counter()
        self._counting = threading.Lock()

    def key(self, sample: Sample) -> str:
        return fingerprint(
            manual=_text(sample.manual),
            draft=_text(sample.generated),
            anchor=self._anchor,
            prompt=(self._policy.wording, self._system),
            model=self._chat.name,
            settings=(self._options.temperature, self._options.max_tokens),
        )

    def prepare(self) -> None:
        """Raises Fatal if the chat model cannot be reached or loaded."""
        self._chat.prepare()

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """Raises Unusable for a sample with neither a manual caption nor a draft."""
        replies = self._chat([self._messages(sample) for sample in batch])
        with self._counting:
            self.spent.update(
                requests=len(replies),
                prompt_tokens=sum(reply.prompt_tokens for reply in replies),
                completion_tokens=sum(reply.completion_tokens for reply in replies),
            )
        return [self._caption(reply) for reply in replies]

    def close(self) -> None:
        self._chat.close()

    def _messages(self, sample: Sample) -> list[dict[str, str]]:
        manual, draft = _text(sample.manual), _text(sample.generated)
        if not manual and not draft:
            lost = sample.generated.problems if sample.generated else ()
            why = f" ({lost[0].message})" if lost else ""
            raise Unusable(f"nothing to merge: no manual caption and no usable draft{why}")
        user = self._policy.user(self._anchor, manual, draft)
        return [{"role": "system", "content": self._system}, {"role": "user", "content": user}]

    def _caption(self, reply: Reply) -> Caption:
        lost = not_a_caption(reply.text, reply.finish)
        return Caption(reply.text.strip(), self._chat.origin, reply.finish, (lost,) if lost else ())


def _text(caption: Caption | None) -> str:
    """What may be shown to the chat model as a caption: nothing empty, no failed draft."""
    return caption.text.strip() if caption and caption.usable else ""
