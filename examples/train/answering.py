"""Ask models that go on writing after a prompt: to train them, and to try what was saved."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from questions import OPENINGS, SHORT_OPENINGS, WISHES, answer, draw_prompts
from scenes import Scene, draw
from torch import Tensor
from training import Ask

hf: Any = transformers  # only half annotated
Processor = Any
Conversation = Callable[[str], list[dict[str, Any]]]  # from a prompt to the messages
IGNORED = -100

LONG_PROMPT = " ".join(("You are captioning images for a dataset.", *WISHES[:12]))
TRIED_PROMPTS = (OPENINGS[0], SHORT_OPENINGS[0], LONG_PROMPT)


def encode(
    processor: Processor,
    conversation: Conversation,
    prompts: Sequence[str],
    images: Sequence[Image.Image],
) -> Any:
    """Return what goes into the model. Templates that begin with the first token get no second."""
    texts = [
        processor.apply_chat_template(conversation(prompt), add_generation_prompt=True)
        for prompt in prompts
    ]
    begun = texts[0].startswith(processor.tokenizer.bos_token)
    return processor(
        text=texts,
        images=list(images),
        return_tensors="pt",
        padding=True,
        add_special_tokens=not begun,
    )


def asker(processor: Processor, conversation: Conversation, lead: str = "") -> Ask:
    """Return what the training asks: drawn prompts, of which only the answers are learnt.

    The padding is on the right here, where no token of the text ever sees it: this needs no mask.
    An answer starts with `lead`.
    """
    tokenizer = processor.tokenizer
    size = processor.image_processor.size
    blank = Image.new("RGB", (size["width"], size["height"]))

    def ask(scenes: Sequence[Scene], rng: random.Random) -> dict[str, Tensor]:
        prompts = draw_prompts(len(scenes), rng)
        batch = encode(processor, conversation, prompts, [blank] * len(scenes))
        rows = []
        for scene, prompt, tokens, mask in zip(
            scenes, prompts, batch["input_ids"], batch["attention_mask"], strict=True
        ):
            text = lead + answer(scene, prompt) + tokenizer.eos_token
            said = tokenizer.encode(text, add_special_tokens=False)
            rows.append((tokens[mask.bool()].tolist(), said))
        longest = max(len(asked) + len(said) for asked, said in rows)
        input_ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
        labels = torch.full((len(rows), longest), IGNORED)
        for row, (asked, said) in enumerate(rows):
            start, stop = len(asked), len(asked) + len(said)
            input_ids[row, :stop] = torch.tensor(asked + said)
            labels[row, start:stop] = torch.tensor(said)
        return {"input_ids": input_ids, "labels": labels}

    return ask


class Trial:
    """A saved checkpoint, loaded as a user would."""

    def __init__(self, folder: Path, conversation: Conversation) -> None:
        self.processor = hf.AutoProcessor.from_pretrained(folder, backend="pil")
        self.model = hf.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()
        self.conversation = conversation

    @torch.inference_mode()
    def say(
        self, prompts: Sequence[str], images: Sequence[Image.Image], size: int, **settings: Any
    ) -> list[str]:
        """Return the answers, asked for in batches of `size`."""
        texts: list[str] = []
        settings = {"do_sample": False, "max_new_tokens": 64, **settings}
        for start in range(0, len(images), size):
            some = slice(start, start + size)
            batch = encode(self.processor, self.conversation, prompts[some], images[some])
            tokens = self.model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :]
            texts += self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [text.strip() for text in texts]


def report(folder: Path, conversation: Conversation, scenes: Sequence[Scene], seed: int) -> None:
    """Print how many answers are right to the letter, and whether a batch changes any."""
    hf.utils.logging.set_verbosity_error()  # Janus warns at each call of a limit that none set
    trial = Trial(folder, conversation)
    rng = random.Random(seed)
    images = [draw(scene, rng) for scene in scenes]

    def right(name: str, prompts: Sequence[str], texts: Sequence[str]) -> None:
        asked = zip(texts, scenes, prompts, strict=False)
        count = sum(text == answer(scene, prompt) for text, scene, prompt in asked)
        print(f"{name}: {count} of {len(texts)} right", flush=True)

    for prompt in TRIED_PROMPTS:
        prompts = [prompt] * len(scenes)
        name = f"{prompt[:40]!r}, {len(prompt)} characters"
        right(name, prompts, trial.say(prompts, images, 32))
    drawn = [prompt for _ in scenes for prompt in draw_prompts(1, rng)]
    right("drawn prompts, one at a time", drawn, trial.say(drawn, images, 1))
    right("drawn prompts, mixed in batches of 16", drawn, trial.say(drawn, images, 16))
    sampled = trial.say(drawn, images, 16, do_sample=True, temperature=0.6, top_p=0.9)
    right("the same, sampled", drawn, sampled)

    mixed = [TRIED_PROMPTS[row % 2 * 2] for row in range(64)]  # the shortest and the longest
    alone = trial.say(mixed, images[:64], 1)
    order = rng.sample(range(64), 64)
    shuffled = trial.say([mixed[row] for row in order], [images[row] for row in order], 8)
    for name, texts, expected in (
        ("in batches of 8", trial.say(mixed, images[:64], 8), alone),
        ("shuffled", shuffled, [alone[row] for row in order]),
    ):
        same = sum(map(str.__eq__, texts, expected))
        print(f"short and long prompts {name}: {same} of 64 as alone", flush=True)
