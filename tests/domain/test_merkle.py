"""The tree of a seal: the vectors of certificate transparency, and that each path leads to the root and no other does."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import merkle

# The reference vectors of RFC 6962, which RFC 9162 takes over: eight leaves, and the root over the first n of them.
CONTENTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

trees = st.integers(min_value=1, max_value=70).map(lambda size: [merkle.leaf(bytes([n])) for n in range(size)])


def as_the_rfc_says(leaves: list[str]) -> str:
    """RFC 9162, 2.1.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").hexdigest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    left, right = as_the_rfc_says(leaves[:k]), as_the_rfc_says(leaves[k:])
    return hashlib.sha256(b"\x01" + bytes.fromhex(left) + bytes.fromhex(right)).hexdigest()


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    leaves = [merkle.leaf(bytes.fromhex(content)) for content in CONTENTS[:size]]
    assert merkle.root(leaves) == ROOTS[size]
    assert as_the_rfc_says(leaves) == ROOTS[size]


@given(trees)
def test_the_root_is_as_the_rfc_says(leaves: list[str]) -> None:
    assert merkle.root(leaves) == as_the_rfc_says(leaves)


@given(trees, st.data())
def test_the_path_of_a_leaf_leads_to_the_root_and_no_other_does(leaves: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = merkle.path(leaves, index), merkle.root(leaves)
    assert merkle.root_from(leaves[index], index, len(leaves), path) == root
    for other in range(len(leaves)):
        if other != index:
            assert merkle.root_from(leaves[other], index, len(leaves), path) != root
            assert merkle.root_from(leaves[index], other, len(leaves), path) != root
    assert merkle.root_from(leaves[index], index, len(leaves), [*path, leaves[0]]) is None
    for place in range(len(path)):
        assert merkle.root_from(leaves[index], index, len(leaves), path[:place] + path[place + 1 :]) is None
        changed = [*path]
        changed[place] = merkle.leaf(b"another")
        assert merkle.root_from(leaves[index], index, len(leaves), changed) != root


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (True, 3)])
def test_a_place_outside_the_tree_leads_nowhere(index: int, size: int) -> None:
    leaves = [merkle.leaf(bytes([n])) for n in range(3)]
    assert merkle.root_from(leaves[1], index, size, merkle.path(leaves, 1)) is None


@pytest.mark.parametrize("spelling", [str.upper, lambda digest: f" {digest[:-1]}", lambda digest: digest[:-2]])
def test_a_digest_has_one_spelling(spelling: object) -> None:
    leaves = [merkle.leaf(bytes([n])) for n in range(2)]
    assert callable(spelling)
    with pytest.raises(ValueError):
        merkle.root_from(leaves[0], 0, 2, [spelling(leaves[1])])
    with pytest.raises(ValueError):
        merkle.root([leaves[0], spelling(leaves[1])])


@given(trees)
def test_a_growing_tree_has_the_root_of_the_whole_at_each_size(leaves: list[str]) -> None:
    growing = merkle.Growing()
    assert growing.root() == merkle.EMPTY
    for size, leaf in enumerate(leaves, 1):
        growing.add(leaf)
        assert (growing.size, growing.root()) == (size, merkle.root(leaves[:size]))
