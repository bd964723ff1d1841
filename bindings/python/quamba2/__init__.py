# SPDX-License-Identifier: Apache-2.0
"""Mamba language models in few bits: quantize them, run them, measure them.

    import quamba2

    quamba2.quantize("mamba2-130m", "mamba2-130m-w4a8", recipe="w4a8", calibration="calib.txt")
    model = quamba2.Model.load("mamba2-130m-w4a8")
    for piece in model.generate("Once upon a time", max_tokens=64):
        print(piece, end="", flush=True)

Long work runs without Python's lock, and Ctrl-C ends it. One model is used by one thread at a time: others wait. Errors are
of the classes in `quamba2.errors`. Messages go to the logger "quamba2" of `logging`.
"""

from quamba2._core import (
    Completion,
    Perplexity,
    Recipe,
    Session,
    Snapshot,
    TokenReport,
    TokenScore,
    Tokenizer,
    Usage,
    recipes,
    version,
)
from quamba2.errors import (
    Error,
    InternalError,
    Interrupted,
    ModelFileError,
    QualityGateError,
    ResourceError,
    RunError,
    UsageError,
)
from quamba2.generation import Generation, Piece
from quamba2.model import Model, perplexity
from quamba2.quantization import quantize

__version__: str = version

__all__ = [
    "Completion",
    "Error",
    "Generation",
    "InternalError",
    "Interrupted",
    "Model",
    "ModelFileError",
    "Perplexity",
    "Piece",
    "QualityGateError",
    "Recipe",
    "ResourceError",
    "RunError",
    "Session",
    "Snapshot",
    "TokenReport",
    "TokenScore",
    "Tokenizer",
    "Usage",
    "UsageError",
    "__version__",
    "perplexity",
    "quantize",
    "recipes",
]
