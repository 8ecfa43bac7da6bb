"""Cleaning and checking captions, beside what the text libraries alone take for them.

   python benchmarks/cleaning.py --count 100000

One process, one run, CPU seconds: `clean` and `check` of every caption; as the baseline, ftfy and
sentencex alone over the same captions, without any decision about words. Half of the captions are
clean, the others are wrapped as models wrap them or hold what has to be found.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ftfy  # noqa: E402
import sentencex  # noqa: E402

from stages.text import check, clean  # noqa: E402

FRAMING = ("a close up of", "a medium shot of", "a full body shot of", "a wide shot from above of")
DOING = (
    "walking down a street", "leaning against a wall", "turning to look behind her", "laughing",
    "climbing a ladder with one arm stretched upward", "sitting and looking down", "jumping",
)  # fmt: skip
MORE = (
    "hair lifting on the upswing", "arms crossed", "with a slight smile", "three quarter view",
    "hands in her pockets", "raised eyebrows", "straight on", "one hand resting on the chair back",
)  # fmt: skip
DIRTY: tuple[Callable[[str], str], ...] = (
    lambda text: f'**Caption:** "{text}."',
    lambda text: f"<think>Who is she?</think>\nSure! Here is the caption:\n\n{text}",
    lambda text: text.replace("annika", "Annika") + "\n\nLet me know if you want it shorter!",
    lambda text: f"The image shows {text}. She has long red hair. The background is a green park.",
    lambda text: text.replace("annika", "a woman") + " in the caf\u00c3\u00a9\u2019s corner",
    lambda text: f'{{"caption": "{text}"}}',
)


def captions(count: int) -> list[str]:
    """Captions in the manner of a character LoRA, drawn afresh but alike in every run."""
    chance = random.Random(7)
    result = []
    for _ in range(count):
        more = ", ".join(chance.sample(MORE, 2))
        text = f"{chance.choice(FRAMING)} annika {chance.choice(DOING)}, {more}"
        result.append(text if chance.random() < 0.5 else chance.choice(DIRTY)(text))
    return result


def seconds(work: Callable[[str], object], texts: list[str]) -> float:
    """CPU seconds of this process."""
    began = time.process_time()
    for text in texts:
        work(text)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="captions")
    wanted = parser.parse_args()
    texts = captions(wanted.count)
    libraries = seconds(lambda text: (ftfy.fix_text(text), sentencex.segment("en", text)), texts)
    cleaning = seconds(lambda text: clean(text, lora_type="character", anchor="annika"), texts)
    checking = seconds(lambda text: check(text, lora_type="character", anchor="annika"), texts)
    print(f"{wanted.count} captions, CPU seconds in one process")
    print(f"  ftfy and sentencex alone  {libraries:6.1f}")
    print(f"  clean                     {cleaning:6.1f}")
    print(f"  check                     {checking:6.1f}")
    ratio = (cleaning + checking) / libraries
    print(f"clean and check together take {ratio:.1f} times the libraries")
    what = "clean and check: CPU time over that of ftfy and sentencex alone"
    rows = [{"what": what, "measured": ratio, "wanted": ""}]
    found = {"libraries": libraries, "clean": cleaning, "check": checking}
    print(json.dumps({"settings": vars(wanted), "rows": rows, "seconds": found}))


if __name__ == "__main__":
    main()
