"""Texts as models write them, each with what a careful trainer would make of it.

Written for these tests: no model was run. The manners are those of captioners (Florence-2,
JoyCaption, LLaVA, Qwen-VL, Janus), chat models, reasoning models and servers.
"""

from __future__ import annotations

from typing import NamedTuple


class Dirty(NamedTuple):
    """A text, and the caption in it; or, if there is none, the label it is listed with."""

    raw: str
    caption: str = ""
    label: str = ""
    lora_type: str = "character"
    anchor: str = "annika"
    finish: str | None = "stop"


def _of(lora_type: str, anchor: str, *pairs: tuple[str, str]) -> list[Dirty]:
    return [Dirty(raw, caption, "", lora_type, anchor) for raw, caption in pairs]


def _listed(label: str, *raws: str) -> list[Dirty]:
    return [Dirty(raw, label=label) for raw in raws]


LEANING = "a medium shot of annika leaning on a railing, looking down"
TURNING = "a wide shot of annika turning on one heel, arms out"
SMILING = "a close up of annika smiling, straight on"
SWORD = "a crystal sword lying on an altar in a close up, seen from above"
MARKET = "a crowded market square in illustration style, wide shot, long shadows"
WALK = (
    "a figure in a fluid walk, seen from the side. The left heel lands first, then the hips follow"
)

REASONING = [
    Dirty(f"Thinking Process: 1. Analyze: she leans. 2. Draft. Final: {LEANING}", LEANING),
    Dirty(
        f"**Thinking process:**\n\n1. Analyze\n2. Draft\n\n**Final caption:** {LEANING}", LEANING
    ),
    Dirty(f"<think>\nOkay, so the user wants one caption.\n</think>\n\n{LEANING}", LEANING),
    Dirty(f"<think></think>{LEANING}", LEANING),
    Dirty(f"<think>first</think><think>second</think>\n{LEANING}", LEANING),
    Dirty(f"<thinking>Let me merge these.</thinking>\n{LEANING}", LEANING),
    Dirty(f"<THINK>merge</THINK> {LEANING}", LEANING),
    Dirty(f"Okay, the draft says a woman. The anchor is annika.\n</think>\n\n{LEANING}", LEANING),
    Dirty(f"hm</think>wait, no</think>\n\n{LEANING}", LEANING),
    Dirty(f"one <think>a</think> two</think>\n{LEANING}", LEANING),
    Dirty(f"{LEANING}\n<think>Should I add more? No", LEANING),
    Dirty(f"<think>a <think>nested</think> b</think>\n{LEANING}", LEANING),
    Dirty(f"<seed:think>budget</seed:think>{LEANING}", LEANING),
    Dirty(f"[THINK]which pose?[/THINK]{LEANING}", LEANING),
    Dirty(f"◁think▷The picture shows her leaning.◁/think▷{LEANING}", LEANING),
    Dirty(f"<|START_THINKING|>plan<|END_THINKING|>{LEANING}", LEANING),
    Dirty(f"<reasoning>short</reasoning>\n<answer>{LEANING}</answer>", LEANING),
    Dirty(f"<think>x</think><|begin_of_box|>{LEANING}<|end_of_box|>", LEANING),
    Dirty(f"<think>x</think>\n\\boxed{{{LEANING}}}", LEANING),
    Dirty(f"<answer>\n{LEANING}\n", LEANING),
    Dirty(f"<final_answer>{LEANING}</final_answer>", LEANING),
    Dirty(f"<caption>{LEANING}</caption>", LEANING),
    Dirty(f"<output>draft one</output>\n<output>{LEANING}</output>", LEANING),
    Dirty(
        "<|channel|>analysis<|message|>We need one caption.<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{LEANING}<|return|>",
        LEANING,
    ),
    Dirty(f"analysisThe user wants a caption. Keep annika.assistantfinal{LEANING}", LEANING),
    Dirty(f"<|channel|>final <|constrain|>text<|message|>{LEANING}", LEANING),
    Dirty(
        "<think>The person wrote: </think> is a tag.\nFine.\n</think>\n**Caption:** " + LEANING,
        LEANING,
    ),
    Dirty(f"<thought>\nmerge\n</thought>\n```\n{LEANING}\n```", LEANING),
    Dirty(f"<analysis>two texts</analysis>\n\nFinal caption: {LEANING}", LEANING),
]

TOKENS = [
    Dirty(f"{LEANING}<|endoftext|>Human: what is in this picture?", LEANING),
    Dirty(f"{LEANING}<|end_of_text|><|end_of_text|>{TURNING}", LEANING),
    Dirty(f"<s>[INST] Caption this picture. [/INST] {LEANING}</s>", LEANING),
    Dirty(f"</s><s>{LEANING}</s>", LEANING),
    Dirty(f"</s><s><s><s>{LEANING}</s><pad><pad><pad>", LEANING),
    Dirty(f"<s>{LEANING}<loc_12><loc_40><loc_998><loc_750></s>", LEANING),
    Dirty(f"{LEANING}<|im_end|>", LEANING),
    Dirty(f"<|im_start|>assistant\n{LEANING}<|im_end|>\n<|endoftext|>", LEANING),
    Dirty(f"<|start_header_id|>assistant<|end_header_id|>\n\n{LEANING}<|eot_id|>", LEANING),
    Dirty(
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nmerge these<|eot_id|>"
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{LEANING}<|eot_id|>",
        LEANING,
    ),
    Dirty(f"{LEANING}<|im_end|>\n<|im_start|>user\nNow another one<|im_end|>", LEANING),
    Dirty(f"assistant\n\n{LEANING}", LEANING),
    Dirty(f"[INST] [/INST] {LEANING}</s>", LEANING),
    Dirty(f"<start_of_turn>model\n{LEANING}<end_of_turn>", LEANING),
    Dirty(f"<unused12>{LEANING}", LEANING),
    Dirty(f"<｜begin▁of▁sentence｜>{LEANING}<｜end▁of▁sentence｜>", LEANING),
    Dirty(f"<image>\n{LEANING}", LEANING),
    Dirty(f"<image_placeholder>{LEANING}", LEANING),
    Dirty(f"<bos>{LEANING}<eos>", LEANING),
    Dirty(f"[img-0] {LEANING}", LEANING),
    Dirty(f"<MORE_DETAILED_CAPTION>{LEANING}", LEANING),
    Dirty(f"ASSISTANT: {LEANING}</s>", LEANING),
    Dirty(f"USER: <image>\nWrite a caption. ASSISTANT: {LEANING}", LEANING),
    Dirty(
        "a medium shot of annika</s>leaning on a railing",
        "a medium shot of annika leaning on a railing",
    ),
]

