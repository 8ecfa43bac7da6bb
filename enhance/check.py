"""`enhance check DIR`: what is wrong with the captions of a dataset, whoever wrote them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from enhance.config import read_job
from enhance.console import say
from enhance.flags import job_parser
from stages import policy
from stages.dataset import Layout, find
from stages.load import decode, read
from stages.sample import Problem
from stages.text import CleanOptions, check


def main(argv: Sequence[str]) -> int:
    """0 all well, 3 problems found. Raises Fatal, status 2, for a folder that cannot be checked."""
    parser = job_parser("check", __doc__ or "")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    options, rules, wanted = read_job(parser, argv)
    layout = Layout.of(options)
    found = {}
    pictures, notices = find(options, layout)
    for notice in notices:
        say(notice, sys.stderr)
    for media in pictures:
        problems = list(_problems(layout.original(media), rules))
        if problems:
            found[layout.name(media)] = problems
    if wanted.format == "json":
        rows = {name: [asdict(problem) for problem in found[name]] for name in found}
        say(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        counts = Counter(problem.label for problems in found.values() for problem in problems)
        for label, count in counts.most_common():
            say(f"{count:6} {label}")
        for name, problems in found.items():
            for problem in problems:
                say(f"{name}: {problem.label}: {problem.message}")
        say("no problems found" if not found else f"{len(found)} files have problems")
    return 3 if found else 0


def _problems(path: Path, rules: policy.Options) -> Iterator[Problem]:
    """What a trainer would trip over in the file, then what the policy says of its text."""
    data = read(path)
    if data is None:
        yield Problem("missing_caption", True, message=f"there is no {path.name}")
        return
    caption, encoding = decode(data)
    if encoding != "utf-8":
        yield Problem("not_utf8", True, message=f"{path.name} is {encoding}: trainers stop at it")
    if data.startswith(b"\xef\xbb\xbf"):
        yield Problem("bom", True, message="begins with a byte order mark")
    if caption != caption.rstrip("\r\n"):
        yield Problem("trailing_newline", False, message="ends with a line break")
    if len(caption.strip().splitlines()) > 1:
        yield Problem("multiline", True, message="several lines: trainers read one of them")
    options = CleanOptions(prompts_dir=rules.prompts_dir)
    yield from check(
        caption.strip(), lora_type=rules.lora_type, anchor=rules.anchor, options=options
    )
