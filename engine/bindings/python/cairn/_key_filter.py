# SPDX-License-Identifier: Apache-2.0
"""cairn.shards.KeyFilter: which keys a search may return, told by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _arrays
from ._arrays import Array
from ._shard_set import ShardFilter, ShardSet, ranges

KINDS = ("only", "except_", "between")


class KeyFilter:
    """Keys that a search may return, for any set: it is sent with the question, and each process prepares it for its own shards.

    Two that say the same are equal. They never change.

    Args:
        only: these keys.
        except_: all but these.
        between: those of ranges, a list of (first, last), both of which pass.

    >>> import cairn
    >>> cairn.shards.KeyFilter(between=[(20, 29), (5, 20)])
    <cairn.shards.KeyFilter: keys of 1 ranges>
    """

    __slots__ = ("_digest", "_keys", "_kind")
    _kind: str
    _keys: Array  # of between: firsts and lasts in turn, ascending and apart
    _digest: bytes

    def __init__(self, *, only: Any = None, except_: Any = None, between: Sequence[tuple[int, int]] | None = None) -> None:
        given = [(kind, one) for kind, one in zip(KINDS, (only, except_, between), strict=True) if one is not None]
        if len(given) != 1:
            raise TypeError("KeyFilter: one of only=, except_= and between=")
        self._kind, wanted = given[0]
        self._keys = ranges(wanted) if self._kind == "between" else np.unique(_arrays.keys(wanted, "KeyFilter"))
        self._keys.setflags(write=False)
        self._digest = hashlib.sha256(self._kind.encode() + self._keys.tobytes()).digest()

    def prepare(self, words: ShardSet) -> ShardFilter:
        """For the searches of a set."""
        if self._kind == "between":
            return words.filter(between=self._keys.reshape(-1, 2))
        given: dict[str, Any] = {self._kind: self._keys}
        return words.filter(**given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyFilter) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __reduce__(self) -> Any:
        return _of, (self._kind, self._keys)

    def __repr__(self) -> str:
        told = {"only": f"{len(self._keys):,} keys", "except_": f"all but {len(self._keys):,} keys"}
        return f"<cairn.shards.KeyFilter: {told.get(self._kind, f'keys of {len(self._keys) // 2:,} ranges')}>"


def _of(kind: str, keys: Array) -> KeyFilter:
    given: Any = keys.reshape(-1, 2) if kind == "between" else keys
    return KeyFilter(**{kind: given})