WRAPPING = [
    Dirty(f"```\n{LEANING}\n```", LEANING),
    Dirty(f"```text\n{LEANING}\n```", LEANING),
    Dirty(f"```{LEANING}```", LEANING),
    Dirty(f"~~~\n{LEANING}\n~~~", LEANING),
    Dirty(f'```json\n{{"caption": "{LEANING}"}}\n```', LEANING),
    Dirty(f"```\n{LEANING}", LEANING),
    Dirty(f"{LEANING}\n```", LEANING),
    Dirty(f"`{LEANING}`", LEANING),
    Dirty(f"Here is the caption:\n\n```plaintext\n{LEANING}\n```\n\nLet me know!", LEANING),
    Dirty(f'{{"caption": "{LEANING}"}}', LEANING),
    Dirty(f'{{\n  "final_caption": "{LEANING}",\n  "confidence": 0.92\n}}', LEANING),
    Dirty(f"{{'<MORE_DETAILED_CAPTION>': '{LEANING}'}}", LEANING),
    Dirty(f"{{'<CAPTION>': \"{LEANING}\"}}", LEANING),
    Dirty(f'["{LEANING}"]', LEANING),
    Dirty(f'[{{"caption": "{LEANING}"}}]', LEANING),
    Dirty(f'{{"caption": "{LEANING}",}}', LEANING),
    Dirty(f'{{"caption": "{LEANING}"', LEANING),
    Dirty(f'{{"result": {{"caption": "{LEANING}"}}}}', LEANING),
    Dirty(f'{{"response": "{LEANING}"}}', LEANING),
    Dirty(
        '{"caption": "annika says \\"hello\\" in a close up, straight on"}',
        'annika says "hello" in a close up, straight on',
    ),
    Dirty(f'"{LEANING}"', LEANING),
    Dirty(f"'{LEANING}'", LEANING),
    Dirty(f"“{LEANING}”", LEANING),
    Dirty(f"‘{LEANING}’", LEANING),
    Dirty(f"„{LEANING}“", LEANING),
    Dirty(f"«{LEANING}»", LEANING),
    Dirty(f"« {LEANING} »", LEANING),
    Dirty(f"»{LEANING}«", LEANING),
    Dirty(f"「{LEANING}」", LEANING),
    Dirty(f"『{LEANING}』", LEANING),
    Dirty(f"《{LEANING}》", LEANING),
    Dirty(f'""{LEANING}""', LEANING),
    Dirty(f"\"'{LEANING}'\"", LEANING),
    Dirty(f'"{LEANING}', LEANING),
    Dirty(f'{LEANING}"', LEANING),
    Dirty(f'"{LEANING}."', f"{LEANING}."),
    Dirty(f'"{LEANING}".', f"{LEANING}."),
    Dirty(f"**{LEANING}**", LEANING),
    Dirty(f"*{LEANING}*", LEANING),
    Dirty(f"***{LEANING}***", LEANING),
    Dirty(f"__{LEANING}__", LEANING),
    Dirty(f"_{LEANING}_", LEANING),
    Dirty(LEANING.replace("annika", "**annika**"), LEANING),
    Dirty(LEANING.replace("annika", "*annika*"), LEANING),
    Dirty(LEANING.replace("annika", "`annika`"), LEANING),
    Dirty(f"<p>{LEANING}</p>", LEANING),
    Dirty(f"<b>{LEANING}</b><br/>", LEANING),
    Dirty(f"> {LEANING}", LEANING),
    Dirty(f"({LEANING})", LEANING),
    Dirty(f"[{LEANING}]", LEANING),
]

LABELS = [
    Dirty("Here are the tags: annika, laughing hard, close-up", "annika, laughing hard, close-up"),
    Dirty("Keywords: annika, laughing hard, close-up", "annika, laughing hard, close-up"),
    Dirty(f"Caption: {LEANING}", LEANING),
    Dirty(f"caption : {LEANING}", LEANING),
    Dirty(f"**Caption:** {LEANING}", LEANING),
    Dirty(f"**Caption**: {LEANING}", LEANING),
    Dirty(f"**Final Caption:**\n\n{LEANING}", LEANING),
    Dirty(f"## Caption\n\n{LEANING}", LEANING),
    Dirty(f"### Combined caption:\n{LEANING}", LEANING),
    Dirty(f"Merged Caption: {LEANING}", LEANING),
    Dirty(f"Training caption: {LEANING}", LEANING),
    Dirty(f"Description: {LEANING}", LEANING),
    Dirty(f"Output: {LEANING}", LEANING),
    Dirty(f"Answer: {LEANING}", LEANING),
    Dirty(f"Image description: {LEANING}", LEANING),
    Dirty(f"Final output: {LEANING}", LEANING),
    Dirty(f"Caption (final): {LEANING}", LEANING),
    Dirty(f"Caption：{LEANING}", LEANING),
    Dirty(f"图片描述：{LEANING}", LEANING),
    Dirty(f"キャプション：{LEANING}", LEANING),
    Dirty(f"Legende: {LEANING}", LEANING),
    Dirty(f"Légende : {LEANING}", LEANING),
    Dirty(f"AI: {LEANING}", LEANING),
    Dirty(f"Caption: Caption: {LEANING}", LEANING),
    Dirty(f'Caption: "{LEANING}"', LEANING),
    Dirty(f"- Caption: {LEANING}", LEANING),
    Dirty(f"1. {LEANING}", LEANING),
    Dirty(f"1. {LEANING.capitalize()}", LEANING.capitalize()),
    Dirty("1. Annika waves in a wide shot", "annika waves in a wide shot"),
    Dirty(f"- {LEANING}", LEANING),
    Dirty(f"• {LEANING}", LEANING),
]

