"""The chat model in this process: what merges where no server is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stages.checkpoint import Checkpoint, free_memory, generate, torch_dtype
from stages.llm import Conversation, Options, Reply

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
        self.name = self._checkpoint.source
        self._model: Any = None
        self._tokenizer: Any = None

    def prepare(self) -> None:
        """Raises Fatal if the model cannot be had. Loads only its configuration."""
        self._checkpoint.config()

    def __call__(self, conversations: Sequence[Conversation]) -> list[Reply]:
        """One reply per conversation, in order. Raises MemoryError for too large a batch."""
        self._load()
        prompts = [
            self._tokenizer.apply_chat_template(
                list(conversation), tokenize=False, add_generation_prompt=True
            )
            for conversation in conversations
        ]
        # The template has written its own special tokens: a second BOS would spoil the answer.
        inputs = self._tokenizer(
            prompts, return_tensors="pt", padding=True, add_special_tokens=False
        ).to(self._model.device)
        sampling: dict[str, Any] = {"do_sample": False}
        if self._options.temperature > 0:
            sampling = {"do_sample": True, "temperature": self._options.temperature}
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

    def close(self) -> None:
        if self._model is not None:
            self._model = self._tokenizer = None
            free_memory()

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

    def _load(self) -> None:
        if self._model is not None:
            return
        from transformers import AutoModelForCausalLM, AutoTokenizer

        device = self._device()
        with self._checkpoint.errors():
            tokenizer = AutoTokenizer.from_pretrained(
                self._checkpoint.source, padding_side="left", **self._checkpoint.arguments
            )
            model = AutoModelForCausalLM.from_pretrained(
                self._checkpoint.source,
                dtype=torch_dtype(self._dtype, device),
                device_map={"": device},
                **self._checkpoint.arguments,
            ).eval()
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._model, self._tokenizer = model, tokenizer
