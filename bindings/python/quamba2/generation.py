# SPDX-License-Identifier: Apache-2.0
"""Text that grows."""

from __future__ import annotations

from collections.abc import Iterator

from quamba2 import _core


class Piece(str):
    """What came next of a text: a string that also has the tokens.

    It is empty where a token ended in the middle of a character, or may begin a stop string: its text comes later."""

    tokens: list[_core.TokenReport]

    @property
    def ids(self) -> list[int]:
        """Ids of the tokens, the one that ended the text too."""
        return [token.id for token in self.tokens]


class Generation(Iterator[Piece]):
    """The text that `Model.generate` gives: an iterator of its pieces, which are computed as they are asked for.

    Several may grow by turns, beside sessions of the same model. One that is dropped before its end costs nothing more."""

    def __init__(self, native: _core.Generation) -> None:
        self._native = native
        self.text: str = ""
        """All pieces so far."""
        self.ids: list[int] = []
        """Tokens of the text so far, without one that ended it."""
        self.finish_reason: str | None = None
        """Why the text ended: "length", "stop" (a stop string or token) or "end_of_text"; None while it grows."""
        self.usage: _core.Usage | None = None
        """Tokens and seconds so far."""

    def __iter__(self) -> Generation:
        return self

    def __next__(self) -> Piece:
        update = self._native.next()
        if update is None:
            raise StopIteration
        piece = Piece(update.text)
        piece.tokens = update.tokens
        self.text += update.text
        self.ids += piece.ids
        self.usage = update.usage
        if update.finished:
            self.finish_reason = update.finish_reason
            if update.end_token >= 0:
                self.ids.pop()
        return piece