PREAMBLES = [
    Dirty(f"Sure! {LEANING}", LEANING),
    Dirty(f"Sure, here's the caption: {LEANING}", LEANING),
    Dirty(f"Sure thing! Here you go:\n\n{LEANING}", LEANING),
    Dirty(f"Certainly! Here is the merged caption:\n\n{LEANING}", LEANING),
    Dirty(f"Okay, here's a caption combining both texts:\n\n{LEANING}", LEANING),
    Dirty(f"Of course. Here is the revised caption: {LEANING}", LEANING),
    Dirty(f"Here is the rewritten caption for your LoRA:\n{LEANING}", LEANING),
    Dirty(f"Here's one possible caption: {LEANING}", LEANING),
    Dirty(f"Here are the final captions:\n1. {LEANING}", LEANING),
    Dirty(f"Based on the two texts, the combined caption is:\n\n{LEANING}", LEANING),
    Dirty(f"The combined caption is: {LEANING}", LEANING),
    Dirty(f"The final caption would be:\n\n{LEANING}", LEANING),
    Dirty(f"I've combined the two descriptions into one caption:\n\n{LEANING}", LEANING),
    Dirty(f"Below is the caption in one line:\n{LEANING}", LEANING),
    Dirty(f"A possible caption for this image could be: {LEANING}", LEANING),
    Dirty(f"Great! {LEANING}", LEANING),
    Dirty(f"Got it.\n\n{LEANING}", LEANING),
    Dirty(f"以下是合并后的描述：\n{LEANING}", LEANING),
    Dirty(f"好的！{LEANING}", LEANING),
    Dirty(f"Voici la légende : {LEANING}", LEANING),
    Dirty(f"Hier ist die Bildunterschrift:\n\n{LEANING}", LEANING),
    Dirty(f"Aquí está la descripción: {LEANING}", LEANING),
    Dirty(
        "Let me combine them.\n\nPerson: leaning on a railing\nDraft: a woman\n\n"
        f"Final caption: {LEANING}",
        LEANING,
    ),
]

CLOSINGS = [
    Dirty(f"{LEANING}. (Note: I've omitted her clothing as requested.)", f"{LEANING}."),
    Dirty(f"{LEANING} (Note: I've omitted her clothing as requested.)", LEANING),
    Dirty(f"{LEANING}. Unfortunately, I can't describe her clothing.", f"{LEANING}."),
    Dirty(f"{LEANING}. I'm sorry, but I cannot identify the person.", f"{LEANING}."),
    Dirty(
        f"{LEANING}. Please note that the identity of the person cannot be determined.",
        f"{LEANING}.",
    ),
    Dirty(f"Prompt: {LEANING}\nNegative prompt: blurry, ugly", LEANING),
    Dirty(f"{LEANING} Negative prompt: blurry\nSteps: 20, Sampler: Euler", LEANING),
    Dirty(f"{LEANING}\n\nLet me know if you'd like changes!", LEANING),
    Dirty(f"{LEANING}\n\nI hope this helps!", LEANING),
    Dirty(f"{LEANING}\n\nNote: I left out the background.", LEANING),
    Dirty(f"{LEANING}\n\n**Note:** the clothing was removed.", LEANING),
    Dirty(f"{LEANING}\n\n(Note: appearance was omitted as requested.)", LEANING),
    Dirty(f"{LEANING}. Note that I have omitted the clothing.", f"{LEANING}."),
    Dirty(f"{LEANING}. Let me know if you need another version.", f"{LEANING}."),
    Dirty(f"{LEANING}\n\n---\n\nThis caption keeps the pose and drops the clothes.", LEANING),
    Dirty(f"{LEANING}\n\n***\nExplanation: the anchor comes first.", LEANING),
    Dirty(f"{LEANING}\n\nKey changes:\n- removed hair\n- added framing", LEANING),
    Dirty(f"{LEANING}\n(11 words)", LEANING),
    Dirty(f"{LEANING}\n\nWord count: 11", LEANING),
    Dirty(f"{LEANING}\n\nWould you like me to try a different tone?", LEANING),
    Dirty(f"{LEANING}\n\nFeel free to adjust it.", LEANING),
    Dirty(f"{LEANING}\n\nI've kept the framing and removed the clothing.", LEANING),
    Dirty(f"{LEANING}\n\nTags: woman, railing, balcony", LEANING),
    Dirty(f"{LEANING}. There are no other people visible in the image.", f"{LEANING}."),
    Dirty(f"{LEANING}. The image does not contain any text or watermarks.", f"{LEANING}."),
    Dirty(f"{LEANING}. No text or watermarks are visible.", f"{LEANING}."),
    Dirty(f"{LEANING}\n\nSources: [1] manual caption", LEANING),
    Dirty(f"{LEANING}\n\nThank you!", LEANING),
]

ALOUD = [
    Dirty(f"The caption is as follows:\n\n{LEANING}", LEANING),
    Dirty(f"Let me think. The person says annika leans.\n\n{LEANING}", LEANING),
    Dirty(f"Okay, let's merge both texts.\n\n{LEANING}", LEANING),
    Dirty(f"The user wants one caption with annika.\n\n{LEANING}", LEANING),
    Dirty(f"First, I need to merge both. So the caption is: {LEANING}", LEANING),
    Dirty(f"**Thought:** combine\n\n**Caption:** {LEANING}", LEANING),
    Dirty(f"Thought: merge.\nFinal Answer: {LEANING}", LEANING),
    Dirty(f"Step 1: read.\nStep 2: merge.\n\nCaption: {LEANING}", LEANING),
    Dirty(f"Caption: {LEANING}\nCaption: {TURNING}", LEANING),
    Dirty(f"Title: At the railing\nCaption: {LEANING}", LEANING),
    Dirty(f"**Title:** At the railing\n\n**Description:** {LEANING}", LEANING),
    Dirty(f'{{"title": "At the railing", "caption": "{LEANING}", "tags": ["a"]}}', LEANING),
    Dirty(f'json\n{{"caption": "{LEANING}"}}', LEANING),
    Dirty(f'caption = "{LEANING}"', LEANING),
    Dirty(f"user\nmerge these\nassistant\n{LEANING}", LEANING),
    Dirty(f"system\nyou caption\nuser\nmerge\nassistant\n{LEANING}", LEANING),
    Dirty(f"Human: x\n\nAssistant: {LEANING}\n\nHuman: thanks", LEANING),
    Dirty(f"{LEANING}\n\n[End of caption]", LEANING),
    Dirty(f"{LEANING} [END]", LEANING),
    Dirty(f"{LEANING}\n\n#annika #lora", LEANING),
    Dirty(f"{LEANING} #annika #lora #training", LEANING),
    Dirty(f"{LEANING}\n\nThis follows all the rules you gave.", LEANING),
    Dirty(f"{LEANING}\n\n{LEANING.replace('annika', 'Annika')}", LEANING),
    Dirty(f"{LEANING}. The overall mood of the image is serene.", f"{LEANING}."),
    Dirty(f"{LEANING}. The image is well-lit and of high quality.", f"{LEANING}."),
    Dirty(f"{LEANING}. The image is of high quality.", f"{LEANING}."),
    Dirty(f"{LEANING}. Overall, the image conveys a sense of calm.", f"{LEANING}."),
    Dirty(
        f"{LEANING}. The image is a beautiful composition that evokes a feeling of nostalgia.",
        f"{LEANING}.",
    ),
    Dirty(f"{LEANING}. The overall mood is peaceful and inviting.", f"{LEANING}."),
    Dirty(f"{LEANING}. There are no other objects present in the scene.", f"{LEANING}."),
    Dirty("I see a woman leaning in a medium shot", "annika leaning in a medium shot"),
    Dirty("It appears that annika is asleep, close up", "annika is asleep, close up"),
    Dirty("I think this is annika asleep, close up", "annika asleep, close up"),
]

