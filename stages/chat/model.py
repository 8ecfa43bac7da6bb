"""The chat model in this process: what merges where no server is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import TemplateError

from stages.chat.tokens import count_tokens
from stages.checkpoint import Checkpoint, free_memory, generate, torch_dtype
from stages.llm import Conversation, Options, Reply
from stages.sample import Fatal

# Apache-2.0, answers without thinking first, 8 GB in bfloat16.
DEFAULT = "Qwen/Qwen3-4B-Instruct-2507"
BATCH_SIZE = 8


class ChatModel:
    """A Hugging Face causal language model with a chat template, in batches, on one device."""

    workers = 1
    batch_size = BATCH_SIZE

    def __init__(self, options: Options, dtype: str, device: Callable[[], str]) -> None:
        self._options = options
        self._dtype = dtype
        self._device = device
        self._checkpoint = Checkpoint(options.model or DEFAULT)
        self.name = self.origin = self._checkpoint.source
        self._model: Any = None
        self._tokenizer: Any = None
        self._folds = False  # the system message into the user's

    def prepare(self) -> None:
        """Raises Fatal if the model cannot be had or does not chat. Loads no weights."""
        from transformers import AutoTokenizer
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        try:
            config = self._checkpoint.config()
        except Fatal as error:
            raise Fatal(
                f"{error} To merge: a folder or id as --model, or a server as --base_url; "
                "--until generated stops before"
            ) from None
        if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            raise Fatal(
                f"--model {self.name} is of type {config.model_type!r}, no language model; "
                "captioners are chosen by --model_id"
            )
        with self._checkpoint.errors():
            self._tokenizer = AutoTokenizer.from_pretrained(
                self._checkpoint.source, padding_side="left", **self._checkpoint.arguments
            )
        if not self._tokenizer.chat_template:
            raise Fatal(f"--model {self.name} has no chat template: take an instruction-tuned one")
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        try:
            self._render([{"role": "system", "content": "."}, {"role": "user", "content": "."}])
        except TemplateError:  # some templates know no system role, and say so by raising
            self._folds = True

    def __call__(
        self, conversations: Sequence[Conversation], temperature: float | None = None
    ) -> list[Reply]:
        """One reply per conversation, in order. Raises MemoryError for too large a batch."""
        warmth = self._options.merge_temperature if temperature is None else temperature
        self.load()
        prompts = [self._render(conversation) for conversation in conversations]
        # The template has written its own special tokens: a second BOS would spoil the answer.
        inputs = self._tokenizer(
            prompts,
            return_tensors="pt",
            padding=True,
            add_special_tokens=False,
            return_token_type_ids=False,
        ).to(self._model.device)
        sampling: dict[str, Any] = {"do_sample": False}
        if warmth > 0:
            sampling = {"do_sample": True, "temperature": warmth}
        tokens = generate(
            self._model,
            **inputs,
            max_new_tokens=self._options.max_tokens,
            pad_token_id=self._tokenizer.pad_token_id,
            **sampling,
        )
        width = inputs["input_ids"].shape[1]
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [
            self._reply(row[width:].tolist(), length)
            for row, length in zip(tokens, lengths, strict=True)
        ]

    def tokens(self, texts: Sequence[str]) -> list[int] | None:
        """By the model's own files, if they are on this machine."""
        return count_tokens(self.name, texts)

    def close(self) -> None:
        if self._model is not None:
            self._model = None
            free_memory()

    def _render(self, conversation: Conversation) -> str:
        messages = list(conversation)
        if self._folds:
            text = "\n\n".join(message["content"] for message in messages)
            messages = [{"role": "user", "content": text}]
        rendered: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return rendered

    def _reply(self, tokens: list[int], prompt_tokens: int) -> Reply:
        end = self._model.generation_config.eos_token_id
        ends = set(end if isinstance(end, list) else [end])
        stop = next((index for index, token in enumerate(tokens) if token in ends), None)
        answer = tokens if stop is None else tokens[:stop]
        return Reply(
            text=self._tokenizer.decode(answer, skip_special_tokens=True).strip(),
            finish="length" if stop is None else "stop",
            prompt_tokens=prompt_tokens,
            completion_tokens=len(answer),
        )

    def load(self) -> None:
        """Raises Fatal if the weights cannot be loaded."""
        if self._model is not None:
            return
        from transformers import AutoModelForCausalLM

        device = self._device()
        with self._checkpoint.errors():
            self._model = AutoModelForCausalLM.from_pretrained(
                self._checkpoint.source,
                dtype=torch_dtype(self._dtype, device),
                device_map={"": device},
                **self._checkpoint.arguments,
            ).eval()
