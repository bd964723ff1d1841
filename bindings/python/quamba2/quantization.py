# SPDX-License-Identifier: Apache-2.0
"""Post-training quantization."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from quamba2 import _core
from quamba2.errors import make
from quamba2.model import Progress

_USAGE = 2  # ErrorCode::kUsage


def quantize(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    recipe: str = "w4a16",
    *,
    calibration: str | os.PathLike[str] | Iterable[str] | None = None,
    preset: str = "default",
    with_: Iterable[str] = (),
    without: Iterable[str] = (),
    samples: int = 128,
    window: int = 512,
    table_bits: int = 0,
    group: int = 0,
    layers: Iterable[str] = (),
    seed: int = 0,
    threads: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Quantizes the model directory `source` into the new directory `target`, which appears whole or not at all.

    recipe: one of `recipes()`. calibration: a file of text or JSON lines ({"text": ...}), or the texts themselves; None
    for calib.txt beside the model. preset: "default", "paper" (as arXiv 2503.22879 has it) or "plain". with_, without:
    ingredients added to the preset's and taken from them. samples, window: how many stretches of the text are read, and
    their tokens. table_bits: of embedding and head; 16 leaves them, 0 is the recipe's choice. group: columns that share a
    scale. layers: w4ax: a recipe a layer. overwrite: a target that is there is replaced. resume: go on with what an ended
    call of the same options left in TARGET.partial, where finished layers are kept until the end.

    Returns the report that is also written as quantization.json. Raises UsageError, ModelFileError, RunError."""
    target = os.fspath(target)
    if os.path.lexists(target) and not overwrite:
        raise make(
            _USAGE,
            f"the target is there already ({target}): it is not overwritten unasked; pass overwrite=True",
            "the target is there already",
            target,
            "it is not overwritten unasked",
            "pass overwrite=True",
        )
    options = {
        "recipe": recipe,
        "calibration_text": _calibration_text(source, calibration),
        "preset": preset,
        "with": list(with_),
        "without": list(without),
        "samples": samples,
        "window": window,
        "table_bits": table_bits,
        "group": group,
        "layers": list(layers),
        "seed": seed,
        "threads": 0 if threads is None else threads,
        "tokenizer": "" if tokenizer is None else os.fspath(tokenizer),
        "work_directory": target + ".partial",
        "resume": resume,
    }
    report: dict[str, Any] = json.loads(_core.quantize(os.fspath(source), target, options, overwrite, progress))
    return report


def _calibration_text(source: str | os.PathLike[str], calibration: str | os.PathLike[str] | Iterable[str] | None) -> str:
    if calibration is None:
        path = Path(source)
        path = (path if path.is_dir() else path.parent) / "calib.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if isinstance(calibration, (str, os.PathLike)):
        return Path(calibration).read_text(encoding="utf-8", errors="replace")
    return "".join(json.dumps({"text": text}) + "\n" for text in calibration)