LISTS = [
    Dirty(
        "annika\nlaughing hard\nclose-up\nseen from above",
        "annika, laughing hard, close-up, seen from above",
    ),
    Dirty("annika,\nlaughing,\nclose up,\noutdoors", "annika, laughing, close up, outdoors"),
    Dirty(f"1. {LEANING}\n2. {TURNING}\n3. {SMILING}", LEANING),
    Dirty(f"Option 1: {LEANING}\nOption 2: {TURNING}", LEANING),
    Dirty(f"**Option A:** {LEANING}\n\n**Option B:** {TURNING}", LEANING),
    Dirty(f"**Option A:** {LEANING} **Option B:** {TURNING}", LEANING),
    Dirty(f"1) a woman looking down at a river\n2) {LEANING}", LEANING),
    Dirty(f"{LEANING}\n\nOr:\n\n{TURNING}", LEANING),
    Dirty(f"{LEANING}\n\nAlternatively: {TURNING}", LEANING),
    Dirty(f"{LEANING}\n{LEANING}", LEANING),
    Dirty(f"Here are three options:\n\n1. {LEANING}\n2. {TURNING}\n3. {SMILING}", LEANING),
    Dirty(
        f"Here are two captions:\n\n* **Caption 1:** {LEANING}\n* **Caption 2:** {TURNING}", LEANING
    ),
    Dirty(f'{{"captions": ["{LEANING}", "{TURNING}"]}}', LEANING),
    Dirty(
        "- a medium shot of annika\n- leaning on a railing\n- looking down",
        "a medium shot of annika, leaning on a railing, looking down",
    ),
    Dirty(
        "[00:00 - 00:03] a wide shot of annika walking in\n[00:03 - 00:05] she stops and turns",
        "a wide shot of annika walking in she stops and turns",
    ),
]

OPENERS = [
    Dirty("The image shows a close up of annika smiling", "a close up of annika smiling"),
    Dirty("This image depicts a close up of annika smiling", "a close up of annika smiling"),
    Dirty(
        "The photo features annika jumping over a puddle in a wide shot",
        "annika jumping over a puddle in a wide shot",
    ),
    Dirty(
        "In this image, annika is sitting on a bench in a medium shot",
        "annika is sitting on a bench in a medium shot",
    ),
    Dirty(
        "In the picture, we can see annika waving in a medium shot",
        "annika waving in a medium shot",
    ),
    Dirty(
        "This is a photograph of annika waving in a medium shot", "annika waving in a medium shot"
    ),
    Dirty("The image is a close-up of annika smiling", "a close-up of annika smiling"),
    Dirty(
        "The video shows annika turning around in a wide shot",
        "annika turning around in a wide shot",
    ),
    Dirty("This is a medium shot of annika waving", "a medium shot of annika waving"),
    Dirty("The scene captures annika laughing in a close up", "annika laughing in a close up"),
    Dirty(
        "The image shows that annika is smiling in a close up", "annika is smiling in a close up"
    ),
    Dirty(
        "The image you provided shows annika waving in a medium shot",
        "annika waving in a medium shot",
    ),
    Dirty("In this photo, there is a close up of annika smiling", "a close up of annika smiling"),
    Dirty(
        "The picture appears to show annika running in a wide shot", "annika running in a wide shot"
    ),
]

CHARACTERS = [
    Dirty(LEANING.replace(" ", "\u00a0"), LEANING),
    Dirty(f"\ufeff{LEANING}", LEANING),
    Dirty(LEANING.replace("annika", "an\u00adnika"), LEANING),
    Dirty(LEANING.replace("annika", "annika\u200b"), LEANING),
    Dirty(
        "a close up of annika\u2019s hand \u2013 \u00e2\u20ac\u0153wave\u00e2\u20ac\u009d",
        "a close up of annika’s hand – “wave”",
    ),
    Dirty(
        "annika in a cafÃ© in a medium shot, seated", "annika in a café in a medium shot, seated"
    ),
    Dirty(
        "annika in a cafe\u0301 in a medium shot, seated",
        "annika in a café in a medium shot, seated",
    ),
    Dirty("annika &amp; a dog in a wide shot, running", "annika & a dog in a wide shot, running"),
    Dirty(
        "annika says &quot;hi&quot; in a close up, straight on",
        'annika says "hi" in a close up, straight on',
    ),
    Dirty("annika&#39;s hand on a rail in a close up", "annika's hand on a rail in a close up"),
    Dirty("annika&nbsp;&nbsp;waving in a medium shot", "annika waving in a medium shot"),
    Dirty(f"{LEANING}\x00", LEANING),
    Dirty(f"\x1b{LEANING}\x07", LEANING),
    Dirty(
        "a medium shot of annika\r\nleaning on a railing\r\n",
        "a medium shot of annika leaning on a railing",
    ),
    Dirty(
        "a medium shot of annika\tleaning  on a railing",
        "a medium shot of annika leaning on a railing",
    ),
    Dirty(
        "a medium shot of annika\u2028leaning on a railing",
        "a medium shot of annika leaning on a railing",
    ),
    Dirty(f"\u202a{LEANING}\u202c", LEANING),
    Dirty(f"{LEANING}\ud83d", LEANING),
    Dirty(f"{LEANING}\u3000", LEANING),
    Dirty("&quot;a close up of annika smiling&quot;", "a close up of annika smiling"),
    Dirty("a close up of annika smiling &lt;3", "a close up of annika smiling <3"),
]

