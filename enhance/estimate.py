"""What a run would ask of a captioner's server and of a language model before it does: requests,
tokens, time and money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stages import llm
from stages.batched import Halved
from stages.generate import Generate
from stages.llm import Conversation
from stages.merge import Merge
from stages.sample import Caption, Sample, Unusable

_COUNTED = 50  # conversations of a concept that a tokenizer counts; the others by their letters
_LETTERS = 4  # a token, where no tokenizer is at hand
_GUESSED = "estimated at 4 letters each"
_UNKNOWN = "without the pictures' own, which differ by model"
_DRAFT = "x" * 400  # in the place of a draft that is not made yet
_ANSWER = 60  # tokens of a caption, where no run tells
_DRAFTED = 90  # tokens of a draft, where no run tells


class Estimate:
    """Of all drafts by servers and all merges that would run. `before` is the report of an earlier
    run, if there is one."""

    def __init__(self, before: Mapping[str, Any] | None) -> None:
        known = before is not None and _is_whole(before)
        self._stages: Mapping[str, Mapping[str, float]] = (before or {})["stages"] if known else {}
        self._seconds: float = (before or {})["seconds"] if known else 0.0
        self._runs: dict[str, int] = {}
        self._merges: dict[int, _Asked] = {}
        self._drafts = _Drafts(self._stages.get("generated", {}))

    def add(self, output: str) -> None:
        """One file that a stage would work on."""
        self._runs[output] = self._runs.get(output, 0) + 1

    def ask(self, merge: Merge, sample: Sample, drafting: bool) -> None:
        """One file that would be merged; `drafting`: after its draft is made."""
        asked = self._merges.setdefault(id(merge), _Asked(merge, bool(self._answers())))
        if drafting:
            asked.undrafted += 1
            sample = replace(sample, generated=Caption(_DRAFT, "not made yet"))
        try:
            asked.add(merge.conversation(sample))
        except Unusable:
            return

    def draft(self, generate: Generate, server: llm.Options, sample: Sample) -> None:
        """One file that a server would draft."""
        self._drafts.add(generate.question(sample), server)

    def lines(self, output: str) -> list[str]:
        """For the plan of a stage; none if nothing would be asked."""
        asked = [one for one in self._merges.values() if one.count]
        if output == "generated" and self._drafts.count:
            return [*self._drafts.lines(), *([] if asked else [self._time()])]
        if output != "combined" or not asked:
            return []
        result = [self._tokens(asked), self._time()]
        result += [line for line in (self._money(asked),) if line]
        return result

    def _tokens(self, asked: Sequence[_Asked]) -> str:
        count = sum(one.count for one in asked) * self._times
        sent = sum(one.tokens for one in asked) * self._times
        counted = all(one.counted for one in asked)
        how = "counted by the model's tokenizer" if counted else _GUESSED
        undrafted = sum(one.undrafted for one in asked)
        guess = f"; {_thousands(undrafted)} drafts are not made yet" if undrafted else ""
        again = "" if self._answers() else "; asking again comes on top"
        source = "as in the last run" if self._answers() else "a guess"
        return (
            f"asks {_thousands(count)} times{again}: about {_thousands(sent)} tokens in "
            f"({how}{guess}), {_thousands(count * self._answer)} out "
            f"({self._answer:.0f} an answer, {source})"
        )

    def _time(self) -> str:
        made = {name: stage.get("done", 0) for name, stage in self._stages.items()}
        paces = [
            self._seconds / made[name] * runs
            for name, runs in self._runs.items()
            if name in ("generated", "combined") and made.get(name)
        ]
        if not paces or not self._seconds:
            return "time unknown: --limit 20 without --dry_run is a probe, from which this tells it"
        probe = max(made.get("generated", 0), made.get("combined", 0))
        return (
            f"about {_duration(max(paces))}, at the pace of the last run "
            f"({probe:.0f} files in {self._seconds:.0f} s)"
        )

    def _money(self, asked: Sequence[_Asked]) -> str:
        cost = self._times * sum(
            one.merge.options.cost(one.tokens, one.count * self._answer) for one in asked
        )
        if not cost:
            return ""
        most = max(one.merge.options.max_cost for one in asked)
        stops = f"; --max_cost {most:g} stops before" if most and cost > most else ""
        return f"costs about {cost:.3g} by --price_in and --price_out{stops}"

    @property
    def _answer(self) -> float:
        """Tokens of an answer."""
        merged = self._stages.get("combined", {})
        answers = self._answers()
        return merged.get("completion_tokens", 0) / answers if answers else _ANSWER

    @property
    def _times(self) -> float:
        """Requests for each file, with those for candidates and repairs, as the last run tells."""
        made = self._stages.get("combined", {}).get("done", 0)
        return self._answers() / made if self._answers() and made else 1.0

    def _answers(self) -> float:
        return self._stages.get("combined", {}).get("requests", 0)


class _Drafts:
    """What servers would be asked about pictures. What a picture weighs only an earlier run tells:
    models make between 85 and 25,000 tokens of it."""

    def __init__(self, before: Mapping[str, float]) -> None:
        """`before` is what the last run drafted."""
        self._before = before if before.get("requests") else {}
        self.count = 0
        self._letters = 0
        self._price_in = self._price_out = 0.0  # of a token each for all files together
        self._most = 0.0
        self._terms = ""  # what is paid of the prices

    def add(self, text: str, server: llm.Options) -> None:
        if isinstance(server, Halved):
            self._terms = "half of "
        self.count += 1
        self._letters += len(text)
        self._price_in += server.cost(1, 0)
        self._price_out += server.cost(0, 1)
        self._most = max(self._most, server.max_cost)

    def lines(self) -> list[str]:
        known = self._before
        done = max(known.get("done", 0), 1)
        times = known["requests"] / done if known else 1.0
        sent = known.get("prompt_tokens", 0) / done if known else self._texts
        said = known.get("completion_tokens", 0) / done if known else _DRAFTED
        how = "with the pictures, as in the last run" if known else f"{_GUESSED}; {_UNKNOWN}"
        again = "" if known else "; asking again comes on top"
        source = "as in the last run" if known else "a guess"
        line = (
            f"asks {_thousands(self.count * times)} times{again}: about "
            f"{_thousands(self.count * sent)} tokens in ({how}), "
            f"{_thousands(self.count * said)} out ({said:.0f} an answer, {source})"
        )
        cost = self._price_in * sent + self._price_out * said
        return [line, *([self._money(cost)] if cost else [])]

    @property
    def _texts(self) -> float:
        return self._letters / _LETTERS / self.count

    def _money(self, cost: float) -> str:
        stops = self._most and cost > self._most
        without = "" if self._before else ", without the pictures"
        return f"costs about {cost:.3g} by {self._terms}the prices given{without}" + (
            f"; --max_cost {self._most:g} stops before" if stops else ""
        )


class _Asked:
    """What one merge would ask. `probed`: how often each file is asked for is known otherwise."""

    def __init__(self, merge: Merge, probed: bool) -> None:
        self.merge, self.probed = merge, probed
        self.count = self.undrafted = 0
        self._letters = 0
        self._first: list[str] = []
        self._ratio: float | None = None

    def add(self, conversation: Conversation) -> None:
        text = "\n".join(message["content"] for message in conversation)
        times = 1 if self.probed else self.merge.options.candidates
        self.count += times
        self._letters += times * len(text)
        if len(self._first) < _COUNTED:
            self._first.append(text)

    @property
    def tokens(self) -> float:
        return self._letters * self._rate()

    @property
    def counted(self) -> bool:
        return bool(self._rate()) and self._ratio != 1 / _LETTERS

    def _rate(self) -> float:
        """Tokens a letter."""
        if self._ratio is None:
            counts = self.merge.tokens(self._first)
            letters = sum(map(len, self._first))
            self._ratio = sum(counts) / letters if counts and letters else 1 / _LETTERS
        return self._ratio


def _is_whole(report: Mapping[str, Any]) -> bool:
    """A person may have edited the file."""
    stages = report.get("stages")
    return (
        isinstance(report.get("seconds"), (int, float))
        and isinstance(stages, dict)
        and all(isinstance(stage, dict) for stage in stages.values())
    )


def _thousands(count: float) -> str:
    return f"{round(count):,}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
