# SPDX-License-Identifier: Apache-2.0
"""What the library raises. Every message says what went wrong, where, why, and what to do about it."""


class Error(Exception):
    """Any fault that the library reports.

    `code` is the exit code of the command line program for it; `subject`, `where`, `why` and `hint` are the parts of the
    message, and may be empty."""

    code: int = 0
    subject: str = ""
    where: str = ""
    why: str = ""
    hint: str = ""


class RunError(Error):
    """Failed at run time: input or output, numerical trouble."""


class UsageError(Error, ValueError):
    """The caller asked for something that makes no sense."""


class ModelFileError(Error):
    """An unreadable or unsupported model, tokenizer or data file."""


class ResourceError(Error):
    """Out of memory, or a device is missing."""


class QualityGateError(Error):
    """A quality gate failed."""


class InternalError(Error):
    """A bug in the library."""


class Interrupted(Error):
    """A progress callback returned False."""


_CLASSES = {
    1: RunError,
    2: UsageError,
    3: ModelFileError,
    4: ResourceError,
    5: QualityGateError,
    70: InternalError,
    130: Interrupted,
}


def make(code: int, message: str, subject: str, where: str, why: str, hint: str) -> Error:
    """The error of a code of the library (quamba2/error.h). For the library's own use."""
    error = _CLASSES.get(code, Error)(message)
    error.code, error.subject, error.where, error.why, error.hint = code, subject, where, why, hint
    return error
