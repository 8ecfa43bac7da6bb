"""Merged captions beside their two sources, and what a careful reader calls invented and lost."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """One merge. `invented` and `lost` are the words that a person would underline."""

    manual: str
    draft: str
    merged: str
    invented: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


CHARACTER = [
    Example(
        "annika waving at a dog",
        "The image shows a woman in a red coat standing in a park. She is waving. Medium shot.",
        "a medium shot of annika standing and waving at a dog in a park",
    ),
    Example(
        "annika waving at a dog",
        "a woman in a red coat stands in a park and waves",
        "a medium shot of annika waving at a cat in a park, smiling",
        invented=("medium", "cat", "smiling"),
        lost=("dog",),
    ),
    Example(
        "annika sat on a bench",
        "a woman is sitting outdoors, looking at the camera, full body",
        "a full-body shot of annika sitting on a bench and looking at the camera",
    ),
    Example(
        "a woman with long red hair laughing",
        "a woman with red hair and green eyes, close-up",
        "a close up of annika laughing",
    ),
    Example(
        "Annika, 1girl, solo, smile, looking_at_viewer, red hair, (hat:1.2), upper body",
        "a young woman smiles at the camera",
        "an upper body shot of annika smiling and looking at the camera",
    ),
    Example(
        "annika holding an umbrella in her left hand",
        "a woman holds an umbrella, seen from the side",
        "annika holding an umbrella in her right hand, seen from the side",
        invented=("right",),
        lost=("left",),
    ),
    Example(
        "annika without her hat, running",
        "a woman running down a street, wide shot",
        "a wide shot of annika with her hat, running down a street",
        lost=("without",),
    ),
    Example(
        "she is playing the violin",
        "a girl in a white dress plays the violin on a stage, medium shot",
        "a medium shot of annika playing the violin on a stage",
    ),
    Example(
        "annika and a man dancing",
        "two people dance together in a hall, wide shot",
        "a wide shot of annika dancing in a hall",
        lost=("man",),
    ),
    Example(
        "annika and a man dancing",
        "two people dance together in a hall, wide shot",
        "a wide shot of annika and a man dancing together in a hall",
    ),
    Example(
        "annika throws a red ball",
        "a woman throws a blue ball, side view",
        "annika throwing a red ball, seen from the side",
    ),
    Example(
        "annika throws a red ball",
        "a woman throws a blue ball, side view",
        "annika throwing a blue ball, seen from the side",
        lost=("red",),
    ),
    Example(
        "",
        "The image shows a woman leaning on a railing and gazing at the sea.",
        "annika leaning on a railing and looking at the sea",
    ),
    Example(
        "annika on a bike, Lisbon",
        "",
        "annika riding a bicycle in Lisbon",
        invented=("riding",),
    ),
    Example(
        "annika kneeling",
        "a person kneels and ties a shoelace, seen from above",
        "annika on one knee, tying a shoelace, seen from above",
    ),
    Example(
        "annika not smiling, arms crossed",
        "a woman with a serious expression crosses her arms, waist up",
        "annika with crossed arms and a serious expression, framed from the waist up",
        lost=("not", "smiling"),
    ),
    Example(
        "annika hides behind a tree",
        "a woman peeks out beside a tree, medium shot",
        "a medium shot of annika hiding in front of a tree",
        invented=("front",),
        lost=("behind",),
    ),
    Example(
        "annika looking down at two kids",
        "a woman looks at the children, close up",
        "a closeup of annika looking down at 2 children",
    ),
    Example(
        "annika looking up",
        "a woman looks away, close up",
        "a close up of annika looking down",
        invented=("down",),
        lost=("up",),
    ),
    Example(
        "this is a photo of annika eating ramen, masterpiece, best quality",
        "The photo shows a woman eating noodles with chopsticks.",
        "annika eating ramen with chopsticks",
    ),
    Example(
        "annika standing in a park with tall trees, wearing a blue coat",
        "a woman in a blue coat stands and checks her phone",
        "annika standing and checking her phone",
    ),
    Example(
        "[trigger] grinning, one hand in her hair",
        "a woman smiles, hand on her head",
        "annika smiling with one hand in her hair",
    ),
    Example(
        "anika jumping over a fence",
        "a woman leaps across a fence in mid-air",
        "annika leaping over a fence, caught in mid-air",
    ),
    Example(
        "花子が街を歩く、全身",
        "花子が歩いている",
        "花子が街を歩いている、全身",
    ),
    Example(
        "annika lacht und hält einen Regenschirm",
        "a woman laughs in the rain",
        "annika laughing in the rain and holding an umbrella",
    ),
    Example(
        "アニカが傘を持って笑っている",
        "a woman laughs in the rain",
        "annika laughing in the rain",
    ),
]

STYLE = [
    Example(
        "two cats asleep on a sofa",
        "a painting of 2 cats sleeping on a couch next to a lamp",
        "two cats sleeping on a couch next to a lamp in illustration style",
    ),
    Example(
        "a harbour at dawn",
        "The image depicts a harbor with boats and a grey sky.",
        "a harbor at dawn with boats under a gray sky in illustration style, wide shot",
        invented=("under", "wide"),
    ),
    Example(
        "an illustration of an old man reading a newspaper",
        "a man with a beard sits in an armchair, reading",
        "an old man with a beard reading in an armchair in illustration style",
        lost=("newspaper",),
    ),
    Example(
        "an illustration of an old man reading a newspaper",
        "a man with a beard sits in an armchair, reading",
        "an old man with a beard sitting in an armchair in illustration style, reading a newspaper",
    ),
    Example(
        "girl in a red raincoat, no umbrella",
        "a child stands in a puddle in the rain",
        "a girl in a red raincoat standing in a puddle in the rain in illustration style",
        lost=("no", "umbrella"),
    ),
    Example(
        "a woman feeding a horse",
        "a person feeds a brown horse by a fence",
        "a person feeding a brown horse by a fence in illustration style",
        lost=("woman",),
    ),
    Example(
        "someone feeding a horse",
        "a woman feeds a brown horse by a fence",
        "a woman feeding a brown horse by a fence in illustration style",
    ),
    Example(
        "a beautiful, highly detailed landscape with a waterfall",
        "a waterfall between cliffs",
        "a landscape with a waterfall between cliffs in illustration style",
    ),
    Example(
        "fox, forest, snow, night, full moon",
        "A fox is walking through a snowy forest at night.",
        "a fox walking through a snowy forest at night under a full moon in illustration style",
        invented=("under",),
    ),
    Example(
        "tram turning a corner in the rain",
        "a yellow tram on a city street",
        "a yellow tram rounding a corner on a rainy city street in illustration style",
    ),
    Example(
        "a lighthouse",
        "a lighthouse on a cliff in a storm",
        "a lighthouse on a cliff in illustration style, waves crashing below, dramatic light",
        invented=("waves", "crashing", "below", "dramatic", "light"),
    ),
    Example(
        "three men playing cards",
        "men at a table with playing cards",
        "four men playing cards at a table in illustration style",
        invented=("four",),
        lost=("three",),
    ),
    Example(
        "a T-shirt on a clothesline",
        "a tshirt hanging from a line",
        "a t-shirt hanging on a clothesline in illustration style",
    ),
    Example(
        "",
        "",
        "a castle in illustration style",
        invented=("castle",),
    ),
    Example(
        "deer beneath a bridge",
        "a deer standing near a stone bridge",
        "a deer standing under a stone bridge in illustration style",
    ),
    Example(
        "a market at midday, shot from above",
        "people walking between stalls",
        "people walking between the stalls of a market at midday in illustration style, "
        "seen from a high angle",
    ),
]

MOTION = [
    Example(
        "a woman doing a fluid walk, the left arm swings first",
        "a person walks forward, hips shifting slowly",
        "a figure in a fluid walk. First the left arm swings, then the hips shift slowly",
    ),
    Example(
        "a woman doing a fluid walk, the left arm swings first",
        "a person walks forward, hips shifting slowly",
        "a figure in a fluid walk. First the right arm swings, then the hips shift quickly",
        invented=("right", "quickly"),
        lost=("left",),
    ),
    Example(
        "turns clockwise, pauses, then steps back",
        "a dancer turns on the right foot",
        "a figure demonstrating a fluid walk. It turns clockwise on the right foot, pauses, "
        "then steps backwards",
    ),
    Example(
        "turns clockwise, pauses, then steps back",
        "a dancer turns on the right foot",
        "a figure demonstrating a fluid walk. It turns counterclockwise on the right foot, "
        "then steps back",
        invented=("counterclockwise",),
        lost=("clockwise", "pauses"),
    ),
    Example(
        "dancer in a red dress in a ballroom, both arms rise",
        "a woman in a red dress raises her arms",
        "a figure in a fluid walk, raising both arms",
    ),
    Example(
        "heel lands before the toe",
        "close view of feet walking on a wooden floor",
        "feet in a fluid walk on a wooden floor, seen close, the heel landing before the toes",
    ),
    Example(
        "the knees bend and the torso leans forward",
        "a man bends his knees",
        "a man in a fluid walk bending the knees, the body leaning forward",
        invented=("body",),
        lost=("torso",),
    ),
    Example(
        "he spun around quickly",
        "a figure spinning, arms held close",
        "a figure in a fluid walk, spinning around rapidly, arms held close",
    ),
    Example(
        "the head stays still, shoulders do not move",
        "a person walking, seen from the front",
        "a person in a fluid walk, seen from the front. The head stays still, the shoulders move",
        lost=("not",),
    ),
    Example(
        "the weight shifts from the heel to the toes",
        "",
        "a figure showing a fluid walk, the weight shifting from heel to toe with knees soft",
        invented=("knees", "soft"),
    ),
]

OBJECT = [
    Example(
        "a sword on a table",
        "a shiny sword with a golden hilt lies on a wooden table, top view",
        "a crystal sword lying on a wooden table, seen from above",
    ),
    Example(
        "the shiny crystal sword held in both hands",
        "a knight holds a blue sword in front of his chest, medium shot",
        "a knight holding the crystal sword in two hands in front of the chest, medium shot",
    ),
    Example(
        "crystal sword between two candles",
        "a sword and candles on an altar",
        "a crystal sword on an altar, candles around it",
        lost=("between", "two"),
    ),
    Example(
        "the sword is broken",
        "a sword lying in the grass in a close up",
        "a close up of a crystal sword lying in the grass",
        lost=("broken",),
    ),
    Example(
        "crystal sword, museum, glass case",
        "a weapon displayed in a case",
        "a crystal sword displayed in a glass case in a museum, wide shot",
        invented=("wide",),
    ),
    Example(
        "a man swinging the sword from right to left",
        "a person swings a glowing sword, full body",
        "a full body shot of a man swinging the crystal sword from left to right",
    ),
    Example(
        "a crystal sword leaning against a wall",
        "a sword with an ornate handle rests against a brick wall",
        "a crystal sword resting against a brick wall in a medium shot, a shield beside it",
        invented=("medium", "shield"),
        lost=("leaning",),
    ),
    Example(
        "a sword half sunk in the sand",
        "a blue sword sticking out of sand on a beach",
        "a crystal sword sticking out of the sand on a beach, half sunken",
    ),
    Example(
        "sword under the bed",
        "a sword lying on the floor of a bedroom",
        "a crystal sword on the bed in a bedroom",
        lost=("under",),
    ),
    Example(
        "kid carrying the crystal sword over her shoulder",
        "a child carries a sword, seen from behind",
        "a child carrying a crystal sword over one shoulder, view from the back",
    ),
    Example(
        "crystal sword in its sheath",
        "a sword in a leather sheath hangs on a hook",
        "a crystal sword hanging from a hook in its leather sheath, no one near it",
        invented=("no",),
    ),
]

ANCHORS = {
    "character": "annika",
    "style": "illustration style",
    "motion": "fluid walk",
    "object": "crystal sword",
}
_OTHER_ANCHORS = {"花子が街を歩いている、全身": "花子"}

EXAMPLES = [
    (lora_type, _OTHER_ANCHORS.get(one.merged, ANCHORS[lora_type]), one)
    for lora_type, several in (
        ("character", CHARACTER),
        ("style", STYLE),
        ("motion", MOTION),
        ("object", OBJECT),
    )
    for one in several
]
