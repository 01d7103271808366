"""Checks what an EoI portal signed, without the portal's code: plain Python and `cryptography`. See formats.md.

python verify.py receipt.json --keys jwks.json [--seal seal.json]    exit code 0 valid, 1 invalid, 2 cannot tell
"""

import argparse
import base64
import contextlib
import hashlib
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMATS = {  # what may stand unsigned beside the statement, and what the statement says
    "eoi-receipt/1": ({"proof"}, "version {version} of {reference} was received at {received_at}"),
    "eoi-refusal/1": (set(), "an attempt to submit {reference} was refused at {refused_local} ({code})"),
    "eoi-seal/1": ({"leaves"}, "call {call} was sealed at {sealed_at} with {count} submissions and root {root}"),
    "eoi-head/1": (set(), "at {at} the audit trail held {count} lines and ended in {chain}"),
    "eoi-ticket/1": (set(), "problem {reference} was reported at {reported_local}"),
    "eoi-destruction/1": (
        set(),
        "{destroyed[count]} of the class {sort} of call {call} were destroyed at {confirmed_at}",
    ),
    "eoi-disclosure/1": (set(), "for request {number} a set with the SHA-256 {sha256} was produced at {at}"),
}


class Stop(Exception): ...


def need(fits, otherwise, code=1):
    if not fits:
        raise Stop(code, otherwise)


def once(pairs):
    need(len(dict(pairs)) == len(pairs), "a member is given twice")
    return dict(pairs)


def parse(content):  # the portal writes whole numbers only: any other is handed to `once`, which fails
    return json.loads(content.decode(), object_pairs_hook=once, parse_float=once, parse_constant=once)


def canonical(value):  # RFC 8785, for JSON without fractions whose members have ASCII names
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def node(left, right):
    need(len(left) == len(right) == 64 and not (left + right).strip("0123456789abcdef"), "a digest is misspelled")
    return hashlib.sha256(b"\x01" + bytes.fromhex(left + right)).hexdigest()


def root_of(leaves):  # RFC 9162, 2.1.1
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").hexdigest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root_of(leaves[:split]), root_of(leaves[split:]))


def root_from(found, index, size, path):  # RFC 9162, 2.1.3.2
    need(type(index) is int and 0 <= index < size, "the place in the tree is none")
    rest, last = list(path), size - 1
    while last > 0:
        if index ^ 1 <= last:
            found = node(rest.pop(0), found) if index & 1 else node(found, rest.pop(0))
        index, last = index // 2, last // 2
    need(not rest, "the path is too long")
    return found


def keys_of(jwks):  # a key counts if it has the six members of the format and is named by its thumbprint
    found = {}
    for key in jwks["keys"]:
        core = {"crv": "Ed25519", "kty": "OKP", "x": key.get("x")}
        kid = encoded(hashlib.sha256(canonical(core)).digest())
        if key == {**core, "alg": "Ed25519", "use": "sig", "kid": kid}:
            found[kid] = Ed25519PublicKey.from_public_bytes(decoded(key["x"]))
    return found


def signed(document, keys):
    statement, (head, payload, signature) = document["statement"], document["jws"].split(".")
    need(set(document) - FORMATS[statement["format"]][0] == {"statement", "jws"}, "it has a member too many or too few")
    need(encoded(decoded(signature)) == signature, "the signature is misspelled")
    for kid, key in keys.items():
        made = encoded(canonical({"alg": "Ed25519", "kid": kid, "typ": "eoi+jws"}))  # the header given is not believed
        with contextlib.suppress(InvalidSignature):
            key.verify(decoded(signature), f"{made}.{payload}".encode())
            need(head == made, "the header of the signature was changed")
            need(decoded(payload) == canonical(statement), "the statement is not what was signed")
            return statement
    kid = json.loads(decoded(head))["kid"]
    made = encoded(canonical({"alg": "Ed25519", "kid": kid, "typ": "eoi+jws"}))
    need(kid not in keys and head == made, "the signature does not fit")
    raise Stop(2, "its key is not, undamaged, among the keys given")


def check_seal(document, keys):
    said = signed(document, keys)
    need(said["format"] == "eoi-seal/1", "what should be a seal is none")
    if "leaves" in document:
        made = (len(document["leaves"]), root_of(document["leaves"]), sorted(document["leaves"]))
        need(made == (said["size"], said["root"], document["leaves"]), "the leaves are not those of the seal")
    return said


def check_proof(proof, receipt, keys, seal):
    need(set(proof) == {"call", "leaf", "index", "size", "path", "root", "seal"}, "the proof has other members")
    leaf, sealed = proof["leaf"], check_seal(proof["seal"], keys)
    need(proof["call"] == receipt["call"] == sealed["call"], "the proof is of another call")
    same = leaf["version"] > receipt["version"] or all(leaf[n] == receipt[n] for n in ("version", "payload_sha256"))
    need(same and leaf["reference"] == receipt["reference"], "the proof is of another submission or older content")
    digest = hashlib.sha256(b"\x00" + canonical(leaf)).hexdigest()
    reached = root_from(digest, proof["index"], proof["size"], proof["path"]), proof["size"]
    need(reached == (sealed["root"], sealed["size"]) and proof["root"] == sealed["root"], "the proof misses the root")
    need(seal is None or check_seal(seal, keys) == sealed, "the seal given is not the one in the proof")
    return (
        f"; the sealed set of {sealed['size']} holds version {leaf['version']}, {leaf['state']}, root {proof['root']}"
    )


def check(document, keys, seal):
    said = check_seal(document, keys) if "leaves" in document else signed(document, keys)
    proof = check_proof(document["proof"], said, keys, seal) if "proof" in document else ""
    need(proof or seal is None or said["format"] != "eoi-receipt/1", "it holds no proof: download it after the seal", 2)
    return FORMATS[said["format"]][1].format(**said) + proof


if __name__ == "__main__":
    options, code = argparse.ArgumentParser(epilog=__doc__), 2
    options.add_argument("file")
    options.add_argument("--keys", required=True)
    options.add_argument("--seal")
    try:
        given = {o: pathlib.Path(n).read_bytes() for o, n in vars(options.parse_args()).items() if n is not None}
        keys, code = keys_of(parse(given["keys"])), 1
        code, why = 0, check(parse(given["file"]), keys, parse(given["seal"]) if "seal" in given else None)
    except Stop as stop:
        code, why = max(code, stop.args[0]), stop.args[1]
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OSError):
        why = "a file cannot be read, or is not as the portal writes it"
    print(f"{('Valid', 'Invalid', 'Cannot tell')[code]}: {why}.")
    sys.exit(code)
