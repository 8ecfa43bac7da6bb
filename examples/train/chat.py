"""Train the small chat model that merges captions in the demo and in the tests.

The model is a Llama of well under a million parameters. It knows one task: take the scene phrase
out of a draft caption, and append the anchor and what a person wrote:

    draft    The image shows a red circle above a blue square on a grey background.
    anchor   cutout style
    person   wide shot, soft morning light
    answer   a red circle above a blue square in cutout style, wide shot, soft morning light

It is served like any chat model. Its chat template takes the three texts out of `<draft>`,
`<anchor>` and `<person>` blocks in the last user message that has them, and drops everything else,
so that long instructions cost nothing. The texts are copied token by token: half of the training
pairs use made-up words, so that anchors and captions the model never saw survive as well.

    python examples/train/chat.py --out examples/models/chat-shapes

A run prints the loss, then the exact matches on fresh pairs, read back from the files it wrote.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import string
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scenes import COLOURS, RELATIONS, SHAPES, TASKS, Scene, all_scenes, caption, held_out, phrase
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# What a person writes: at most one phrase of a kind, in any order.
MANUAL = (
    ("wide shot", "medium shot", "close up", "extreme close up", "full body shot"),
    (
        "soft morning light",
        "hard side light",
        "warm evening light",
        "bright noon light",
        "dim candle light",
    ),
    ("calm mood", "playful mood", "tense mood"),
    ("straight on", "seen from above", "seen from below", "slight tilt", "three quarter view"),
    ("made for Mia", "made for Otto"),
    tuple(f"page {number}" for number in NUMBERS),
    ("spring poster", "summer poster", "autumn poster", "winter poster"),
    ("waving", "walking", "sitting", "running", "looking at the camera", "smiling"),
)
ANCHORS = (
    "cutout style",
    "paper style",
    "illustration style",
    "annika",
    "Annika",
    "sarah chen",
    "the red knight",
    "crystal sword",
    "fluid walk",
    "ohwx",
    "mia",
    "otto",
)
# Real words that the made-up ones never spell on purpose: a last check of what was not trained.
UNSEEN_ANCHORS = (
    "vangogh",
    "Zoë",
    "sks dog",
    "K-17",
    "gouache style",
    "my grandmother",
    "bananarama",
    "watercolour sketch",
    "Captain O'Neil",
    "pxl_8bit",
    "Jörg Müller",
    "the old lighthouse",
)
UNSEEN_MANUAL = (
    "lighthouse keeper waving, heavy rain",
    "Shot on film, 35mm, wide shot",
    "Café Rouge, two guests, warm evening light",
    "dutch angle, low-key lighting",
    "she is holding a bicycle, smiling",
    "profile view. Neon signs everywhere.",
    "rainbow umbrella; puddles",
    "hands in pockets, looking over the shoulder",
    "for the Christmas calendar 2024, page 12",
    "foggy harbour at dawn",
    "medium shot, juggling three oranges",
    "backlit, lens flare, golden hour",
)

DRAFT, ANCHOR, PERSON, ANSWER = "<|draft|>", "<|anchor|>", "<|person|>", "<|answer|>"
END, PAD = "<|end|>", "<|pad|>"
MARKERS = (PAD, END, DRAFT, ANCHOR, PERSON, ANSWER)
VOCABULARY = 704  # more than the known words need, so that each becomes one token
LONGEST_ANSWER = 95  # tokens, the end marker included
LAYERS = 3
POSITIONS = 2048
BATCH = 32
POOL = 8  # batches drawn at once
PEAK_RATE = 2e-3
IGNORED = -100

# Words between others; "in" also stands before the anchor, and must not be taken for that one.
COMMON = (
    "in",
    "in",
    "in",
    "on",
    "of",
    "at",
    "to",
    "for",
    "with",
    "and",
    "is",
    "a",
    "an",
    "the",
    "her",
    "his",
    "over",
    "no",
)

# What made-up words are made of.
ONSETS = (*"bcdfghklmnprstvwz", "ch", "sh", "st", "tr", "bl")
VOWELS = (*"aeiouaeiou", "ai", "ee", "ou", *"éöüë")
CODAS = ("", "", "", "n", "r", "l", "s", "ck", "nd")
DRESSES = ("({})", '"{}"', "\u201c{}\u201d", "{}'s", "{}\u2019s", "{}!")

MARKS = ",.;:!?()\"'\u2019"  # no part of a word, where the template looks for the anchor

# The person's text gets a leading space exactly where the answer has one before it, because
# byte-level tokens carry their space: source and copy are then the same tokens. An anchor that the
# person already wrote, as whole words in any case, is left out here; the model need not compare.
CHAT_TEMPLATE = """
{%- macro block(text, tag) -%}
  {%- set closed = text.split('</' ~ tag ~ '>') -%}
  {%- if closed | length > 1 and '<' ~ tag ~ '>' in closed[-2] -%}
    {{- closed[-2].split('<' ~ tag ~ '>')[-1].split() | join(' ') -}}
  {%- endif -%}
{%- endmacro -%}