ANCHORS = [
    *_of(
        "character",
        "annika",
        ("a close up of Annika smiling", "a close up of annika smiling"),
        ("A CLOSE UP OF ANNIKA SMILING", "A CLOSE UP OF annika SMILING"),
        ("A Close Up Of Annika Smiling", "A Close Up Of annika Smiling"),
        ("“Annika” waves in a close up", "“annika” waves in a close up"),
        ("a close up of anika smiling", "a close up of annika smiling"),
        ("a close up of Anníka smiling", "a close up of annika smiling"),
        ("a close up of the character annika smiling", "a close up of annika smiling"),
        ("a close up of a woman named annika smiling", "a close up of annika smiling"),
        ("a close up of a annika smiling", "a close up of annika smiling"),
        ("a close up of the annika, smiling", "a close up of annika, smiling"),
        ("a close up of annika annika smiling", "a close up of annika smiling"),
        ("a close up of annika, annika smiling", "a close up of annika smiling"),
        ("annika a close up of annika smiling", "a close up of annika smiling"),
        ("annika, a close up of Annika smiling", "a close up of annika smiling"),
        ("a close up of [trigger] smiling", "a close up of annika smiling"),
        ("a close up of {CHARACTER_NAME} smiling", "a close up of annika smiling"),
        ("a close up of {{name}} smiling", "a close up of annika smiling"),
        ("a close up of [name]'s hands", "a close up of annika's hands"),
        ("a close up of annikas hands on a rail", "a close up of annika's hands on a rail"),
        ("Annikas friend waves in a medium shot", "annika's friend waves in a medium shot"),
        ("a close up of Annika’s hands on a rail", "a close up of annika’s hands on a rail"),
        ("a close up of a woman smiling", "a close up of annika smiling"),
        ("a close up of the man's shoulders", "a close up of annika's shoulders"),
        ("someone jumping in a full body shot", "annika jumping in a full body shot"),
        (
            "a person is sitting on a bench, seen from above",
            "annika is sitting on a bench, seen from above",
        ),
        ("a photo of a woman waving in a wide shot", "a photo of annika waving in a wide shot"),
    ),
    *_of(
        "character",
        "sarah chen",
        ("a close up of Sarah Chen smiling", "a close up of sarah chen smiling"),
        ("a close up of sarahchen smiling", "a close up of sarah chen smiling"),
        ("a close up of sarah_chen smiling", "a close up of sarah chen smiling"),
        ("a close up of Sarah  Chen's hands", "a close up of sarah chen's hands"),
        ("a close up of sara chen smiling", "a close up of sara chen smiling"),
    )[:4],
    *_of(
        "character",
        "the red knight",
        ("a wide shot of a the red knight kneeling", "a wide shot of the red knight kneeling"),
        ("a wide shot of The Red Knight kneeling", "a wide shot of the red knight kneeling"),
        ("a wide shot of a red knight kneeling", "a wide shot of the red knight kneeling"),
        ("a wide shot of red knight kneeling", "a wide shot of the red knight kneeling"),
        ("a wide shot of a man kneeling", "a wide shot of the red knight kneeling"),
    ),
    *_of(
        "character",
        "花子",
        ("「花子が走る、全身」", "花子が走る、全身"),
        ("キャプション：花子が走る、全身", "花子が走る、全身"),
        ("<think>誰？</think>花子が手を振る、全身", "花子が手を振る、全身"),
        ("[trigger]が走る、全身", "花子が走る、全身"),
        ("花子花子が走る、全身", "花子が走る、全身"),
    ),
    *_of(
        "character",
        "annika_v2",
        ("a close up of Annika_V2 smiling", "a close up of annika_v2 smiling"),
        ("a close up of annika v2 smiling", "a close up of annika_v2 smiling"),
        ("**annika_v2** smiling in a close up", "annika_v2 smiling in a close up"),
    ),
    *_of("character", "Zoë", ("a close up of zoë smiling", "a close up of Zoë smiling")),
    *_of("character", "Zoë", ("a close up of Zoe\u0308 smiling", "a close up of Zoë smiling")),
    *_of("character", "Аня", ("«Аня машет рукой, крупный план»", "Аня машет рукой, крупный план")),
    *_of(
        "character", "o'brien", ("a close up of O’Brien smiling", "a close up of o'brien smiling")
    ),
    *_of(
        "style",
        "illustration style",
        (
            "a painting of a cat on a wall, close up",
            "a cat on a wall in illustration style, close up",
        ),
        (
            "a crowded market square, wide shot",
            "a crowded market square in illustration style, wide shot",
        ),
        (
            "a dog asleep by a fire in Illustration Style",
            "a dog asleep by a fire in illustration style",
        ),
        (
            "a dog asleep by a fire in a illustration style",
            "a dog asleep by a fire in an illustration style",
        ),
        (f"Sure! Here's the caption:\n**{MARKET}**", MARKET),
        (
            "The image shows a dog asleep in a wide shot.",
            "a dog asleep in illustration style in a wide shot.",
        ),
        ("a dog asleep by a fire in {STYLE_NAME}", "a dog asleep by a fire in illustration style"),
        (
            "a woman reading by a window, medium shot",
            "a woman reading by a window in illustration style, medium shot",
        ),
    ),
    *_of(
        "style",
        "inkwash style",
        (
            "a train leaving at 12:30 on a rainy day, wide shot",
            "a train leaving at 12:30 on a rainy day in inkwash style, wide shot",
        ),
        ("a 16:9 screen above a sofa", "a 16:9 screen above a sofa in inkwash style"),
        ("a wall of 2.5 m behind a bench", "a wall of 2.5 m behind a bench in inkwash style"),
        ("a 1,000-year-old oak in a field", "a 1,000-year-old oak in a field in inkwash style"),
        ("a bottle of No. 5 perfume", "a bottle of No. 5 perfume in inkwash style"),
        ("the U.S. Capitol at night", "the U.S. Capitol at night in inkwash style"),
        (
            "a laptop that shows www.example.com, wide shot",
            "a laptop that shows www.example.com in inkwash style, wide shot",
        ),
        (
            'a wall with the words "LIVE, LAUGH, LOVE" above a sofa',
            'a wall with the words "LIVE, LAUGH, LOVE" above a sofa in inkwash style',
        ),
        (
            "a sign that reads “Chez Paul, since 1901” over a door, close up",
            "a sign that reads “Chez Paul, since 1901” over a door in inkwash style, close up",
        ),
        (
            "a boy (about ten, with a kite) on a hill",
            "a boy (about ten, with a kite) on a hill in inkwash style",
        ),
        (
            "From above, a table with plates, candles all around",
            "From above, a table with plates in inkwash style, candles all around",
        ),
        ("close up, a hand on a rail", "close up, a hand on a rail in inkwash style"),
        (
            "At night, a tram turns a corner. Rain falls.",
            "At night, a tram turns a corner in inkwash style. Rain falls.",
        ),
        (
            "a large, empty hall with a piano, wide shot",
            "a large, empty hall with a piano in inkwash style, wide shot",
        ),
        (
            "a street in Paris, France, seen from above",
            "a street in Paris, France in inkwash style, seen from above",
        ),
        (
            "a man, a woman and a dog, wide shot",
            "a man, a woman and a dog in inkwash style, wide shot",
        ),
        (
            "a woman holding a baby, a dog at her feet",
            "a woman holding a baby in inkwash style, a dog at her feet",
        ),
        (
            "a letter from May 5, 1901 on a desk",
            "a letter from May 5, 1901 on a desk in inkwash style",
        ),
    ),
    *_of(
        "object",
        "crystal sword",
        ("a sword on a table in a close up", "a crystal sword on a table in a close up"),
        ("the sword on a table in a close up", "the crystal sword on a table in a close up"),
        ("an crystal sword on a table in a close up", "a crystal sword on a table in a close up"),
        ("a Crystal Sword on a table in a close up", "a crystal sword on a table in a close up"),
        ("a crystal-sword on a table in a close up", "a crystal sword on a table in a close up"),
        ("a [trigger] on a table in a close up", "a crystal sword on a table in a close up"),
        ("a {OBJECT_NAME} on a table in a close up", "a crystal sword on a table in a close up"),
        (f"**Final caption:** {SWORD}", SWORD),
    ),
    *_of(
        "object",
        "amber lamp",
        ("a lamp on a desk in a close up", "an amber lamp on a desk in a close up"),
        ("a amber lamp on a desk in a close up", "an amber lamp on a desk in a close up"),
    ),
    *_of(
        "motion",
        "fluid walk",
        (f"<think>order first</think>{WALK}", WALK),
        (WALK.replace("fluid walk", "Fluid Walk"), WALK),
        (WALK.replace("fluid walk", "[trigger]"), WALK),
        (f"Here's the motion caption:\n\n{WALK}\n\nThis caption follows the order.", WALK),
        (WALK.replace(" The", "\nThe"), WALK),
    ),
]

