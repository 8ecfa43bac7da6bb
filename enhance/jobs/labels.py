"""Every label that `enhance check` may give, and what it means in a few words."""

from __future__ import annotations

# Of a caption's words, its file, or the dataset: these decide the exit status.
PROBLEMS = {
    "missing_anchor": "the anchor is not in the caption",
    "anchor_variant": "the anchor in another spelling",
    "anchor_only": "nothing but the anchor",
    "too_short": "fewer words than the LoRA type wants",
    "too_long": "more sentences than the LoRA type wants",
    "describes_appearance": "looks that the anchor should learn",
    "describes_clothing": "clothes that the anchor should learn",
    "describes_background": "a background that should be left out",
    "describes_style_words": "words of style or medium",
    "describes_object_appearance": "looks of the object that the anchor should learn",
    "pronoun_instead_of_anchor": "a pronoun where the anchor should stand",
    "no_camera_framing": "nothing on shot size or camera angle",
    "refusal": "the model refused",
    "preamble": "words around the caption",
    "prompt_echo": "the prompt instead of a caption",
    "question": "a question instead of a caption",
    "error_text": "an error message instead of a caption",
    "not_visible": "a remark that something cannot be seen",
    "mixed_language": "more than one language",
    "loop": "the same words over and over",
    "garbage": "no words of any language",
    "forbidden_words": "words that --never or the LoRA type forbids",
    "unclean": "what `enhance clean` would mend",
    "truncated": "cut off before its end",
    "generic_anchor": "an anchor that models know as a word",
    "not_utf8": "an encoding that trainers stop at",
    "bom": "begins with a byte order mark",
    "empty": "nothing in it",
    "multiline": "several lines",
    "trailing_newline": "ends with a line break",
    "placeholder": "a place for the anchor, not filled in",
    "wildcard_syntax": "signs that sd-scripts takes for its own",
    "token_budget": "longer than the text encoder reads",
    "missing_caption": "a picture or video without a caption",
    "orphan_caption": "a caption without a picture or video",
    "stem_collision": "two files that share a caption file",
    "unreadable": "a caption file that cannot be opened",
    "trainer": "what the named trainer stops at or drops",
}

# Of the set as a whole: told, and decisive only where --fail_on names them.
OF_THE_SET = {
    "common_phrase": "a phrase in most captions",
    "constant_trait": "a trait that most captions tell alike",
    "untagged_trait": "a trait that varies and that no caption tells",
    "near_identical": "captions that differ in a word at most",
    "anchor_spellings": "the anchor spelled in several ways",
}

LABELS = PROBLEMS | OF_THE_SET
