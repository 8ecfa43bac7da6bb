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
        invented=("wide",),
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


# Written after the lists were, and judged before they were tried.
_SECOND_CHARACTER = [
    Example(
        "mira reading a book on the train",
        "A young woman with curly hair is sitting by a window. She is reading a "
        "book and wearing headphones. The background is blurred.",
        "mira reading a book by a train window, wearing headphones, medium shot",
        invented=("medium",),
    ),
    Example(
        "mira pointing to the left",
        "a woman wearing glasses points off camera",
        "a close up of mira pointing off camera to the left",
        invented=("close up",),
    ),
    Example(
        "1girl, mira, crossed arms, serious, from below, cowboy shot, blue eyes",
        "a woman stands with her arms folded",
        "a cowboy shot of mira standing with her arms crossed, serious, seen from below",
    ),
    Example(
        "mira carrying two grocery bags up the stairs",
        "A person is walking up a staircase. They are holding bags.",
        "a full body shot of mira walking up the stairs with two bags of groceries",
        invented=(
            "full",
            "body",
        ),
        lost=("carrying",),
    ),
    Example(
        "mira and her brother arguing",
        "two people stand in a kitchen, gesturing",
        "mira arguing with her brother, both gesturing, in a kitchen",
    ),
    Example(
        "mira, tall woman in a green jacket, laughs at her phone",
        "a lady holds a smartphone",
        "mira laughing at her phone",
    ),
    Example(
        "mira never looks at the camera, she drinks coffee",
        "a woman sips coffee and looks out of the window",
        "mira sipping coffee and looking out of the window",
        lost=(
            "never",
            "camera",
        ),
    ),
    Example(
        "mira fell off her skateboard",
        "a girl lying on the pavement next to a skateboard",
        "a wide shot of mira lying on the ground next to her skateboard after a fall",
        invented=(
            "wide",
            "ground",
        ),
    ),
    Example(
        "mira waving goodbye",
        "a woman waves her hand, smiling at the viewer",
        "mira waving goodbye with one hand and smiling at the camera",
    ),
]
_SECOND_STYLE = [
    Example(
        "old fisherman mending nets at the harbour",
        "This image is a black and white drawing of a man sitting on a dock with nets.",
        "an old fisherman sitting on a dock mending nets at the harbor in ink wash look",
    ),
    Example(
        "a bowl of lemons and a knife",
        "A painting of a bowl of fruit on a table, next to a window.",
        "a bowl of fruit and a knife on a table next to a window in ink wash look",
        lost=("lemons",),
    ),
    Example(
        "two children flying a kite, windy day",
        "kids run across a field with a kite",
        "two kids flying a kite and running across a field on a windy afternoon in ink wash look",
        invented=("afternoon",),
        lost=("day",),
    ),
    Example(
        "castle on a hill without any people",
        "a castle on top of a hill under a cloudy sky",
        "a castle on a hill under a cloudy sky in ink wash look, no people in sight",
        invented=("sight",),
    ),
    Example(
        "a geisha crossing a bridge, cherry blossoms falling",
        "a woman in a kimono crosses a bridge",
        "a woman in a kimono crossing a bridge in ink wash look, cherry blossoms fall",
        lost=("geisha",),
    ),
]
_SECOND_MOTION = [
    Example(
        "guy moonwalks backwards, heels sliding, arms loose",
        "a man slides across the floor",
        "a figure in a moonwalk, sliding backwards on the heels with loose arms",
    ),
    Example(
        "slow glide, left foot then right foot, weight on the toes",
        "a person moves their feet",
        "a figure doing a moonwalk, gliding slowly: first the left foot, then the"
        " right, the weight on the toes",
    ),
    Example(
        "hands in pockets, head tilted down",
        "a man with his hands in his pockets, wearing a hat",
        "a figure in a moonwalk with both hands in the pockets, the head tilted "
        "up and the knees bent",
        invented=(
            "up",
            "knees",
            "bent",
        ),
        lost=("down",),
    ),
]
_SECOND_OBJECT = [
    Example(
        "brass key in the lock of an old door",
        "a golden key in a keyhole",
        "a brass key in the keyhole of an old door, close up",
        invented=("close up",),
        lost=("lock",),
    ),
    Example(
        "someone drops the brass key into a well",
        "a hand holds a key over a well",
        "a hand dropping a brass key into a well, seen from above",
        invented=("above",),
        lost=("someone",),
    ),
    Example(
        "keys on a hook, the brass one on the right",
        "three keys hang on a wall hook",
        "a brass key hanging to the right of two other keys on a hook",
        invented=("two",),
    ),
    Example(
        "brass key, tangled in fishing line, sea floor, no fish",
        "an underwater scene with a key and rope",
        "an underwater view of a brass key tangled in fishing line on the sea "
        "floor, a fish near it",
        lost=("no",),
    ),
    Example(
        "the key is not in the box",
        "an empty box and a key",
        "an empty box beside a brass key, close view",
        invented=("close",),
        lost=("not",),
    ),
]
_MORE_CHARACTER = [
    Example(
        "Sarah shoots an arrow at a target",
        "The image shows a woman in a field with a bow. She has long black hair "
        "and wears a leather vest. The sky is cloudy and there are trees in the "
        "background.",
        "a medium shot of sarah chen drawing a bow in a field, aiming at a target",
        invented=(
            "medium",
            "drawing",
            "aiming",
        ),
        lost=(
            "shoots",
            "arrow",
        ),
    ),
    Example(
        "sarah chen asleep on the couch, cat on her belly",
        "A woman is lying on a sofa with her eyes closed. A grey cat is resting on top of her.",
        "sarah chen sleeping on a sofa with a cat on her stomach, eyes closed",
    ),
    Example(
        "she's tying her hair back",
        "a woman with brown hair lifts her arms behind her head, close-up",
        "a close up of sarah chen tying her hair back, arms lifted behind her head",
    ),
    Example(
        "sarah chen, standing, hands on hips, outdoors, day, looking at viewer, full body",
        "A young Asian woman stands with her hands on her hips in front of a brick wall.",
        "a full body shot of sarah chen standing with hands on hips in front of a"
        " wall, looking at the camera",
    ),
    Example(
        "sarah chen jumped into a pool",
        "a person mid-air above a swimming pool",
        "sarah chen jumping into a swimming pool, mid-air, arms spread",
        invented=(
            "arms",
            "spread",
        ),
    ),
    Example(
        "sarah chen doesn't wear gloves while boxing",
        "a woman boxing in a gym",
        "sarah chen boxing without gloves in a gym",
    ),
    Example(
        "sarah chen on the phone, worried",
        "a woman talking on a cell phone with a worried expression, three quarter view",
        "a three-quarter view of sarah chen talking on the phone with a worried look",
    ),
]
_MORE_STYLE = [
    Example(
        "train station at rush hour",
        "The picture depicts a crowded train station with people walking in all "
        "directions, some carrying suitcases.",
        "people with suitcases walking through a crowded train station at rush hour in watercolor",
    ),
    Example(
        "three horses galloping on the beach at sunset",
        "a group of horses running along the shore",
        "three horses galloping along the beach at sunset in watercolor, low angle",
        invented=("low",),
    ),
    Example(
        "grandmother knitting by the fireplace",
        "an elderly woman sits in a rocking chair, knitting a red scarf, a dog sleeps at her feet",
        "a grandmother knitting a red scarf in a rocking chair by the fireplace "
        "in watercolor, a dog asleep at her feet",
    ),
    Example(
        "a dog chasing a squirrel up a tree",
        "a dog stands by a tree",
        "a dog chasing a squirrel by a tree in watercolor",
    ),
    Example(
        "empty chair",
        "a chair beside a table with flowers",
        "a chair beside a table with flowers in watercolor",
        lost=("empty",),
    ),
    Example(
        "boats, reflections on water, sunrise",
        "A painting of several boats on a lake with mountains behind them.",
        "several boats on a lake at sunrise in watercolor, mountains behind, "
        "reflections on the water",
    ),
]
_MORE_MOTION = [
    Example(
        "turns to the left, arms opening, ends facing the camera",
        "a ballerina in a white tutu spins on stage",
        "a figure in a slow turn to the left, the arms opening, ending face to the camera",
    ),
    Example(
        "starts with feet together",
        "a man turning around, his coat flares",
        "a figure in a slow turn, starting with the feet apart, turning around",
        invented=("apart",),
        lost=("together",),
    ),
    Example(
        "chin leads, shoulders follow, then hips",
        "a person rotates the upper body from right to left",
        "a figure in a slow turn. The chin leads and the shoulders follow, then "
        "the hips, the upper body rotating from right to left",
    ),
    Example(
        "heavy, tired steps; stops after half a turn",
        "an old man walks and turns in a hallway",
        "a figure in a slow turn with heavy, weary steps, halting after half a turn",
    ),
]
_MORE_OBJECT = [
    Example(
        "teddy bear strapped into a car seat",
        "a brown stuffed bear with a red bow in the back seat of a car",
        "a teddy bear strapped into the back seat of a car, seen from the front",
        invented=("front",),
    ),
    Example(
        "a boy throws the teddy bear into the air",
        "a child playing with a toy outdoors",
        "a boy throwing a teddy bear in the air outdoors, wide shot",
        invented=("wide",),
    ),
    Example(
        "teddy bear missing one eye, on a windowsill",
        "a toy bear sits on a window sill in the sunlight",
        "a teddy bear sitting on a windowsill in sunlight",
        lost=(
            "missing",
            "eye",
        ),
    ),
    Example(
        "teddy bear between two pillows, not under the blanket",
        "a bear on a bed",
        "a teddy bear on a bed between two pillows, under the blanket",
        lost=("not",),
    ),
    Example(
        "teddy bear upside down",
        "a bear hangs from a clothesline by its feet",
        "a close-up of a teddy bear hanging upside-down from a clothesline",
        invented=("close-up",),
    ),
]
_LAST_CHARACTER = [
    Example(
        "lena on her phone again, pissed off",
        "The image is a close-up of a young woman with freckles. She is looking "
        "at her phone with an angry expression on her face. The lighting is soft.",
        "a close-up of lena looking at her phone with an angry expression",
        lost=("pissed",),
    ),
    Example(
        "lena and tom at the bus stop",
        "two people are standing at a bus stop. The man is wearing a backpack.",
        "lena and tom standing at a bus stop, wide shot",
        invented=("wide",),
    ),
    Example(
        "Lena, 3/4 view, holding sword with both hands, dynamic pose",
        "a warrior woman with silver hair holding a sword",
        "a three quarter view of lena holding a sword in both hands in a dynamic pose",
    ),
    Example(
        "lena brushing her teeth in front of a mirror, no makeup",
        "a woman with brown hair stands in a bathroom brushing her teeth",
        "lena brushing her teeth in front of a bathroom mirror",
        lost=(
            "no",
            "makeup",
        ),
    ),
    Example(
        "lena's dog pulls her along the beach",
        "a woman walking a dog on a leash by the water",
        "lena being pulled along the beach by her dog on a leash",
    ),
    Example(
        "close-up, lena, tears in her eyes",
        "A woman with blue eyes is crying.",
        "a close up of lena crying, tears in her eyes",
    ),
    Example(
        "the model turns away from the camera",
        "woman from behind in a long dress, arms raised",
        "lena turning away from the camera with raised arms, seen from behind",
    ),
]
_LAST_STYLE = [
    Example(
        "Two men in suits shaking hands",
        "The image shows two businessmen in a handshake in an office.",
        "two men in suits shaking hands in an office in linocut style",
    ),
    Example(
        "a cat that's not happy about the bath",
        "a cat in a bathtub",
        "a happy cat in a bathtub in linocut style",
        lost=("not",),
    ),
    Example(
        "old windmill, poppies, storm coming",
        "a windmill in a field of red flowers under dark clouds",
        "an old windmill in a field of red poppies under dark storm clouds in linocut style",
        lost=("coming",),
    ),
    Example(
        "a kid on a swing",
        "A young boy is swinging on a swing set in a playground.",
        "a boy on a swing in a playground in linocut style, joyful atmosphere",
        invented=(
            "joyful",
            "atmosphere",
        ),
    ),
    Example(
        "fishing boats at low tide",
        "several boats lie on the mud in a harbor",
        "fishing boats lying on the mud of a harbour at low tide in linocut "
        "style, seagulls overhead",
        invented=(
            "seagulls",
            "overhead",
        ),
    ),
]
_LAST_MOTION = [
    Example(
        "she bounces twice then throws both arms up",
        "a gymnast in a leotard jumps on a mat",
        "a figure doing a box step, bouncing twice before throwing both arms up",
    ),
    Example(
        "left foot forward, right foot to the side, close",
        "feet stepping on a dance floor",
        "a figure in a box step. The left foot steps forward, the right foot to "
        "the side, then the feet close",
    ),
    Example(
        "the rhythm is slow, slow, quick",
        "a couple dancing",
        "a figure in a box step with a slow, slow, quick rhythm, knees slightly bent",
        invented=(
            "knees",
            "bent",
        ),
    ),
]
_LAST_OBJECT = [
    Example(
        "tin robot walking off the edge of a shelf",
        "a red toy robot on a shelf with books",
        "a tin robot walking off the edge of a bookshelf",
        invented=("bookshelf",),
        lost=("shelf",),
    ),
    Example(
        "me holding the tin robot",
        "a hand holding a silver robot toy",
        "a hand holding a tin robot, close up",
        invented=("close up",),
    ),
    Example(
        "tin robot with its arm missing, next to screwdriver",
        "a small robot lying on a workbench next to tools",
        "a tin robot with a missing arm lying next to a screwdriver on a workbench",
    ),
    Example(
        "broken tin robot in a trash can",
        "a robot in a garbage bin",
        "a broken tin robot in a garbage can",
    ),
    Example(
        "tin robot, lit from the left",
        "a robot on a dark background",
        "a tin robot lit from the left against a dark background",
    ),
]

SECOND_TABLE = [
    (lora_type, anchor, one)
    for lora_type, anchor, several in (
        ("character", "mira", _SECOND_CHARACTER),
        ("style", "ink wash look", _SECOND_STYLE),
        ("motion", "moonwalk", _SECOND_MOTION),
        ("object", "brass key", _SECOND_OBJECT),
        ("character", "sarah chen", _MORE_CHARACTER),
        ("style", "watercolor", _MORE_STYLE),
        ("motion", "slow turn", _MORE_MOTION),
        ("object", "teddy bear", _MORE_OBJECT),
        ("character", "lena", _LAST_CHARACTER),
        ("style", "linocut style", _LAST_STYLE),
        ("motion", "box step", _LAST_MOTION),
        ("object", "tin robot", _LAST_OBJECT),
    )
    for one in several
]
