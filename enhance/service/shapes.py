"""What requests and answers look like, as JSON Schema."""

from __future__ import annotations

from typing import Any

from enhance.service.settings import LONGEST as LONGEST
from enhance.service.settings import MOST_TOKENS as MOST_TOKENS
from enhance.service.settings import SETTINGS

Shape = dict[str, Any]

MOST_FILES = 10_000
ROLES = ("system", "developer", "user", "assistant")


def shape(optional: Shape | None = None, **required: Shape) -> Shape:
    """An object; what else stands in it is nobody's business."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": [*required], "properties": properties}


def or_null(one: Shape) -> Shape:
    """Clients send null for what is not set."""
    kind = one["type"]
    return {**one, "type": [*(kind if isinstance(kind, list) else [kind]), "null"]}


def array(items: Shape, **more: Any) -> Shape:
    return {"type": "array", "items": items, **more}


def one_of(*values: str) -> Shape:
    return {"type": "string", "enum": [*values]}


TEXT: Shape = {"type": "string"}
YES: Shape = {"type": "boolean"}
COUNT: Shape = {"type": "integer", "minimum": 0}
SECONDS: Shape = {"type": "number", "minimum": 0}
_SAID: Shape = {**TEXT, "maxLength": LONGEST}
_LIMIT: Shape = {"type": "integer", "minimum": 1, "maximum": MOST_TOKENS}
_TEMPERATURE: Shape = {"type": "number", "minimum": 0, "maximum": 2}
_TOP_P: Shape = {"type": "number", "minimum": 0, "maximum": 1}
_PART_OF_ONE: Shape = {"type": "number", "minimum": 0, "maximum": 1}
_TOP_K: Shape = {"type": "integer", "minimum": 0, "maximum": 100_000}

ERROR = shape(error=TEXT)
# The contract's own: any other 500 is a fault of the service, and not described.
NO_CAPTION = shape({"detail": TEXT}, error={"const": "Failed to generate caption"})
OPENAI_ERROR = shape(
    error=shape(message=TEXT, type=TEXT, param=or_null(TEXT), code=or_null(TEXT)),
)

# Joycaption's contract.
_PATH: Shape = {**_SAID, "minLength": 1}
_HOW: Shape = {
    "prompt": or_null(_SAID),
    "style": {**or_null(_SAID), "default": "descriptive"},
    "caption_type": or_null(_SAID),
    "caption_length": {"type": ["string", "integer", "null"], "default": "long"},
    "extra_options": or_null(array(TEXT)),
    "name_input": or_null(_SAID),
    "max_new_tokens": {**or_null(_LIMIT), "default": 256},
    "temperature": {**or_null(_TEMPERATURE), "default": 0.6},
    "top_p": {**or_null(_TOP_P), "default": 0.9},
    "top_k": or_null(_TOP_K),
    "do_sample": {**or_null(YES), "default": True},
}
CAPTION: Shape = {
    **shape(_HOW, image_path=_PATH),
    "examples": [
        {"image_path": "01.png", "style": "descriptive", "caption_length": "short"},
        {"image_path": "01.png", "prompt": "Describe this image.", "do_sample": False},
    ],
}
BATCH: Shape = {
    **shape(_HOW, image_paths=array(_SAID, maxItems=MOST_FILES)),
    "examples": [{"image_paths": ["01.png", "02.png"], "caption_type": "Straightforward"}],
}
CAPTIONED = shape(
    success={"const": True},
    caption=TEXT,
    prompt_used=TEXT,
    generation_time=SECONDS,
    image_path=TEXT,
)
_ROWS = {
    "oneOf": [
        shape(image_path=TEXT, success={"const": True}, caption=TEXT, generation_time=SECONDS),
        shape(image_path=TEXT, success={"const": False}, error=TEXT),
    ]
}
BATCHED = shape(
    success={"const": True},
    results=array(_ROWS),
    total_images=COUNT,
    successful_captions=COUNT,
    failed_captions=COUNT,
    total_time=SECONDS,
    prompt_used=TEXT,
)
LOADING = shape(
    status=one_of("idle", "downloading", "loading", "ready", "error"),
    message=TEXT,
    progress=_PART_OF_ONE,
    current_file=TEXT,
    files_downloaded=COUNT,
    total_files=COUNT,
)
HEALTH = shape(
    status={"const": "healthy"},
    model_loaded=YES,
    gpu_available=YES,
    gpu_count=COUNT,
    loading_progress=LOADING,
)
PROMPTS = shape(
    prompts={"type": "object", "additionalProperties": TEXT},
    styles=array(TEXT),
    joycaption_types=array(TEXT),
)
STOPPED = shape(status={"const": "shutting_down"}, message=TEXT)

# OpenAI's dialect.
_URL = {"oneOf": [TEXT, shape(url=TEXT)]}
_PART = {
    "oneOf": [
        shape(type={"const": "text"}, text=TEXT),
        shape(type={"const": "image_url"}, image_url=_URL),
    ]
}
_CONTENT = {"oneOf": [or_null(TEXT), array(_PART)]}
_OPTIONS = or_null(shape({"include_usage": or_null(YES)}))
_PICTURE = (  # a star above another, in 12 by 12 pixels
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAwAAAAMAgMAAAArG7R0AAAADFBMVEXAvLK8urK7ur"
    "GBnKMZO2OmAAAANElEQVR42gXBoRWAMAxAwZ+fjtM9MAgMsnujEZ2Cl3AXN8iJsZDC+sj5bvvBvpADayCiyQ8NyQ"
    "p6n3qrrAAAAABJRU5ErkJggg=="
)
_ASKED = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Describe this image."},
                {"type": "image_url", "image_url": {"url": _PICTURE}},
            ],
        }
    ],
    "max_tokens": 64,
}
CHAT = shape(
    {
        "model": or_null(TEXT),
        "max_tokens": or_null(_LIMIT),
        "max_completion_tokens": or_null(_LIMIT),
        "temperature": or_null(_TEMPERATURE),
        "top_p": or_null(_TOP_P),
        "top_k": or_null(_TOP_K),
        "stream": or_null(YES),
        "stream_options": _OPTIONS,
        "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 1},
    },
    messages=array(shape({"content": _CONTENT}, role=one_of(*ROLES)), minItems=1),
)
CHAT["examples"] = [_ASKED, {**_ASKED, "stream": True, "stream_options": {"include_usage": True}}]
_CHOICE = shape(
    index={"const": 0},
    message=shape(role={"const": "assistant"}, content=TEXT, refusal={"type": "null"}),
    finish_reason=one_of("stop", "length"),
    logprobs={"type": "null"},
)
COMPLETION = shape(
    id=TEXT,
    object={"const": "chat.completion"},
    created=COUNT,
    model=TEXT,
    choices=array(_CHOICE, minItems=1, maxItems=1),
    usage=shape(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT),
)
_DELTA = shape(index={"const": 0}, delta={"type": "object"})
_CHUNK = shape(
    id=TEXT,
    object={"const": "chat.completion.chunk"},
    created=COUNT,
    model=TEXT,
    choices=array(_DELTA, maxItems=1),
)
_SENT = {"contentMediaType": "application/json", "contentSchema": _CHUNK}
EVENT = shape(data={**TEXT, "anyOf": [{"const": "[DONE]"}, _SENT]})
MODEL = shape(id=TEXT, object={"const": "model"}, created=COUNT, owned_by=TEXT)
MODELS = shape(object={"const": "list"}, data=array(MODEL, minItems=1))

# Jobs.
ENHANCE = {**shape(dict(SETTINGS), path=_PATH), "additionalProperties": False}
_COUNTS = {"type": "object", "additionalProperties": COUNT}
_REASONS = array(shape(file=TEXT))
_REPORT = shape(
    complete=YES,
    seconds=SECONDS,
    failed=_REASONS,
    later=_REASONS,
    needs_a_person=_REASONS,
    notes=_REASONS,
)
JOB = shape(
    id=TEXT,
    status=one_of("queued", "running", "cancelling", "done", "failed", "cancelled"),
    path=TEXT,
    created=TEXT,
    started=or_null(TEXT),
    ended=or_null(TEXT),
    progress=_PART_OF_ONE,
    files=_COUNTS,
    stages={"type": "object", "additionalProperties": _COUNTS},
    error=or_null(TEXT),
    report=or_null(_REPORT),
)
JOBS = shape(jobs=array(JOB))
_RESULT = shape(
    file=TEXT,
    status=one_of("captioned", "failed", "later", "needs_a_person"),
    caption=or_null(TEXT),
    reason=or_null(TEXT),
)
RESULTS = shape(total=COUNT, ended=COUNT, offset=COUNT, results=array(_RESULT))
