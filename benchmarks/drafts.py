"""Drafting: `enhance --until generated` beside plain loops over the same model and files.

    python benchmarks/drafts.py --count 600 --batch_size 16

For each captioner one run times three ways in turn, several times, and prints the medians of their
ratios: one image at a time, as older scripts do it; decode, preprocess and generate in one plain
loop of batches; and this program, with its scan, journal and atomic writes. The loops are written
out here with transformers alone. Loading the model is left out of all three; of the program, which
runs as a process of its own, by a run over one picture.

`--prepared` times `generate` alone, on inputs that lie ready on the device: what is left of it is
the overhead. Meant for a model that keeps a GPU busy.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples" / "train")]

from PIL import Image  # noqa: E402
from scenes import all_scenes, draw, held_out, save  # noqa: E402

MODELS = [
    str(ROOT / "examples/models" / f"{name}-shapes")
    for name in ("florence2", "janus", "joycaption")
]
TASK, QUESTION = "<MORE_DETAILED_CAPTION>", "Describe this image."


class Plain:
    """A captioner as a script has it: transformers, a model, a question."""

    def __init__(self, model_id: str, device: str, dtype: str, tokens: int) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.processor = AutoProcessor.from_pretrained(model_id, backend="pil")
        kind = getattr(torch, dtype)
        self.model = AutoModelForImageTextToText.from_pretrained(
            model_id, dtype=kind, device_map={"": device}
        ).eval()
        self.dtype = kind
        self.kind = self.model.config.model_type
        self.how: dict[str, Any] = {"max_new_tokens": tokens, "do_sample": False}
        if self.kind == "florence2":
            self.how |= {"num_beams": 3, "early_stopping": False, "no_repeat_ngram_size": 0}
        else:
            self.processor.tokenizer.padding_side = "left"

    def prepare(self, images: Sequence[Image.Image]) -> Any:
        if self.kind == "florence2":
            text = [TASK] * len(images)
        else:
            picture = [{"type": "image"}, {"type": "text", "text": QUESTION}]
            content: Any = QUESTION if self.kind == "llava" else picture
            asked = [{"role": "user", "content": content}]
            template = self.processor.apply_chat_template
            text = [template(asked, add_generation_prompt=True, tokenize=False)] * len(images)
        inputs = self.processor(text=text, images=list(images), return_tensors="pt", padding=True)
        return inputs.to(self.model.device, self.dtype)

    def generate(self, inputs: Any) -> Any:
        import torch

        with torch.inference_mode():
            return self.model.generate(**inputs, **self.how)

    def texts(self, inputs: Any, tokens: Any) -> list[str]:
        start = 0 if self.kind == "florence2" else inputs["input_ids"].shape[1]
        found = self.processor.batch_decode(tokens[:, start:], skip_special_tokens=True)
        return [text.strip() for text in found]

    def loop(self, files: Sequence[Path], size: int) -> float:
        """Seconds to draft all, `size` at a time."""
        began = time.perf_counter()
        for start in range(0, len(files), size):
            batch = files[start : start + size]
            inputs = self.prepare([Image.open(path).convert("RGB") for path in batch])
            texts = self.texts(inputs, self.generate(inputs))
            for path, text in zip(batch, texts, strict=True):
                path.with_suffix(".draft").write_text(text, encoding="utf-8")
        return time.perf_counter() - began

    def prepared(self, files: Sequence[Path], size: int) -> float:
        """Seconds of `generate` for all, on inputs that lie ready."""
        inputs = self.prepare([Image.open(path).convert("RGB") for path in files[:size]])
        self.generate(inputs)
        began = time.perf_counter()
        for _ in range(0, len(files), size):
            self.generate(inputs).cpu()
        return time.perf_counter() - began


def program(
    files: Sequence[Path], model_id: str, wanted: argparse.Namespace
) -> tuple[float, float]:
    """(seconds without loading and start-up, tokens generated over tokens kept)."""
    flags = ["--model_id", model_id, "--until", "generated", "--log_level", "error"]
    flags += ["--batch_size", str(wanted.batch_size), "--temperature", "0"]
    flags += ["--dtype", wanted.dtype, "--max_new_tokens", str(wanted.max_new_tokens)]
    if "florence" not in model_id.lower():
        flags += ["--prompt", QUESTION]
    seconds = []
    for folder in (files[0].parent, _draw(1, wanted.scale)[0].parent):
        began = time.perf_counter()
        command = [sys.executable, "-m", "enhance", "--dataset_dir", str(folder), *flags]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    report = json.loads((files[0].parent / ".enhance/report.json").read_text())
    counts = report["stages"]["generated"]
    if counts["done"] != len(files):
        raise SystemExit(f"{counts['done']} of {len(files)} files drafted")
    kept = counts["completion_tokens"]
    return seconds[0] - seconds[1], (kept + counts.get("padding_tokens", 0)) / kept


def once(model_id: str, wanted: argparse.Namespace) -> tuple[dict[str, float], float]:
    """(seconds of each way, tokens generated over tokens kept)."""

    def files() -> list[Path]:
        return _draw(wanted.count, wanted.scale)

    # A thread that computed and idles would slow the next way: the plain model goes first.
    plain = Plain(model_id, wanted.device, wanted.dtype, wanted.max_new_tokens)
    few = max(1, wanted.count // 4)
    seconds = {
        "one at a time": plain.loop(files()[:few], 1) * wanted.count / few,
        "plain loop": plain.loop(files(), wanted.batch_size),
    }
    if wanted.prepared:
        seconds["generate alone"] = plain.prepared(files(), wanted.batch_size)
    del plain
    seconds["enhance"], waste = program(files(), model_id, wanted)
    return seconds, waste


def measure(model_id: str, wanted: argparse.Namespace) -> dict[str, Any]:
    name = Path(model_id).name
    rounds = [once(model_id, wanted) for _ in range(wanted.rounds)]
    seconds = {way: [found[way] for found, _ in rounds] for way in rounds[0][0]}
    waste = statistics.median(waste for _, waste in rounds)
    print(name)
    rows = []
    bounds = {"plain loop": ">= 1.2", "generate alone": ">= 0.9"}
    for way, times in seconds.items():
        ratios = [s / e for s, e in zip(times, seconds["enhance"], strict=True)]
        ratio, rate = statistics.median(ratios), wanted.count / statistics.median(times)
        print(f"  {way:15} {rate:8.1f} images/s   enhance is {ratio:.2f} times it")
        if way != "enhance":
            what = f"{name}: images a second over {way}"
            rows.append({"what": what, "measured": ratio, "wanted": bounds.get(way, "")})
    print(f"  {waste:.3f} tokens generated for each one kept")
    what = f"{name}: tokens generated over tokens kept"
    rows.append({"what": what, "measured": waste, "wanted": ""})
    return {"model": name, "rows": rows, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_id", nargs="+", default=MODELS)
    parser.add_argument("--count", type=int, default=400, help="images")
    parser.add_argument("--scale", type=int, default=8, help="canvas: this times 80 to 128 pixels")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--max_new_tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--prepared", action="store_true", help="time generate alone, too")
    wanted = parser.parse_args()
    results = [measure(model_id, wanted) for model_id in wanted.model_id]
    rows = [row for result in results for row in result.pop("rows")]
    print(json.dumps({"settings": vars(wanted), "rows": rows, "results": results}))


def _draw(count: int, scale: int) -> list[Path]:
    """The same JPEGs in a new folder, so that nothing is cached."""
    generator = random.Random(3)
    scenes = [scene for scene in all_scenes() if held_out(scene)]
    folder = Path(tempfile.mkdtemp(prefix="enhance-drafts-"))
    pictures = [draw(generator.choice(scenes), generator, scale) for _ in range(min(count, 40))]
    files = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(files):
        if number < len(pictures):
            save(pictures[number], path)
        else:
            path.write_bytes(files[number % len(pictures)].read_bytes())
    return files


if __name__ == "__main__":
    main()
