"""Posting to addresses of others: not into our own network, not by a redirect, not for long, not without TLS."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.infra.poster import Poster, PostFailed, PostRefused
from tests.receiver import receiving

HERE = Poster(("127.0.0.0/8",), may_be_plain=True)
NOWHERE = Poster(may_be_plain=True)


def test_what_is_sent_arrives_as_it_is() -> None:
    with receiving() as receiver:
        assert HERE.post(receiver.url, b'{"a": 1}', {"Content-Type": "application/json", "webhook-id": "7"}) == 204
    ((path, headers, body),) = receiver.got
    assert (path, body, headers["host"]) == ("/hook?from=eoi", b'{"a": 1}', f"127.0.0.1:{receiver.port}")
    assert (headers["content-type"], headers["webhook-id"], headers["content-length"]) == ("application/json", "7", "8")


PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
    "2002:a00:1::1", "64:ff9b:1::1", "2001:0:53aa:64c:0:0:80ff:fffe", "::7f00:1", "fec0::1", "nonsense", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_name_leads_into_a_network_that_is_not_public(address: str) -> None:
    poster = Poster(resolves=lambda _host, _port: [address])
    with pytest.raises(PostRefused):
        poster.post("https://hook.example/", b"", {})


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    for found in (["93.184.215.14", "10.0.0.1"], ["10.0.0.1", "93.184.215.14"]):
        with pytest.raises(PostRefused):
            Poster(resolves=lambda _host, _port, found=found: found).post("https://hook.example/", b"", {})  # type: ignore[misc]


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_public_addresses_may_be_reached(address: str) -> None:
    assert Poster().may_reach(address)


SPELLINGS = [
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_this_machine_reaches_it(host: str) -> None:
    with receiving() as receiver:
        with pytest.raises((PostRefused, PostFailed)):
            NOWHERE.post(f"http://{host}:{receiver.port}/", b"", {})
        assert receiver.got == []


def test_a_name_is_resolved_once_and_the_connection_goes_to_that_very_address() -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.255.255.1"]

    with receiving() as receiver:
        poster = Poster(("127.0.0.1",), may_be_plain=True, resolves=rebinding)
        assert poster.post(f"http://hook.invalid:{receiver.port}/x", b"", {}) == 204
        with pytest.raises(PostRefused):
            poster.post(f"http://hook.invalid:{receiver.port}/x", b"", {})
        assert [headers["host"] for _, headers, _ in receiver.got] == [f"hook.invalid:{receiver.port}"]
    assert asked == ["hook.invalid", "hook.invalid"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    with receiving(status=status) as receiver:
        assert HERE.post(receiver.url, b"", {}) == status
        assert [path for path, _, _ in receiver.got] == ["/hook?from=eoi"]


@pytest.mark.parametrize("manner", ["slow", "silent"])
def test_an_answer_that_drips_or_never_comes_is_cut_off(manner: str) -> None:
    began = time.monotonic()
    with receiving(manner=manner) as receiver, pytest.raises(PostFailed, match="no answer in time"):
        Poster(("127.0.0.0/8",), may_be_plain=True, whole=0.4).post(receiver.url, b"", {})
    assert time.monotonic() - began < 5


def test_of_a_huge_answer_only_the_head_is_read() -> None:
    with receiving(manner="huge", status=200) as receiver:
        assert HERE.post(receiver.url, b"", {}) == 200


def test_who_speaks_no_http_is_a_failure() -> None:
    for said in (b"SSH-2.0-nonsense\r\n", b"", b"HTTP/1.1 xyz\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer(said: bytes = said, server: socket.socket = server) -> None:
                line, _ = server.accept()
                with line:
                    line.recv(1000)
                    line.sendall(said)

            thread = threading.Thread(target=answer)
            thread.start()
            with pytest.raises(PostFailed):
                HERE.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"", {})
            thread.join()


def test_nobody_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PostFailed):
        HERE.post(f"http://127.0.0.1:{port}/", b"", {})
    with pytest.raises(PostFailed):
        HERE.post("http://no-such-host.invalid/", b"", {})


@pytest.mark.parametrize(
    "url", ["http://hook.example/", "ftp://hook.example/", "file:///etc/passwd", "gopher://hook.example/"]
)
def test_without_tls_nothing_is_sent(url: str) -> None:
    with pytest.raises(PostRefused):
        Poster(resolves=lambda _host, _port: ["93.184.215.14"]).post(url, b"", {})


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert HERE.post(receiver.url, b"", {}) == 204
        assert (len(receiver.got), proxy.got) == (1, [])


def certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(("host", "holds"), [("hook.example", True), ("else.example", False)])
def test_the_certificate_is_that_of_the_name_not_of_the_address(tmp_path: Path, host: str, holds: bool) -> None:
    both = certificate(tmp_path, "hook.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(both)
    named: list[str] = []
    serving.sni_callback = lambda _socket, name, _context: named.append(name)
    trusting = ssl.create_default_context(cafile=str(both))

    def answer(server: socket.socket) -> None:
        line, _ = server.accept()
        try:
            with serving.wrap_socket(line, server_side=True) as safe:
                safe.recv(1000)
                safe.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            line.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        poster = Poster(("127.0.0.1",), resolves=lambda _host, _port: ["127.0.0.1"], context=trusting)
        url = f"https://{host}:{server.getsockname()[1]}/"
        if holds:
            assert poster.post(url, b"", {}) == 202
        else:
            with pytest.raises(PostFailed, match="certificate"):
                poster.post(url, b"", {})
        thread.join()
    assert named == [host]


def test_networks_that_are_named_may_be_reached() -> None:
    poster = Poster(("10.1.0.0/16", "fd12::/16"))
    reached = [
        address
        for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "10.2.0.1", "127.0.0.1")
        if poster.may_reach(address)
    ]
    assert reached == ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"]
    assert ipaddress.ip_address("10.1.2.3").is_private
