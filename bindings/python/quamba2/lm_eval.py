# SPDX-License-Identifier: Apache-2.0
"""lm-evaluation-harness on a model in this process: `--model quamba2`.

    quamba2-lm-eval run --model quamba2 --model_args pretrained=mamba2-130m-w4a8 --tasks lambada_openai

`quamba2-lm-eval` is `lm_eval` that knows the model. In a program of your own import this module before `simple_evaluate`.
Written for lm-eval 0.4.13."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

try:
    import lm_eval.models  # noqa: F401  its own models, which it leaves out where another was registered before
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
except ImportError as e:
    raise ImportError(f"lm-evaluation-harness is not here (pip install lm-eval): {e}") from e

from quamba2.model import Model

_GENERATED = 256  # tokens of generate_until, where a task does not say
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed")


@register_model("quamba2")
class Quamba2LM(TemplateLM):
    """Model arguments: `pretrained` (a directory, or org/name of the Hugging Face cache), `device`, `threads`, `tokenizer`,
    `batch` (texts at a time; `--batch_size` too), `max_length` (tokens; longer contexts lose their beginning), `chunk` (read
    requests whole in pieces of so many tokens, as the server does; 0: contexts, then continuations)."""

    def __init__(
        self,
        pretrained: str,
        device: str | None = None,
        threads: int | None = None,
        tokenizer: str | None = None,
        batch: int | None = None,
        batch_size: int | str | None = None,
        max_length: int = 2048,
        chunk: int = 0,
        **unused: Any,
    ) -> None:
        super().__init__()
        known = {"max_batch_size"}  # lm_eval passes it to every model
        if wrong := sorted(set(unused) - known):
            raise ValueError(f"quamba2 has no model argument {', '.join(wrong)}")
        if batch is None:
            batch = int(str(batch_size)) if str(batch_size).isdigit() else 16  # "auto" is one of ours
        self.model = Model.load(
            pretrained,
            device=device or "cpu",
            threads=threads,
            tokenizer=tokenizer,
            batch=max(1, batch),
            chunk=max(512, int(chunk)) if chunk else 0,
        )
        self.chunk = int(chunk)
        self.max_length = int(max_length)

    @property
    def eot_token_id(self) -> int:
        ends = self.model.end_ids
        if not ends:
            raise ValueError(f"{self.model.name} names no token that ends a text")
        return ends[0]

    @property
    def prefix_token_id(self) -> int:
        begin = self.model.tokenizer.bos_id
        return self.eot_token_id if begin is None else begin

    @property
    def tokenizer_name(self) -> str:
        return self.model.name

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **unused: Any) -> list[int]:
        """None: special tokens as the tokenizer adds them, unless the text begins with one that is written out."""
        if add_special_tokens is None:
            begin = self.model.tokenizer.bos_id
            add_special_tokens = begin is None or not string.startswith(self.model.tokenizer.token(begin))
        return self.model.tokenizer.encode(string, add_special_tokens)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return self.model.apply_chat_template(chat_history, add_generation_prompt=add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return self.model.chat_template if chat_template else None

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **unused: Any
    ) -> list[tuple[float, bool]]:
        pairs = []
        for _, context, continuation in requests:
            if len(continuation) > self.max_length:
                raise ValueError(f"a continuation has {len(continuation)} tokens, max_length is {self.max_length}")
            # The last token is predicted, not read.
            pairs.append((context[-(self.max_length + 1 - len(continuation)) :], continuation))
        scores = self.model.score(pairs, chunk=self.chunk, progress=None if disable_tqdm else _Bar("scoring"))
        for (texts, _, _), answer in zip(requests, scores, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return scores

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        windows, owners = [], []
        for number, request in enumerate(requests):
            (text,) = request.args
            for window in get_rolling_token_windows(
                self.tok_encode(text, add_special_tokens=False), self.prefix_token_id, self.max_length, 1
            ):
                context, continuation = make_disjoint_window(window)
                windows.append((None, context, continuation))
                owners.append(number)
        totals = [0.0] * len(requests)
        for number, (value, _) in zip(owners, self._loglikelihood_tokens(windows, disable_tqdm), strict=True):
            totals[number] += value
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        out = [""] * len(requests)
        groups: dict[str, list[int]] = {}  # requests of the same arguments are read together
        for number, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(number)
        for numbers in groups.values():
            options = _generation_options(requests[numbers[0]].args[1])
            room = max(1, self.max_length - options["max_tokens"])
            prompts = [(self.tok_encode(requests[n].args[0]) or [self.prefix_token_id])[-room:] for n in numbers]
            progress = None if disable_tqdm else _Bar("generating")
            for n, completion in zip(numbers, self.model.complete(prompts, progress=progress, **options), strict=True):
                out[n] = completion.text
                self.cache_hook.add_partial("generate_until", requests[n].args, completion.text)
        return out


def _generation_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of `Model.complete`, from the generation_kwargs of a task."""
    until = given.get("until") or []
    sampled = given.get("do_sample", False) or given.get("temperature", 0)
    options: dict[str, Any] = {
        "max_tokens": int(given.get("max_gen_toks", given.get("max_new_tokens", _GENERATED))),
        "stop": [s for s in ([until] if isinstance(until, str) else until) if s],
    }
    if sampled:
        options |= {name: given[name] for name in _SAMPLING if name in given}
    return options


class _Bar:
    """Progress on a terminal, as lm_eval's own models show it."""

    def __init__(self, what: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=what, unit="token", leave=False)

    def __call__(self, stage: str, done: int, total: int) -> None:
        if total:
            self._bar.total, self._bar.n = total, done
            self._bar.refresh()
        if total and done >= total:
            self._bar.close()


def main() -> None:
    """`lm_eval` with this model."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