SENTENCES = [
    Dirty(f"{LEANING}. She has long brown hair and blue eyes.", f"{LEANING}."),
    Dirty(f"{LEANING}. Long brown hair, blue eyes.", f"{LEANING}."),
    Dirty(f"{LEANING}. She is a tall young woman in her twenties.", f"{LEANING}."),
    Dirty(f"{LEANING}. Digital art, highly detailed, 8k.", f"{LEANING}."),
    Dirty(f"{LEANING}. Behind her, there are tall trees and a blue sky.", f"{LEANING}."),
    Dirty(f"{LEANING}. The background is a blurry park with tall trees.", f"{LEANING}."),
    Dirty(f"{LEANING}. In the background, there are mountains.", f"{LEANING}."),
    Dirty(f"{LEANING}. She turns her head slow", f"{LEANING}.", finish="length"),
    Dirty(f"{LEANING}. She smiles.", f"{LEANING}. She smiles.", finish="length"),
    Dirty(f"{LEANING}. She turns her", f"{LEANING}.", finish="max_tokens"),
]

LAYERED = [
    Dirty(
        "<think>\nThe person says leaning.\n</think>\n\nSure! Here is the combined caption:\n\n"
        f'**Caption:** "{LEANING.replace("annika", "Annika")}"\n\n'
        "Note: I left out the clothing.\n\nLet me know if you want changes!",
        LEANING,
    ),
    Dirty(f'```json\n{{"caption": "\\"{LEANING}\\""}}\n```', LEANING),
    Dirty(f"<answer>```\nCaption: “{LEANING}”\n```</answer>", LEANING),
    Dirty(f"</s><s>The image shows {LEANING}.</s><pad>", f"{LEANING}."),
    Dirty(f"&quot;**Caption:** {LEANING}&quot;", LEANING),
    Dirty(f"**“{LEANING}”**", LEANING),
    Dirty(f'"**{LEANING}**"', LEANING),
    Dirty(f"assistant: Sure! Caption: {LEANING}<|im_end|>", LEANING),
    Dirty(f"> **Final caption:** *{LEANING}*\n>\n> Note: short.", LEANING),
    Dirty(f"Okay! \n\n---\n\n{LEANING}\n\n---\n\nHope this helps!", LEANING),
    Dirty(f"hm</think>\n\n<answer>Here is the caption: “{LEANING}”</answer>", LEANING),
    Dirty(f"1. **Caption:** {LEANING}\n2. **Caption:** {TURNING}", LEANING),
    Dirty(f"Sure!\n\n> {LEANING}\n\n*Note: no background.*", LEANING),
    Dirty(f"\ufeff<think>\u200b</think>Caption:\u00a0“{LEANING}”\u200b", LEANING),
    Dirty(f"Caption: This image shows {LEANING}", LEANING),
    Dirty(f"{{'caption': '**Caption:** {LEANING}'}}", LEANING),
    Dirty(f"<p>Here is the caption:</p><p><em>{LEANING}</em></p>", LEANING),
]

