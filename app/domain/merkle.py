"""The Merkle tree of a seal, as in RFC 9162: its root, and the path that shows one leaf to be in it. Digests are hex."""

import hashlib
import re
from typing import Any

HEX = re.compile("[0-9a-f]{64}")
EMPTY = hashlib.sha256(b"").hexdigest()


def leaf(content: bytes) -> str:
    """The digest of a leaf's bytes."""
    return hashlib.sha256(b"\x00" + content).hexdigest()


def _node(left: str, right: str) -> str:
    return hashlib.sha256(b"\x01" + _bytes(left) + _bytes(right)).hexdigest()


def _bytes(digest: str) -> bytes:
    """A digest in its one spelling: `bytes.fromhex` would also take capitals and spaces."""
    if not HEX.fullmatch(digest):
        raise ValueError("this is no digest in lower-case hex")
    return bytes.fromhex(digest)


def _levels(leaves: list[str]) -> list[list[str]]:
    """The tree from its leaves to its root; a node without a neighbour moves up as it is."""
    levels = [leaves]
    while len(below := levels[-1]) > 1:
        above = [_node(*below[i : i + 2]) for i in range(0, len(below) - 1, 2)]
        levels.append(above + below[len(above) * 2 :])
    return levels


def root(leaves: list[str]) -> str:
    """The root over leaves in the order given; of none, the digest of nothing."""
    return _levels(leaves)[-1][0] if leaves else EMPTY


def path(leaves: list[str], index: int) -> list[str]:
    """The neighbours on the way from leaf `index` to the root, the lowest first."""
    found = []
    for level in _levels(leaves)[:-1]:
        beside = index ^ 1
        if beside < len(level):
            found.append(level[beside])
        index //= 2
    return found


def root_from(leaf: str, index: int, size: int, path: list[Any]) -> str | None:
    """The root that a leaf and its path lead to in a tree of `size` leaves; None when the path cannot be one."""
    if isinstance(index, bool) or not 0 <= index < size:
        return None
    found, rest, last = leaf, list(path), size - 1
    while last > 0:
        if index ^ 1 <= last:
            if not rest:
                return None
            beside = rest.pop(0)
            found = _node(beside, found) if index & 1 else _node(found, beside)
        index, last = index // 2, last // 2
    return None if rest else found


class Growing:
    """A root over leaves that come one by one: only the peaks are kept, however many there are."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[str] = []

    def add(self, leaf: str) -> None:
        """Take in the next leaf."""
        self.size += 1
        self.peaks.append(leaf)
        rest = self.size
        while rest % 2 == 0:
            right = self.peaks.pop()
            self.peaks.append(_node(self.peaks.pop(), right))
            rest //= 2

    def root(self) -> str:
        """The root over what came so far."""
        if not self.peaks:
            return EMPTY
        *before, found = self.peaks
        for peak in reversed(before):
            found = _node(peak, found)
        return found