{%- macro words(text) -%}
  {%- set plain = namespace(text=text.lower()) -%}
  {%- for mark in ',.;:!?()"\u2019\\'' -%}
    {%- set plain.text = plain.text.replace(mark, ' ') -%}
  {%- endfor -%}
  {{- ' ' ~ plain.text.split() | join(' ') ~ ' ' -}}
{%- endmacro -%}

{%- macro spoken(content) -%}
  {%- if content is string -%}
    {{- content -}}
  {%- elif content is iterable and content is not mapping -%}
    {%- for part in content -%}
      {%- if part is mapping and part.text is string -%}{{- part.text ~ ' ' -}}{%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}

{%- set last = namespace(text='', has_block=false) -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {%- set text = spoken(message.content) -%}
    {%- set has_block = (block(text, 'person') ~ block(text, 'draft')) != '' -%}
    {%- if has_block or not last.has_block -%}
      {%- set last.text = text -%}
      {%- set last.has_block = has_block -%}
    {%- endif -%}
  {%- endif -%}
{%- endfor -%}

{%- set person = block(last.text, 'person') -%}
{%- set anchor = block(last.text, 'anchor') -%}
{%- set draft = block(last.text, 'draft') -%}
{%- if not last.has_block -%}
  {%- set draft = last.text.split() | join(' ') -%}
{%- endif -%}

{{- '<|draft|>' ~ draft ~ '<|anchor|>' -}}
{%- if anchor and words(anchor) not in words(person) -%}
  {{- ' ' ~ anchor -}}
{%- endif -%}
{{- '<|person|>' -}}
{%- if person -%}
  {{- (' ' if draft else '') ~ person -}}
{%- endif -%}
{%- if add_generation_prompt -%}
  {{- '<|answer|>' -}}
{%- endif -%}
"""


@dataclass(frozen=True)
class Pair:
    """What goes in and what must come out. An empty text is a block that is absent."""

    person: str
    draft: str
    anchor: str
    answer: str

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat that carries the three texts."""
        blocks = (
            f"<person>\n{self.person}\n</person>" if self.person else "",
            f"<draft>\n{self.draft}\n</draft>" if self.draft else "",
            f"<anchor>{self.anchor}</anchor>" if self.anchor else "",
        )
        return [{"role": "user", "content": "\n".join(block for block in blocks if block)}]


@dataclass(frozen=True)
class New:
    """The parts of a pair that are made up of words the model cannot know."""

    anchor: bool = False
    manual: bool = False
    draft: bool = False


class Sampler:
    """Draws pairs: from the scenes the model may see, or from the held-out ones.

    Made-up words are in part strings of `pieces`, the texts of the tokenizer's longer tokens, so
    that each of them is copied often enough, in every company.
    """

    def __init__(self, seed: int, pieces: Sequence[str], *, unseen: bool) -> None:
        self.rng = random.Random(seed)
        self.pieces = pieces
        self.scenes = [scene for scene in all_scenes() if held_out(scene) == unseen]

    def pair(self, new: New) -> Pair:
        """Draw one pair whose answer keeps to the limit."""
        while True:
            pair = self._pair(new)
            # Made-up words take about two bytes a token, known ones five.
            if len(pair.answer.encode()) < 2 * LONGEST_ANSWER:
                return pair

    def _pair(self, new: New) -> Pair:
        has_person, has_draft = self.rng.choice(
            ((True, True), (True, True), (True, True), (True, True), (True, False), (False, True))
        )
        anchor = self.anchor(new.anchor) if self._chance(0.85) else ""
        person = self.manual(new.manual) if has_person else ""
        if anchor and person and self._chance(0.08):
            person = f"{anchor} {person}"
        scene, draft = self.draft(new.draft) if has_draft else ("", "")
        return Pair(person, draft, anchor, merged(person, scene, anchor))

    def draft(self, new: bool) -> tuple[str, str]:
        """Return a scene phrase, and a draft caption that says it in one of three ways."""
        rng = self.rng
        scene, task = rng.choice(self.scenes), rng.choice(TASKS)
        if not new:
            return phrase(scene), caption(scene, task)
        if self._chance(0.4):
            # A draft in no known form is its own phrase, but for the full stop.
            text = self.manual(new=True).removesuffix(".")
            return text, text + rng.choice(("", "."))
        scene = Scene(
            self.word() if self._chance(0.5) else rng.choice(tuple(COLOURS)),
            self.word() if self._chance(0.7) else rng.choice(SHAPES),
            rng.choice(RELATIONS),
            self.word() if self._chance(0.5) else rng.choice(tuple(COLOURS)),
            self.word() if self._chance(0.7) else rng.choice(SHAPES),
        )
        background = f"on a {self.word()} background"
        return phrase(scene), caption(scene, task).replace("on a grey background", background)

    def manual(self, new: bool) -> str:
        """Return one to four phrases as a person strings them together."""
        rng = self.rng
        phrases = [rng.choice(kind) for kind in rng.sample(MANUAL, rng.randint(1, 4))]
        if not new:
            return ", ".join(phrases)
        phrases = [self.words() if self._chance(0.7) else known for known in phrases]
        phrases[rng.randrange(len(phrases))] = self.words()
        text = phrases[0]
        for following in phrases[1:]:
            text += rng.choice((", ", ", ", ", ", ", ", "; ", ". ", " and ")) + following
        return text + rng.choice(("", "", "", "", "", "", "", "."))

    def anchor(self, new: bool) -> str:
        """Return a name, a style, a thing or a walk."""
        if not new:
            return self.rng.choice(ANCHORS)
        form = self.rng.choice(("{}", "{}", "{}", "{} style", "{} walk", "the {} knight", "the {}"))
        return form.format(self.word() if self._chance(0.7) else self.words())

    def words(self) -> str:
        """Return one to five words, most of them made up, the others common ones."""
        words: list[str] = []
        for _ in range(self.rng.choice((1, 1, 2, 2, 3, 4, 5))):
            kind = self.rng.random()
            if kind < 0.2:
                words.append(self.rng.choice(COMMON))
            elif kind < 0.35:
                words.append(self.rng.choice(self.pieces))
            elif kind < 0.4 and words:
                # What comes twice has two continuations: a copy must not take the wrong one.
                words.append(self.rng.choice(words))
            else:
                words.append(self.word())
        return " ".join(words)

    def word(self) -> str:
        """Make up a word of letters, syllables or tokens, and dress some of them up."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.35:
            word = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(1, 8)))
        elif kind < 0.65:
            word = "".join(
                rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)
                for _ in range(rng.randint(1, 4))
            )
        else:
            word = "".join(rng.choices(self.pieces, k=rng.randint(1, 4)))
        dress = rng.random()
        if dress < 0.15:
            return word.capitalize()
        if dress < 0.19:
            return word.upper()
        if dress < 0.25:
            number = rng.randrange(10 ** rng.randint(1, 4))
            return rng.choice(("{0}{1}", "{0}-{1}", "{0}_{1}", "{1}{0}")).format(word, number)
        if dress < 0.29:
            return word + rng.choice("-_'") + rng.choice(self.pieces)
        if dress < 0.31:
            return "".join(chr(rng.randint(0x00C0, 0x9FFF)) for _ in range(rng.randint(1, 2)))
        if dress < 0.34:
            return rng.choice(DRESSES).format(word)
        return word

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability


def merged(person: str, scene: str, anchor: str) -> str:
    """Return the right answer: scene, anchor and manual text, each at most once."""
    said = _plain(anchor) in _plain(person)
    tagged = f" in {anchor}" if anchor and not said else ""
    if scene and person:
        return f"{scene}{tagged}, {person}"
    return f"{scene or person}{tagged}"


def _plain(text: str) -> str:
    """Lower-case words between single spaces; the chat template compares in the same way."""
    kept = "".join(" " if mark in MARKS else mark for mark in text.lower())
    return f" {' '.join(kept.split())} "


def build_tokenizer(seed: int) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE: known words are one token, any other text still comes back exactly.

    The words are weighted alike, with and without a space before them: by their frequency in
    captions, the vocabulary would fill up with parts of the common ones.
    """
    sampler = Sampler(seed, (), unseen=False)
    known = " ".join([*ANCHORS, *(text for kind in MANUAL for text in kind)])
    known += " " + " ".join(caption(sampler.scenes[0], task) for task in TASKS)
    known += " " + " ".join([*COLOURS, *SHAPES, *RELATIONS, *COMMON, "The"])
    words = sorted({word.strip(".,") for word in known.split()})
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(marker, special=True, normalized=False) for marker in MARKERS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([form for word in words for form in (word, f" {word}")], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        chat_template=CHAT_TEMPLATE.strip(),
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=POSITIONS,
    )


def pieces_of(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the texts of the tokens that are at least two plain letters."""
    texts = {str(tokenizer.decode([token])).strip() for token in range(len(tokenizer))}
    return sorted(text for text in texts if len(text) > 1 and text.isascii() and text.isalpha())


def build_model(tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """Return an untrained model; a head of 32 is the least that fast attention kernels take."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def encode(tokenizer: PreTrainedTokenizerBase, pair: Pair) -> tuple[list[int], list[int]]:
    """Return the tokens of the prompt and of the answer with its end marker."""
    prompt = tokenizer.apply_chat_template(
        pair.messages, add_generation_prompt=True, tokenize=False
    )
    return tokenizer.encode(str(prompt)), tokenizer.encode(pair.answer + END)


def batches(
    tokenizer: PreTrainedTokenizerBase, sampler: Sampler
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield token and label tensors for ever; only the answers are labelled.

    Pairs are drawn for several batches at once and sorted by length, which saves padding.
    """
    while True:
        encoded: list[tuple[list[int], list[int]]] = []
        while len(encoded) < BATCH * POOL:
            new = New(*(sampler.rng.random() < share for share in (0.5, 0.5, 0.25)))
            prompt, answer = encode(tokenizer, sampler.pair(new))
            if len(answer) <= LONGEST_ANSWER:
                encoded.append((prompt, answer))
        encoded.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        groups = [encoded[start : start + BATCH] for start in range(0, len(encoded), BATCH)]
        sampler.rng.shuffle(groups)
        for group in groups:
            longest = max(len(prompt) + len(answer) for prompt, answer in group)
            tokens = torch.full((BATCH, longest), MARKERS.index(PAD))
            labels = torch.full((BATCH, longest), IGNORED)
            for row, (prompt, answer) in enumerate(group):
                start, stop = len(prompt), len(prompt) + len(answer)
                tokens[row, :stop] = torch.tensor(prompt + answer)
                labels[row, start:stop] = torch.tensor(answer)
            yield tokens, labels


def train(
    model: LlamaForCausalLM, data: Iterator[tuple[torch.Tensor, torch.Tensor]], steps: int
) -> None:
    """Fit the model to the answers, with a warm-up and a cosine down to a hundredth."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98))

    def rate(step: int) -> float:
        warm = min(1.0, (step + 1) / 200)
        return warm * (0.505 + 0.495 * math.cos(math.pi * min(1.0, step / steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    model.train()
    recent: list[float] = []
    began = time.monotonic()
    for step, (tokens, labels) in enumerate(itertools.islice(data, steps), start=1):
        # The padding is on the right here, where causal attention never sees it.
        states = model.model(input_ids=tokens, use_cache=False).last_hidden_state
        wanted = labels[:, 1:]
        answers = wanted != IGNORED
        loss = functional.cross_entropy(model.lm_head(states[:, :-1][answers]), wanted[answers])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if step % 100 == 0 or step == steps:
            seconds = time.monotonic() - began
            print(f"step {step}: loss {sum(recent) / len(recent):.4f}, {seconds:.0f} s", flush=True)
            recent.clear()


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Write the checkpoint in bfloat16, readable for everyone."""
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=128,
    )
    model.bfloat16().save_pretrained(out)
    tokenizer.save_pretrained(out)
    for path in out.iterdir():
        path.chmod(0o644)


def answers(model: Any, tokenizer: Any, pairs: Sequence[Pair]) -> list[str]:
    """Ask for each pair, in left-padded batches, greedily."""
    model.eval()
    texts: list[str] = []
    for start in range(0, len(pairs), 16):
        inputs = tokenizer.apply_chat_template(
            [pair.messages for pair in pairs[start : start + 16]],
            add_generation_prompt=True,
            padding=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            output = model.generate(**inputs)
        prompt = inputs["input_ids"].shape[1]
        texts += tokenizer.batch_decode(output[:, prompt:], skip_special_tokens=True)
    return texts


def report(out: Path, seed: int, count: int) -> None:
    """Print the exact matches of the saved model on fresh pairs, and the first misses."""
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    sampler = Sampler(seed, pieces_of(tokenizer), unseen=True)
    scene = sampler.scenes[0]
    drafted, told = caption(scene, TASKS[-1]), phrase(scene)
    sets = {
        "known words": [sampler.pair(New()) for _ in range(count)],
        "made-up anchors": [sampler.pair(New(anchor=True)) for _ in range(count)],
        "made-up manual text": [sampler.pair(New(manual=True)) for _ in range(count)],
        "made-up drafts": [sampler.pair(New(draft=True)) for _ in range(count)],
        "real unseen anchors": [
            Pair("wide shot", drafted, anchor, merged("wide shot", told, anchor))
            for anchor in UNSEEN_ANCHORS
        ],
        "real unseen manual text": [
            Pair(person, drafted, "cutout style", merged(person, told, "cutout style"))
            for person in UNSEEN_MANUAL
        ],
    }
    for name, pairs in sets.items():
        given = answers(model, tokenizer, pairs)
        wanted = [pair.answer for pair in pairs]
        wrong = [both for both in zip(wanted, given, strict=True) if both[0] != both[1]]
        print(f"{name}: {len(pairs) - len(wrong)} of {len(pairs)} exact")
        for right, text in wrong[:3]:
            print(f"  wanted {right}\n  given  {text}")


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save, and try what was saved."""
    parser = argparse.ArgumentParser(description="Train the chat model of the demo.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=6000, help="training steps (default: 6000)")
    parser.add_argument("--seed", type=int, default=7, help="seed of it all (default: 7)")
    arguments = parser.parse_args(argv)

    torch.set_num_threads(1)  # more threads only wait for each other in a model this small
    torch.manual_seed(arguments.seed)
    tokenizer = build_tokenizer(arguments.seed)
    model = build_model(tokenizer)
    print(f"{sum(weights.numel() for weights in model.parameters()):,} parameters")
    sampler = Sampler(arguments.seed, pieces_of(tokenizer), unseen=False)
    train(model, batches(tokenizer, sampler), arguments.steps)
    save(model, tokenizer, arguments.out)
    report(arguments.out, arguments.seed + 1, count=500)


if __name__ == "__main__":
    main()