NONE_LEFT = [
    *_listed(
        "refusal",
        "I'm sorry, but I can't help with identifying people in images.",
        "I’m sorry, I can’t assist with that request.",
        "Sorry, but I cannot describe this image.",
        "I cannot provide a caption for this image.",
        "I can't view images directly, but I can help with text.",
        "I'm unable to view images, but based on the text annika is smiling.",
        "As an AI language model, I do not have the ability to see annika.",
        "I apologize, but I cannot fulfill this request.",
        "I do not feel comfortable describing annika.",
        "I won't describe real people.",
        "Unfortunately, I am unable to process this image.",
        "I don't see an image attached. Please upload annika's picture.",
        "<think>Is this allowed? No.</think>I'm sorry, but I can't continue with this.",
        "**I'm sorry**, I can't help with that.",
        "\"I'm sorry, but I can't assist with that.\"",
        "It looks like no image was attached to describe.",
        "There is no image provided.",
        "Es tut mir leid, aber ich kann das nicht beschreiben.",
        "Je suis désolé, je ne peux pas décrire annika.",
        "Lo siento, no puedo ayudar con eso.",
        "抱歉，我无法描述这张图片。",
        "申し訳ありませんが、お手伝いできません。",
        "Caption: I'm sorry, I can't describe annika.",
        "I must decline to caption this picture of annika.",
        "Sure! I'm sorry, but I can't see the image.",
        "죄송합니다. 이 이미지를 설명할 수 없습니다.",
        "К сожалению, я не могу описать это изображение.",
        "Please note that the identity of the person cannot be determined.",
        "annika is not clearly visible in the image, so no caption can be made.",
    ),
    *_listed(
        "empty",
        "",
        " \n\t ",
        "\u200b\ufeff",
        '""',
        "```\n```",
        "<think>annika leans on a railing, so the caption is",
        "<think>annika leans.</think>",
        "<|channel|>analysis<|message|>The user wants annika leaning",
        "</s><s></s><pad><pad>",
        "analysisThe user wants one caption of annika",
        "{}",
        '{"caption": ""}',
        "...",
    ),
    *_listed(
        "preamble",
        "Here is the caption:",
        "Sure!",
        "**Caption:**",
        "Sure! Here is the combined caption:\n\n",
        "Here is the merged caption for annika:",
    ),
    *_listed(
        "error_text",
        "Error: model 'llava' not found, try pulling it first",
        "HTTP 500 Internal Server Error",
        "502 Bad Gateway",
        "Traceback (most recent call last):",
        "Rate limit exceeded for annika",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        '{"error": {"message": "invalid api key", "type": "auth"}}',
        '{"error":"model requires more system memory"}',
        "<!DOCTYPE html><html><body>annika</body></html>",
        "Request timed out.",
        "null",
        "undefined",
        "[object Object]",
        "error: context length exceeded",
    ),
    *_listed(
        "prompt_echo",
        "Write one caption for the picture of annika.",
        "Describe this image in one sentence with annika",
        "<person>annika leaning</person><draft>a woman</draft>",
    ),
    *_listed(
        "question",
        "Please provide the image of annika.",
        "Could you please share the picture?",
        "What would you like me to change about annika?",
        "Is annika the woman on the left?",
    ),
    *_listed(
        "not_visible",
        "annika is not visible in this picture",
        "The person is not visible in the image.",
        "There is no person visible in the image.",
        "a railing above a river. annika cannot be seen here.",
        "No people are visible.",
        "annika isn't shown in the frame",
        "There is no character named annika in this picture.",
    ),
    *_listed(
        "loop",
        "annika smiling, " * 12,
        "annika leans on a railing " * 8,
        "a close up of annika with hair and hair and hair and hair and hair and hair and hair",
        "annika looks down at the river. " * 4,
        "annika" + "a" * 40,
        "花子が走る" * 12,
    ),
    *_listed(
        "garbage",
        "!!!!!!!!!!!!!!!!!!!!!!!!",
        "\ufffd\ufffd\ufffd annika \ufffd\ufffd",
        "annika ][}{)(*&^%$#@!~`|\\/><.,;:?+=_-][}{)(*&",
        "annika " + "wqxz" * 20,
        "https://example.com/annika.jpg",
        "annika https://example.com/one.png",
        'Tool call: caption_image("annika")',
        '{"subject": "annika", "action": "laughing hard"}',
        '[{"subject": "annika", "action": "laughing hard"}]',
        "| Subject | Action |\n|---|---|\n| annika | laughing |",
    ),
    *_listed(
        "anchor_only",
        "annika",
        "Annika.",
        "“annika”",
        "**Caption:** annika",
        "annika annika",
    ),
    *_listed(
        "missing_anchor",
        "two women talking in a wide shot",
        "a tall boy with red hair jumping in a wide shot",
        "a man and a woman dancing in a wide shot",
        "a statue of a woman by a window, side view",
        "the shadow of a man on a wall, wide shot",
        "a woman sits. He watches her in a wide shot",
        "planning a picnic, seen from above",
        "an empty bench under a lamp, wide shot",
        "a woman with green eyes smiling in a close up",
        "a channel of water under a bridge in a wide shot",
        "a crowd watching a woman dance in a wide shot",
        "her sitting on a bench in a medium shot",
        "annikaa_v2 jumping in a wide shot",
        "a woman waves, then the woman laughs in a wide shot",
        "a woman's dog runs ahead while the woman ties her shoe, wide shot",
        "a crowd cheering in a wide shot",
        "a couple kissing in a wide shot",
        "an audience clapping in a wide shot",
        "a band playing on a stage, wide shot",
        "a team running in a wide shot",
        "a family at a table in a wide shot",
        "a figure skating rink, wide shot",
        "a room without a person in it, wide shot",
        "the woman in the mirror smiles, close up",
        "a desk with a photo of a woman on it, close up",
        "a cat dressed as a man in a wide shot",
    ),
    *_listed(
        "pronoun_instead_of_anchor",
        "she is walking down a street in a wide shot",
        "He turns and waves in a medium shot",
        "Her hand rests on the rail in a close up",
    ),
    *_listed(
        "mixed_language",
        "a medium shot of annika leaning on a 栏杆, looking down",
        "a close up of annika smiling и машет, straight on",
        "a wide shot of annika walking along the 거리 with a dog",
    ),
    Dirty("a medium shot of annika leaning on the", label="truncated", finish="length"),
    Dirty("a medium shot of annika leaning on", label="truncated", finish="max_new_tokens"),
    Dirty("<think>so the anchor is", label="empty", finish="length"),
    Dirty('{"caption": "annika laughing hard, close-', label="truncated"),
    Dirty("Thinking Process: 1. Analyze the image. 2. Dr", label="empty"),
    Dirty("", label="empty", finish="length"),
    Dirty("", label="refusal", finish="content_filter"),
    Dirty(LEANING, label="refusal", finish="SAFETY"),
    Dirty(
        "a walk in the rain, arms out",
        label="missing_anchor",
        lora_type="motion",
        anchor="fluid walk",
    ),
    Dirty(
        "a figure walks to the left. The arms swing.",
        label="missing_anchor",
        lora_type="motion",
        anchor="fluid walk",
    ),
    Dirty(
        "two swords on a table in a close up",
        label="missing_anchor",
        lora_type="object",
        anchor="crystal sword",
    ),
    Dirty(
        "it lies on a table in a close up",
        label="missing_anchor",
        lora_type="object",
        anchor="crystal sword",
    ),
    Dirty(
        "a sword crossing another sword in a close up",
        label="missing_anchor",
        lora_type="object",
        anchor="crystal sword",
    ),
    Dirty(
        "a cat drawn in a sketchy style, close up",
        label="missing_anchor",
        lora_type="style",
        anchor="illustration style",
    ),
    *(
        Dirty(raw, label=label, lora_type="style", anchor="inkwash style")
        for label, raw in (
            ("refusal", "I'm sorry, I can't help with that."),
            ("refusal", "I cannot help, since the picture is unclear."),
            ("error_text", "Rate limit exceeded, a server said"),
        )
    ),
    *(
        Dirty(raw, label="missing_anchor", lora_type="style", anchor="inkwash style")
        for raw in (
            'a man says: "Stop, thief!" and runs',
            'a man says: "Stop…',
            "two people arguing: one points, one laughs",
            "a drawing of a house held by a child",
            "a painting of a ship hanging over a sofa, wide shot",
        )
    ),
    Dirty(
        "illustration style", label="anchor_only", lora_type="style", anchor="illustration style"
    ),
    Dirty("花", label="missing_anchor", anchor="花子"),
    Dirty("a wide shot of a sign that reads ANNIKA", label="missing_anchor"),
    Dirty('a close up of a badge: "ANNIKA LARSSON"', label="missing_anchor"),
    Dirty(
        "a glass of Pinot Noir on a table, close up",
        label="missing_anchor",
        lora_type="style",
        anchor="noir",
    ),
    Dirty("アンナが走る、全身", label="missing_anchor", anchor="アン"),
    Dirty("a close up of {trigger} smiling", label="placeholder", anchor=""),
]

