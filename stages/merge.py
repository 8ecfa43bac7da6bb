"""The third room: one caption out of what a person wrote and what the captioner saw."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from stages.judge import Verdict, judge
from stages.kinds import is_video
from stages.llm import Chat, Conversation, Options, Reply, TooLong
from stages.policy import Options as PolicyOptions
from stages.policy import Policy
from stages.sample import Caption, Problem, Sample, Unusable, fingerprint
from stages.template import unfenced
from stages.text import whole
from stages.text.words import sentences

# Part of every merge's fingerprint: raise it when answers are judged or asked for otherwise.
VERSION = 1
# One thread judges at a time: two are no faster, and the thread that speaks to the server waits for
# each that is at work.
_JUDGING = threading.Lock()
_WARM = 0.7  # what further candidates are asked at, at least: at 0 all would be alike


@dataclass(frozen=True, slots=True)
class _Texts:
    """What one sample has to be merged."""

    manual: str
    draft: str
    video: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    reply: Reply
    verdict: Verdict


class Merge:
    """Manual caption and draft to the combined caption, by a chat model under a policy."""

    output = "combined"

    def __init__(
        self,
        chat: Chat,
        options: Options,
        policy: Policy,
        rules: PolicyOptions,
        instructions: str = "",
    ) -> None:
        """`policy` is that of `rules`; `instructions`, if given, replace its system message."""
        self._chat = chat
        self.options = options
        self._policy = policy
        self._rules = rules
        self._anchor = rules.anchor
        self._system = instructions.strip() or policy.system(self._anchor)
        self.batch_size, self.workers = chat.batch_size, chat.workers
        self.spent: Counter[str] = Counter()
        self._counting = threading.Lock()

    def key(self, sample: Sample) -> str:
        texts = fingerprint(manual=_text(sample.manual), draft=_text(sample.generated))
        return f"{texts} {self.settings(sample.media)}"

    def settings(self, media: Path) -> str:
        return self._of_videos if is_video(media) else self._of_pictures

    @cached_property
    def _of_pictures(self) -> str:
        return self._settings(self._policy)

    @cached_property
    def _of_videos(self) -> str:
        return self._settings(self._policy.for_videos)

    def _settings(self, policy: Policy) -> str:
        """What all keys have in common; told once."""
        return fingerprint(
            anchor=self._anchor,
            prompt=(policy.wording, self._system),
            model=self._chat.name,
            settings=(
                *(self.options.merge_temperature, self.options.max_tokens),
                *(self.options.candidates, self.options.repair, self.options.reasoning_effort),
            ),
            judge=VERSION,
        )

    def prepare(self) -> None:
        """Raises Fatal if the chat model cannot be reached or loaded."""
        self._chat.prepare()

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """Raises Unusable for a sample with neither a manual caption nor a draft."""
        texts = [self._texts(sample) for sample in batch]
        answers = self._best(texts)
        if self.options.repair:
            self._repair(texts, answers)
        return [self._caption(answer) for answer in answers]

    def load(self) -> None:
        """Raises Fatal if the chat model cannot be loaded."""
        self._chat.load()

    def close(self) -> None:
        self._chat.close()

    def tokens(self, texts: Sequence[str]) -> list[int] | None:
        """How many tokens the chat model makes of each, or None if no tokenizer is at hand."""
        return self._chat.tokens(texts)

    def conversation(self, sample: Sample) -> Conversation:
        """What the chat model is shown for a sample. Raises Unusable as a call does."""
        return self._messages(self._texts(sample))

    def _best(self, texts: Sequence[_Texts]) -> list[_Answer]:
        """The best answer for each, of as many candidates as were wished."""
        best = self._ask(texts, [self._messages(one) for one in texts])
        for _ in range(1, self.options.candidates):
            weak = [place for place, answer in enumerate(best) if answer.verdict.weight]
            if not weak:
                break
            warmth = max(self.options.merge_temperature, _WARM)
            again = [texts[place] for place in weak]
            others = self._ask(again, [self._messages(one) for one in again], warmth)
            for place, other in zip(weak, others, strict=True):
                if other.verdict.weight < best[place].verdict.weight:
                    best[place] = other
        return best

    def _repair(self, texts: Sequence[_Texts], answers: list[_Answer]) -> None:
        """Asks once more for each answer that breaks the rules, told what is wrong with it."""
        weak, conversations = [], []
        for place, (one, answer) in enumerate(zip(texts, answers, strict=True)):
            faults = answer.verdict.mendable(f"{one.manual}\n{one.draft}")
            if faults:
                weak.append(place)
                conversations.append(self._again(one, answer, faults))
        if not weak:
            return
        try:
            others = self._ask([texts[place] for place in weak], conversations)
        except RuntimeError:
            if any(answers[place].verdict.useless for place in weak):
                raise
            return  # what there is can be used
        better = 0
        for place, other in zip(weak, others, strict=True):
            if other.verdict.better_than(answers[place].verdict):
                answers[place] = other
                better += 1
        with self._counting:
            self.spent.update(repairs=len(weak), repaired=better)

    def _ask(
        self,
        texts: Sequence[_Texts],
        conversations: Sequence[Conversation],
        temperature: float | None = None,
    ) -> list[_Answer]:
        try:
            replies = self._chat(conversations, temperature)
        except TooLong:
            if len(texts) > 1:
                raise
            return [self._shortened(texts[0], temperature)]
        with self._counting:
            for reply in replies:
                self.spent.update(self.options.spent(reply))
        with _JUDGING:
            return [
                _Answer(reply, judge(reply.text, reply.finish, one.manual, one.draft, self._rules))
                for reply, one in zip(replies, texts, strict=True)
            ]

    def _shortened(self, texts: _Texts, temperature: float | None) -> _Answer:
        """Asked with less of the draft: the rules and the person's words stay whole. Raises TooLong
        if they alone do not fit."""
        kept = sentences(texts.draft)
        if not kept or (len(kept) == 1 and not texts.manual):
            raise TooLong(
                "the model's context is too small for the instructions and this caption: give the "
                "server a larger one"
            )
        shorter = replace(texts, draft=" ".join(kept[: len(kept) // 2]))
        if not shorter.draft and not shorter.manual:
            shorter = replace(texts, draft=kept[0])
        (answer,) = self._ask([shorter], [self._messages(shorter)], temperature)
        return answer

    def _texts(self, sample: Sample) -> _Texts:
        manual, draft = unfenced(_text(sample.manual)), _text(sample.generated)
        if sample.generated:
            draft = unfenced(whole(draft, sample.generated.finish))
        if not manual and not draft:
            lost = sample.generated.problems if sample.generated else ()
            why = f" ({lost[0].message})" if lost else ""
            raise Unusable(f"nothing to merge: no manual caption and no usable draft{why}")
        return _Texts(manual, draft, is_video(sample.media))

    def _messages(self, texts: _Texts) -> list[dict[str, str]]:
        policy = self._policy.for_videos if texts.video else self._policy
        user = policy.user(self._anchor, texts.manual, texts.draft)
        return [{"role": "system", "content": self._system}, {"role": "user", "content": user}]

    def _again(self, texts: _Texts, answer: _Answer, faults: Sequence[Problem]) -> Conversation:
        """The same prefix, so that a server's cache holds it. What was no caption is not shown to
        the model again: it would go on from there."""
        messages = self._messages(texts)
        usable = not answer.verdict.useless
        said = self._policy.repair(self._anchor, faults, usable)
        if usable:
            caption = {"role": "assistant", "content": answer.reply.text.strip()}
            return [*messages, caption, {"role": "user", "content": said}]
        system, user = messages
        return [system, {"role": "user", "content": f"{user['content']}\n\n{said}"}]

    def _caption(self, answer: _Answer) -> Caption:
        reply = answer.reply
        problems = answer.verdict.for_the_file
        return Caption(reply.text.strip(), self._chat.origin, reply.finish, problems)


def _text(caption: Caption | None) -> str:
    """What may be shown to the chat model as a caption: nothing empty, no failed draft."""
    return caption.text.strip() if caption and caption.usable else ""
