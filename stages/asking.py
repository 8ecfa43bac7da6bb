"""What a captioner is asked about a picture: for a draft, or for the caption itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stages.judge import Verdict, judge_seen
from stages.policy import Options, Policy
from stages.sample import Fatal, Problem, Sample
from stages.template import render_text, unfenced

# Part of the fingerprint of a caption written in one step: raise it when answers are judged or
# asked for otherwise.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What is said to a captioner about one picture."""

    prompt: str
    system: str = ""  # what holds for all pictures
    answer: str = ""  # what it said before,
    reply: str = ""  # and what is said to that


class Asking:
    """The question of one concept: for a draft, by the captioner's own prompt or a user's."""

    one_step = False

    def __init__(self, policy: Policy, rules: Options, template: str = "") -> None:
        """`policy` is that of `rules`; `template` the text of `--prompt`, "" for none."""
        self.policy = policy
        self._rules = rules
        self.template = template

    def policy_of(self, video: bool) -> Policy:
        """What is asked of pictures, or of videos."""
        return self.policy.for_videos if video else self.policy

    @property
    def by_default(self) -> bool:
        """True if the captioner's own prompt is asked."""
        return not self.template

    def of(self, sample: Sample, default: Callable[[], str], video: bool = False) -> Asked:
        """`video`: it is shown as a whole, not frame by frame. Raises Fatal for a template that
        cannot be rendered."""
        # What a template makes of nothing is no question: then it is the captioner's own.
        return Asked((self.template and self._rendered(sample)) or default())

    @property
    def by_file(self) -> tuple[str, ...]:
        """What `own` is made of, besides the file."""
        return (self.template, self._rules.anchor) if self.template else ()

    def own(self, sample: Sample) -> dict[str, object]:
        """For fingerprints: what it asks about this file alone."""
        if not self.template:
            return {}
        return {"prompt": self._rendered(sample) or self.policy.draft()}

    def same(self, wording: Callable[[], object | None], video: bool) -> dict[str, object]:
        """For fingerprints: what it asks about all files, or all videos; `wording` is that of the
        default, told without asking anyone."""
        default = None if self.template else wording()
        return {} if default is None else {"prompt": default}

    @property
    def varies(self) -> bool:
        """True if each file may be asked something else."""
        return "{" in self.template

    def _rendered(self, sample: Sample) -> str:
        try:
            return render_text(
                self.template,
                name=sample.media.stem,
                folder=sample.media.parent.name,
                manual=unfenced(sample.manual.text) if sample.manual else "",
                anchor=self._rules.anchor,
            )
        except Fatal as error:
            raise Fatal(f"{error}, at {sample.media.name}", error.status) from None


class InOneStep(Asking):
    """The question for the caption itself: the rules of the LoRA type, and what a person wrote."""

    one_step, by_default = True, False

    def __init__(self, policy: Policy, rules: Options, instructions: str, repair: bool) -> None:
        """`instructions`, if given, replace the policy's; `repair`: an answer that breaks the rules
        is asked for once more."""
        super().__init__(policy, rules)
        self._system = instructions.strip() or policy.look(rules.anchor)
        self.repair = repair

    def of(self, sample: Sample, default: Callable[[], str], video: bool = False) -> Asked:
        policy = self.policy_of(video)
        return Asked(policy.show(self._rules.anchor, _manual(sample)), self._system)

    def own(self, sample: Sample) -> dict[str, object]:
        return {"manual": _manual(sample)}

    def same(self, wording: Callable[[], object | None], video: bool) -> dict[str, object]:
        return {
            "anchor": self._rules.anchor,
            "prompt": (self._system, self.policy_of(video).show("{anchor}", "{manual}")),
            "judge": (VERSION, self.repair),
        }

    def judged(self, sample: Sample, answer: str, finish: str) -> Verdict:
        """What an answer is worth as the caption."""
        return judge_seen(answer, finish, _manual(sample), self._rules)

    def again(self, asked: Asked, answer: str, verdict: Verdict) -> Asked | None:
        """What to say to an answer that breaks the rules; None if nothing would mend it."""
        faults: Sequence[Problem] = verdict.mendable(None) if self.repair else ()
        if not faults:
            return None
        usable = not verdict.useless
        said = self.policy.repair(self._rules.anchor, faults, usable, sees=True)
        if usable:
            return replace(asked, answer=answer, reply=said)
        # It is not shown to the model again: it would go on from there.
        return replace(asked, prompt=f"{asked.prompt}\n\n{said}")


def _manual(sample: Sample) -> str:
    manual = sample.manual
    return unfenced(manual.text) if manual and manual.usable else ""
