"""The signing keys: private on disk, kept after a rotation, and no byte of a receipt can change unseen."""

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.infra import signing
from app.infra.signing import BadSignature, Signer, UnknownKey

PAYLOAD = b'{"reference":"0KQ3V-9XM2T-7RWC","version":1}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def forged(token: str, **changes: Any) -> str:
    """The token with another header and the same payload and signature."""
    header, payload, signature = token.split(".")
    return ".".join([packed(json.dumps(json.loads(unpacked(header)) | changes).encode()), payload, signature])


def test_a_key_is_made_once_and_is_for_its_owner_alone(folder: Path) -> None:
    first, again = Signer.load_or_create(folder), Signer.load_or_create(folder)
    assert first.kid == again.kid
    assert [p.name for p in folder.iterdir()] == ["0001.pem"]
    assert stat.S_IMODE((folder / "0001.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_processes_that_start_at_once_agree_on_one_key(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        kids = {signer.kid for signer in pool.map(lambda _: Signer.load_or_create(folder), range(16))}
    assert len(kids) == 1
    assert [p.name for p in folder.iterdir()] == ["0001.pem"]


def test_what_was_signed_comes_back_and_names_key_and_algorithm(folder: Path) -> None:
    signer = Signer.load_or_create(folder)
    token = signer.sign(PAYLOAD)
    assert signing.verify(token, signer.jwks()) == PAYLOAD
    assert json.loads(unpacked(token.split(".")[0])) == {"alg": "Ed25519", "kid": signer.kid, "typ": "eoi+jws"}


def test_old_keys_verify_after_a_rotation_and_the_newest_signs(folder: Path) -> None:
    signers = [Signer.load_or_create(folder)]
    tokens = [signers[0].sign(PAYLOAD)]
    for _ in range(2):
        signers.append(signing.rotate(folder))
        tokens.append(signers[-1].sign(PAYLOAD))
    jwks = Signer.load_or_create(folder).jwks()
    assert [key["kid"] for key in jwks["keys"]] == [signer.kid for signer in signers]
    assert len({signer.kid for signer in signers}) == 3
    assert [signing.verify(token, jwks) for token in tokens] == [PAYLOAD] * 3
    assert sorted(p.name for p in folder.iterdir()) == ["0001.pem", "0002.pem", "0003.pem"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}


def test_what_is_published_holds_no_private_part(folder: Path) -> None:
    (key,) = Signer.load_or_create(folder).jwks()["keys"]
    assert sorted(key) == ["alg", "crv", "kid", "kty", "use", "x"]
    assert (key["kty"], key["crv"], key["use"], len(unpacked(key["x"]))) == ("OKP", "Ed25519", "sig", 32)


def test_every_flipped_bit_of_every_part_is_found(folder: Path) -> None:
    signer = Signer.load_or_create(folder)
    jwks, parts = signer.jwks(), signer.sign(PAYLOAD).split(".")
    passed = []
    for place, part in enumerate(parts):
        content = unpacked(part)
        for number in range(len(content)):
            for bit in range(8):
                flipped = bytearray(content)
                flipped[number] ^= 1 << bit
                changed = ".".join([*parts[:place], packed(bytes(flipped)), *parts[place + 1 :]])
                try:
                    signing.verify(changed, jwks)
                except (BadSignature, UnknownKey):
                    continue
                passed.append((place, number, bit))
    assert passed == []


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "..", "é.é.é", "a" * 10_000, "null.null.null", "e30.e30.e30"])
def test_what_is_no_signature_is_refused(folder: Path, token: str) -> None:
    with pytest.raises(BadSignature):
        signing.verify(token, Signer.load_or_create(folder).jwks())


@pytest.mark.parametrize("alg", ["none", "HS256", "EdDSA", "ES256", "", None, 5, ["Ed25519"]])
def test_another_algorithm_is_no_way_around_the_key(folder: Path, alg: Any) -> None:
    signer = Signer.load_or_create(folder)
    with pytest.raises(BadSignature):
        signing.verify(forged(signer.sign(PAYLOAD), alg=alg), signer.jwks())


@pytest.mark.parametrize("kid", ["other", "", None, 5, ["a"], {"a": 1}])
def test_a_key_that_is_not_ours_is_unknown_and_not_a_fault(folder: Path, kid: Any) -> None:
    signer = Signer.load_or_create(folder)
    with pytest.raises((UnknownKey, BadSignature)):
        signing.verify(forged(signer.sign(PAYLOAD), kid=kid), signer.jwks())


def test_a_signature_by_somebody_else_under_our_keys_name_does_not_fit(folder: Path, tmp_path: Path) -> None:
    signer, other = Signer.load_or_create(folder), Signer.load_or_create(tmp_path / "other")
    with pytest.raises(UnknownKey):
        signing.verify(other.sign(PAYLOAD), signer.jwks())
    with pytest.raises(BadSignature):
        signing.verify(forged(other.sign(PAYLOAD), kid=signer.kid), signer.jwks())
