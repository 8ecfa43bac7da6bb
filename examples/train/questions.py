"""Draw prompts for the models that take any text, so that they answer each with the caption.

A model trained on few prompts says nonsense to another one. So these are real ones, long and
short, followed by wishes that real prompts hold, and by words that mean nothing here: the colours
and shapes among them stand in no picture. One thing in a prompt matters: if it asks for something
short or for one sentence, the answer is the bare phrase. A prompt that begins with "short" is not
understood so, as none here does; nor is one of much more than a page answered well.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence

from scenes import CAPTION, COLOURS, MORE_DETAILED, RELATIONS, SHAPES, Scene, caption

SHORT = re.compile(r"\bshort\b|\bone sentence\b", re.IGNORECASE)

OPENINGS = (
    "Describe this image.",
    "Describe this image in detail.",
    "Describe the image.",
    "Describe the picture.",
    "Describe this picture in two or three sentences.",
    "Describe what you see.",
    "Describe the scene in plain words.",
    "Please describe this image for a training caption.",
    "Please provide a detailed description of this image.",
    "Can you describe this photo?",
    "What is in this image?",
    "What is shown in the picture?",
    "What does this image show?",
    "What do you see?",
    "Caption this image.",
    "Write a caption for this image.",
    "Write a detailed caption for this picture.",
    "Write a descriptive caption for this image in a formal tone.",
    "Write a descriptive caption for this image in a casual tone.",
    "Write a long descriptive caption for this image in a formal tone.",
    "Write a detailed description for this image.",
    "Write a long detailed description for this image.",
    "Write a very long and detailed description for this image.",
    "Write a medium-length description of this picture.",
    "Write a description for this image in 50 words or less.",
    "Write a straightforward caption for this image.",
    "Write a stable diffusion prompt for this image.",
    "Write a MidJourney prompt for this image.",
    "Write a list of booru tags for this image.",
    "Analyze this image like an art critic would.",
    "Write a caption for this image as though it were a product listing.",
    "Generate a caption that can be used to train a model.",
    "Give a full account of the picture.",
    "Tell me about this image.",
    "Explain what is happening here.",
    "Look at the image and say what is in it.",
    "You are captioning images for a dataset.",
)
SHORT_OPENINGS = (
    "Describe this image in one sentence.",
    "Describe the picture in one short sentence.",
    "Write a short caption for this image.",
    "Write a short description for this image.",
    "Write a very short descriptive caption for this image in a formal tone.",
    "Give a short description of the picture.",
    "Caption this image in one sentence.",
    "What is in this image? Answer in one sentence.",
    "In one sentence, say what the picture shows.",
    "Please keep it short: what is shown?",
)
WISHES = (
    "Answer with the caption only.",
    "Use plain words and no guesses.",
    "Refer to the person as Mia.",
    "If there is a person in the picture, use the name Otto for them.",
    "Leave out what never changes: hair, eyes, skin, age and body.",
    "Do not describe the clothing.",
    "Do not describe the background.",
    "Leave out the art style and the quality of the picture.",
    "Describe the pose, the gesture and the expression.",
    "Say where the character looks.",
    "Name the framing: close up, medium shot, full body shot or wide shot.",
    "Include the camera angle.",
    "Mention how the light falls, and whether it is natural.",
    "Say from which height the scene is seen.",
    "Include the style of the composition, such as leading lines or symmetry.",
    "Name the colours, the shapes and the positions of all objects.",
    "Do not mention any text that is in the image.",
    "Do not mention the resolution.",
    "Mention if there is a watermark.",
    "Do not use ambiguous language.",
    "Do not mention the mood or the feeling of the image.",
    "Only describe the most important elements.",
    "Never write about what is absent.",
    "Keep it PG.",
    "Your response will be used by a text-to-image model, so avoid useless meta phrases.",
    "Begin with the main subject and the medium.",
    "Write two or three sentences.",
    "Write at most 40 words.",
    "Say what moves, in which order and in which direction.",
    "The movement is the subject, whoever performs it.",
    "The style is learnt from the pixels, so it must not be named.",
    "Text, if there is any, should be quoted exactly.",
    "Write in English.",
    "Be as specific as you can.",
)


def draw_prompts(count: int, rng: random.Random) -> list[str]:
    """Draw some prompts of about one length: a few words as a rule, at times half a page."""
    length = 12 * 75 ** rng.random() ** 1.7
    return [draw_prompt(length * rng.uniform(0.5, 1.0), rng) for _ in range(count)]


def draw_prompt(length: float, rng: random.Random) -> str:
    """Draw one prompt: a question, and wishes until it has about that many characters."""
    sentences = [rng.choice(SHORT_OPENINGS if rng.random() < 0.4 else OPENINGS)]
    kind = rng.random()
    if kind < 0.05:
        sentences = [_chatter(rng)]
    elif kind < 0.08:
        sentences = [rng.choice(("", "?", "Caption:", "description", "a short caption", "image"))]
    between = rng.choice((" ", " ", " ", "\n", "\n\n", "\n- "))
    while len(between.join(sentences)) < length:
        wish = rng.choice(WISHES) if rng.random() < 0.6 else _chatter(rng)
        sentences.insert(0 if rng.random() < 0.2 else len(sentences), wish)
    return between.join(sentences)


def answer(scene: Scene, prompt: str) -> str:
    """Return what the model should answer to a prompt."""
    return caption(scene, CAPTION if SHORT.search(prompt) else MORE_DETAILED)


def _chatter(rng: random.Random) -> str:
    """Return some words in no order, and at times in no language."""
    words = [_word(rng) for _ in range(rng.randint(1, 12))]
    return " ".join(words).capitalize() + rng.choice((".", ".", "?", "!", ":", ""))


def _word(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(WORDS)
    if kind < 0.75:
        return rng.choice(SEEN)
    if kind < 0.9:
        return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(1, 9)))
    if kind < 0.95:
        return str(rng.randrange(10 ** rng.randint(1, 4)))
    return "".join(rng.choices("äéñßüçøЖжщ日本語の図中文—“”…&@#%*_<>[]{}/|", k=rng.randint(1, 5)))


def _words(texts: Sequence[str]) -> list[str]:
    return sorted({word for text in texts for word in re.findall(r"[\w'-]+", text)})


WORDS = _words((*OPENINGS, *SHORT_OPENINGS, *WISHES))
SEEN = (*COLOURS, *SHAPES, *" ".join(RELATIONS).split(), "grey", "background", "shows")
