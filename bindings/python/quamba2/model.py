# SPDX-License-Identifier: Apache-2.0
"""A model at work."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from quamba2 import _core
from quamba2.generation import Generation

Progress = Callable[[str, int, int], Any]
"""Called with a stage's name, how much of it is done, and how much there is; returning False ends the work."""


class Model:
    """A loaded model. `Model.load` makes one."""

    def __init__(self, engine: _core.Engine) -> None:
        self._engine = engine

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str = "cpu",
        threads: int | None = None,
        *,
        tokenizer: str | os.PathLike[str] | None = None,
        batch: int = 8,
        chunk: int = 0,
        state_every: int = 0,
    ) -> Model:
        """Reads a model directory (quantized or not), a weights file inside one, or `org/name` of the Hugging Face cache.

        device: "cpu", "cuda:0" (or another number), or "reference" (double precision, slow).
        threads: None for all processors that this process may use.
        tokenizer: a directory or file; None for the model's own.
        batch: texts that `complete`, `score` and their like work on at a time; each costs `state_bytes`.
        chunk: tokens of one call of the model; longer prompts are read in several. 0: 512, on a GPU 2,048.
        state_every: tokens between two roundings of quantized states; 0 for once a call.

        Raises ModelFileError, UsageError, ResourceError."""
        return cls(
            _core.Engine.load(
                os.fspath(path),
                device,
                0 if threads is None else threads,
                "" if tokenizer is None else os.fspath(tokenizer),
                batch,
                chunk,
                state_every,
            )
        )

    @property
    def name(self) -> str:
        """Of the model's directory."""
        return self._engine.name

    @property
    def family(self) -> str:
        """ "mamba", "mamba2", "falcon_mamba"."""
        return self._engine.family

    @property
    def recipe(self) -> str | None:
        """How it was quantized ("w4a8"), or None."""
        return self._engine.recipe or None

    @property
    def config(self) -> dict[str, Any]:
        """The directory's config.json."""
        config: dict[str, Any] = json.loads(self._engine.config)
        return config

    @property
    def tokenizer(self) -> _core.Tokenizer:
        """Raises ModelFileError where the model has none."""
        return self._engine.tokenizer

    @property
    def layers(self) -> int:
        return self._engine.layers

    @property
    def d_model(self) -> int:
        return self._engine.d_model

    @property
    def parameters(self) -> int:
        return self._engine.parameters

    @property
    def weight_bytes(self) -> int:
        """As stored; a table that serves twice counts once."""
        return self._engine.weight_bytes

    @property
    def state_bytes(self) -> int:
        """Of one text, however long."""
        return self._engine.state_bytes

    @property
    def vocab_size(self) -> int:
        """Ids that may be sampled."""
        return self._engine.vocab_size

    @property
    def logits_size(self) -> int:
        """Length of a row of logits: vocab_size and rows of padding."""
        return self._engine.table_rows

    @property
    def end_ids(self) -> list[int]:
        """Tokens that end a text."""
        return self._engine.end_ids

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the model's chat template. Raises ModelFileError for one that is not known here."""
        return self._engine.chat_template()

    def __repr__(self) -> str:
        return f"<quamba2.Model {self.name}: {self.family}, {self.recipe or 'not quantized'}, {self._engine.description}>"

    def explain(self) -> str:
        """Which kernel runs each step, and why better ones were refused."""
        return self._engine.explain()

    def session(self) -> _core.Session:
        """A text to read step by step, with its logits and states."""
        return self._engine.session()

    def generate(
        self,
        prompt: str | Sequence[int] | Any,
        *,
        max_tokens: int = 128,
        temperature: float = 0,
        top_p: float = 1,
        top_k: int = 0,
        seed: int = 0,
        stop: str | Iterable[str] = (),
        logprobs: int | None = None,
        **sampling: Any,
    ) -> Generation:
        """Continues a prompt, text or token ids, and gives the pieces as they come.

        max_tokens: 0 or more. temperature: 0 takes the likeliest token. top_p, top_k: 1 and 0 are off. seed: the same one
        gives the same text. stop: strings that end the text, and are not part of it. logprobs: how many likeliest tokens
        to report beside each one. Further sampling options: min_p, repetition_penalty, presence_penalty,
        frequency_penalty, ignore_eos, stop_token_ids, min_tokens, logit_bias (a dict of ids), skip_special_tokens.

        Raises UsageError for options out of range."""
        options = _sampling(max_tokens, temperature, top_p, top_k, seed, stop, sampling)
        return Generation(self._engine.start(self._ids(prompt), options, -1 if logprobs is None else logprobs))

    def complete(
        self,
        prompts: Iterable[str | Sequence[int] | Any],
        *,
        max_tokens: int = 128,
        temperature: float = 0,
        top_p: float = 1,
        top_k: int = 0,
        seed: int = 0,
        stop: str | Iterable[str] = (),
        progress: Progress | None = None,
        **sampling: Any,
    ) -> list[_core.Completion]:
        """Continues many prompts, several at a time. Each gets the text that `generate` gives it alone."""
        options = _sampling(max_tokens, temperature, top_p, top_k, seed, stop, sampling)
        return self._engine.complete([self._ids(prompt) for prompt in prompts], options, progress)

    def apply_chat_template(
        self,
        messages: Iterable[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = True,
        tools: Iterable[Mapping[str, Any]] | None = None,
        **variables: Any,
    ) -> str:
        """The conversation as the model was trained on it. Its special tokens are written out in the text.

        Raises UsageError where the model has no template, or it does not take these messages."""
        return self._engine.render_chat(
            json.dumps(list(messages)),
            add_generation_prompt,
            "" if tools is None else json.dumps(list(tools)),
            json.dumps(variables) if variables else "",
        )

    def score(
        self,
        pairs: Iterable[tuple[Sequence[int], Sequence[int]]],
        *,
        chunk: int = 0,
        progress: Progress | None = None,
    ) -> list[tuple[float, bool]]:
        """Of each (context, continuation), both token ids: the continuation's natural log-likelihood, and whether each of
        its tokens is the likeliest. A context that several pairs have is read once.

        chunk: 0, or the pair is read whole, cut at multiples of so many tokens (at most `chunk` of `load`): what a server
        of that chunk answers, to the last digit."""
        return _core.score(self._engine, list(pairs), chunk, progress)

    def evaluate_tasks(
        self,
        data: str | os.PathLike[str],
        names: Iterable[str] = (),
        *,
        limit: int = 0,
        shots: int = -1,
        max_length: int = 2048,
        chunk: int = 0,
        progress: Progress | None = None,
    ) -> dict[str, dict[str, tuple[float, float]]]:
        """Zero-shot tasks as `quamba2 eval tasks` runs them: of each task, of each metric, the value and its standard error.

        data: the directory of the tasks' files. names: none for the six that papers average. limit: samples a task, 0 for
        all. shots: -1 for the task's own number. chunk: as in `score`."""
        return _core.evaluate_tasks(
            self._engine, os.fspath(data), list(names), limit, shots, max_length, chunk, progress
        )

    def _ids(self, prompt: Any) -> Any:
        return self._engine.encode_prompt(prompt) if isinstance(prompt, str) else prompt


def perplexity(
    model: Model, text: str, window: int = 2048, *, max_windows: int = 0, progress: Progress | None = None
) -> _core.Perplexity:
    """How well a model predicts a text.

    The text is cut into full windows of `window` tokens (the rest is dropped), each read from a zero state; perplexity is
    exp of the mean negative log-likelihood of all tokens but each window's first. max_windows: 0 for all."""
    return _core.perplexity(model._engine, text, window, max_windows, progress)


def _sampling(
    max_tokens: int,
    temperature: float,
    top_p: float,
    top_k: int,
    seed: int,
    stop: str | Iterable[str],
    more: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "seed": seed,
        "stop": [stop] if isinstance(stop, str) else list(stop),
        **more,
    }