# Published, but told: what is wrong stands within a clause.
NOTED = [
    Dirty("a close up of annika with red hair, smiling", label="describes_appearance"),
    Dirty("a close up of a blonde annika smiling", label="describes_appearance"),
    Dirty("annika, a tall young woman, waving in a wide shot", label="describes_appearance"),
    Dirty("a full body shot of annika in a blue dress, turning", label="describes_clothing"),
    Dirty(
        "a wide shot of annika waving in front of a tree-lined park", label="describes_background"
    ),
    Dirty("annika waving at the camera, one arm up", label="no_camera_framing"),
    Dirty("annika waves", label="too_short"),
    # What may change from picture to picture is told, never taken off.
    Dirty(f"{LEANING}. She is wearing a red dress.", label="describes_clothing"),
    Dirty("annika tries on hats, close up. She is wearing a red hat.", label="describes_clothing"),
    Dirty(
        "annika dressed as a pirate, close up. She wears an eye patch and a hat.",
        label="describes_clothing",
    ),
    Dirty("a close up of annika. She has a black eye.", label="describes_appearance"),
    Dirty("a close up of annika. Her hair is in a ponytail.", label="describes_appearance"),
    Dirty("a close up of annika. Then her hair is red.", label="describes_appearance"),
    Dirty("a wide shot of annika. There is an old man.", label="describes_appearance"),
    Dirty(
        "annika hugging an old woman in a close up. She has gray hair.",
        label="describes_appearance",
    ),
    Dirty("a close up of annika. The room is dark.", label="describes_background"),
    Dirty("a wide shot of annika. The street is empty.", label="describes_background"),
    Dirty("a wide shot of annika. The setting is a small stage.", label="describes_background"),
    Dirty(
        "a wide shot of annika. In the background, two children play.",
        label="describes_background",
    ),
    Dirty("a wide shot of annika. In the background, a dog barks.", label="describes_background"),
    Dirty("a wide shot of annika. In the distance, a train passes.", label="describes_background"),
    Dirty("A close up of annika. She waves. She nods. She leaves.", label="too_long"),
    Dirty("a digital painting of annika waving, close up", label="describes_style_words"),
    Dirty("annika as an old man, wide shot", label="describes_appearance"),
    Dirty("annika is a young woman in a wide shot", label="describes_appearance"),
    Dirty("annika beside a man and in a black suit, wide shot", label="describes_clothing"),
    Dirty("a close up of annika smiling and the", label="truncated"),
    Dirty("a medium shot of annika beside the man in the corner who", label="truncated"),
    Dirty("a medium shot of annika, left hand up while her right", label="truncated"),
    Dirty("a medium shot of annika and a dog with its", label="truncated"),
    Dirty(
        "a painting of a cat in illustration style",
        label="describes_style_words",
        lora_type="style",
        anchor="illustration style",
    ),
    Dirty(
        "a cat in illustration style, rendered with soft shadows",
        label="describes_style_words",
        lora_type="style",
        anchor="illustration style",
    ),
    Dirty(
        "a shiny crystal sword on a table in a close up",
        label="describes_object_appearance",
        lora_type="object",
        anchor="crystal sword",
    ),
    Dirty(
        "a crystal sword with an ornate hilt on a table in a close up",
        label="describes_object_appearance",
        lora_type="object",
        anchor="crystal sword",
    ),
    Dirty(
        "a young woman in a fluid walk, arms swinging. The hips follow the left leg",
        label="describes_appearance",
        lora_type="motion",
        anchor="fluid walk",
    ),
    Dirty(
        "a figure in a fluid walk through a sunny park, arms swinging",
        label="describes_background",
        lora_type="motion",
        anchor="fluid walk",
    ),
]

MENDED = [
    *REASONING, *TOKENS, *WRAPPING, *LABELS, *PREAMBLES, *CLOSINGS, *ALOUD, *LISTS, *OPENERS,
    *CHARACTERS, *ANCHORS, *SENTENCES, *LAYERED,
]  # fmt: skip
LISTED = NONE_LEFT
