"""`enhance check DIR`: what is wrong with the captions of a dataset, whoever wrote them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from enhance.console import say
from enhance.flags import Parser
from stages.dataset import Layout, Options, find
from stages.load import decode, read
from stages.sample import Problem
from stages.text import CleanOptions, check


def main(argv: Sequence[str]) -> int:
    """0 all well, 3 problems found. Raises Fatal, status 2, for a folder that cannot be checked."""
    parser = Parser(prog="enhance check", description=__doc__)
    parser.add_argument("dataset_dir", metavar="DIR", help="folder of images and captions")
    parser.add_argument("--anchor", default="", help="the trigger word that each caption must hold")
    parser.add_argument("--lora_type", default="character", help="whose policy the captions follow")
    parser.add_argument("--prompts_dir", default="", metavar="DIR", help="policies of your own")
    parser.add_argument("--caption_extension", default=".txt", help="of the caption files")
    parser.add_argument("--no_recursive", action="store_true", help="not into subfolders")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    wanted = parser.parse_args(argv)
    options = Options(
        dataset_dir=wanted.dataset_dir,
        recursive=not wanted.no_recursive,
        caption_extension=wanted.caption_extension,
    )
    layout = Layout.of(options)
    found = {}
    pictures, notices = find(options, layout)
    for notice in notices:
        say(notice, sys.stderr)
    for media in pictures:
        problems = list(
            _problems(layout.original(media), wanted.lora_type, wanted.anchor, wanted.prompts_dir)
        )
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


def _problems(path: Path, lora_type: str, anchor: str, prompts_dir: str) -> Iterator[Problem]:
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
    options = CleanOptions(prompts_dir=prompts_dir)
    yield from check(caption.strip(), lora_type=lora_type, anchor=anchor, options=options)
