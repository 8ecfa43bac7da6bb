"""The few lines at the end of a run, and the list of what needs a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enhance import ledgers
from enhance.console import say
from enhance.report import LABELS

_LISTED = 20  # files named in the summary; the report names all


def summarise(report: Mapping[str, Any], where: Path) -> None:
    """The few lines at the end, and the list of what needs a person."""
    files = report["files"]
    say(f"{_number(files['all'], 'file')} in {report['seconds']:.1f} s: " + _counted(files))
    for output, counts in report["stages"].items():
        parts = [
            f"{counts[act]} {word}"
            for act, word in (
                ("done", "made"),
                ("fresh", "up to date"),
                ("edited", "written by hand, kept"),
                ("refused", "not usable"),
                ("later", "under way"),
                ("failed", "failed"),
            )
            if counts.get(act)
        ]
        tokens = counts.get("prompt_tokens", 0) + counts.get("completion_tokens", 0)
        if tokens:
            asked = counts.get("requests")  # a model in this process counts none
            parts.append(f"{tokens} tokens" + (f" in {_number(asked, 'request')}" if asked else ""))
        if counts.get("repairs"):
            parts.append(
                f"{counts['repairs']} asked again, {counts.get('repaired', 0)} better for it"
            )
        if "cost" in counts:
            parts.append(f"cost {counts['cost']:.4g}")
        say(f"  {LABELS[output]}: " + (", ".join(parts) or "nothing to do"))
    faithful = ledgers.told(report["ledger"])
    if faithful:
        say(f"  sources: {faithful}")
    _say_notes(report["notes"])
    for output, (size, fits) in report["did_not_fit"].items():
        flag = f": set --batch_size {fits} next time" if output == "generated" else f", {fits} did"
        say(f"  batches of {size} did not fit{flag} [{LABELS[output]}]")
    missing = files["all"] - sum(count for name, count in files.items() if name != "all")
    if report["ended"] and missing > 0:
        say(f"{_number(missing, 'file')} not done yet; the same command goes on from here.")
    if report["later"]:
        reasons = dict.fromkeys(row["reason"] for row in report["later"])
        say(f"{_number(len(report['later']), 'file')} not done yet: {'; '.join(reasons)}")
    rows = [*report["failed"], *report["needs_a_person"]]
    if rows:
        say(f"{_number(len(rows), 'file')} failed or need a person:")
        for row in rows[:_LISTED]:
            say(f"  {row['file']}: {row['reason']} [{LABELS.get(row['stage'], row['stage'])}]")
        if len(rows) > _LISTED:
            say(f"  and {len(rows) - _LISTED} more, all in {where}")
    if report["needs_a_person"]:
        merges = "combined" in report["stages"]
        made, anew = ("combined", "merge") if merges else ("generated", "draft")
        limit = "max_tokens" if merges else "max_new_tokens"
        say(
            f"Answers that cannot be used are not asked for again: write {{name}}_{made}.txt by "
            f"hand, or {anew} anew with --overwrite {made} (a larger --{limit} if cut off)"
        )


def _say_notes(notes: list[Mapping[str, str]]) -> None:
    """Problems that kept nothing from being published: how often, and one of each."""
    if not notes:
        return
    counts = Counter(note["problem"] for note in notes)
    first = {note["problem"]: note for note in reversed(notes)}
    say("  noted (`enhance check` marks the words, `enhance show FILE` tells their sources):")
    for label, count in counts.most_common():
        say(f"  {count:6} {label}, as in {first[label]['file']}: {first[label]['message']}")


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _counted(files: Mapping[str, int]) -> str:
    names = (
        ("captioned", "done"),
        ("left_alone", "had a caption"),
        ("needs_a_person", "need a person"),
        ("later", "under way"),
        ("failed", "failed"),
    )
    return (
        ", ".join(f"{files[name]} {word}" for name, word in names if files.get(name))
        or "none finished"
    )
