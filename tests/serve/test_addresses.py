"""Media addresses: a real TLS server on this machine stands for whatever must not be reached."""

import asyncio
import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from serve.addresses import Fetcher, is_public
from serve.config import MediaSettings
from serve.errors import ApiError


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, evil.example and 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.DNSName("evil.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder.joinpath("cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    folder.joinpath("key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


class Media(BaseHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012 one server

    def do_GET(self) -> None:
        self.seen.append(self.path)
        port = self.server.server_address[1]
        target = {"/to-metadata": "https://169.254.169.254/latest/", "/to-http": f"http://localhost:{port}/ok",
                  "/to-file": "file:///etc/passwd", "/loop": "/loop", "/to-ok": "/ok",
                  "/to-evil": f"https://evil.example:{port}/ok"}.get(self.path)  # fmt: skip
        if target:
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        self.send_response(404 if self.path == "/missing" else 200)
        if self.path == "/claim":
            self.send_header("Content-Length", str(10 << 30))
        self.end_headers()
        try:
            for _ in range(1000 if self.path == "/endless" else 1):
                self.wfile.write(b"x" * 1000)
        except OSError:
            pass

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    cert, key = certificate(tmp_path_factory.mktemp("tls"))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Media)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd.server_address[1], cert
    httpd.shutdown()


def fetch(url: str, most: int = 5000, resolver: Any = None, **settings: Any) -> bytes:
    async def go() -> bytes:
        async with Fetcher(MediaSettings(**settings)) as fetcher:
            if resolver:
                fetcher._session.connector._resolver = resolver
            return await fetcher.fetch(url, most)

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("10.0.0.1", False),
        ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1%eth0", False),
        ("fc00::1", False), ("::ffff:127.0.0.1", False), ("::ffff:93.184.216.34", True), ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False), ("ff02::1", False), ("192.0.2.1", False),
        ("64:ff9b::5db8:d822", True), ("fec0::1", False), ("64:ff9b:1::5db8:d822", False), ("::5db8:d822", False),
        ("5f00::1", False), ("3fff::1", False), ("3fff:1000::1", True), ("4000::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_private_network_can_be_allowed_and_no_other_with_it() -> None:
    assert is_public("10.1.2.3", ("10.1.0.0/16",))
    assert not is_public("10.2.2.3", ("10.1.0.0/16",))
    assert not is_public("::1", ("10.1.0.0/16",))
    assert is_public("fec0::1", ("fec0::/10",))
    assert is_public("64:ff9b::10.1.2.3", ("10.1.0.0/16",))


def test_nothing_private_is_connected_even_if_its_name_is_allowed(server: tuple[int, Path]) -> None:
    port, cert = server
    Media.seen.clear()
    for host in ("localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"):
        with pytest.raises(ApiError) as refused:
            fetch(f"https://{host}:{port}/ok", allowed_hosts=("*",), ca_file=str(cert))
        assert refused.value.status in (400, 403)
    assert Media.seen == []


class Rebinding:
    """A name that is public when first asked, and this machine ever after."""

    def __init__(self) -> None:
        self.answers = iter(["93.184.216.34"])

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        ip = next(self.answers, "127.0.0.1")
        return [{"hostname": host, "host": ip, "port": port, "family": 2, "proto": 6, "flags": 0}]

    async def close(self) -> None:
        pass


def test_a_name_that_changes_its_address_is_checked_where_it_is_connected(server: tuple[int, Path]) -> None:
    port, cert = server
    Media.seen.clear()
    resolver = Rebinding()
    asyncio.run(resolver.resolve("evil.example"))  # whoever checks first sees a public address
    with pytest.raises(ApiError, match="no public address"):
        fetch(f"https://evil.example:{port}/ok", resolver=resolver, allowed_hosts=("evil.example",), ca_file=str(cert))
    assert Media.seen == []


def test_what_is_allowed_arrives_also_by_redirect(server: tuple[int, Path]) -> None:
    port, cert = server
    settings = {"allowed_hosts": ("localhost",), "private_networks": ("127.0.0.0/8",), "ca_file": str(cert)}
    assert fetch(f"https://localhost:{port}/ok", **settings) == b"x" * 1000
    assert fetch(f"https://localhost:{port}/to-ok", **settings) == b"x" * 1000


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/to-metadata", 403, "none of the allowed media hosts"),
        ("/to-evil", 403, "none of the allowed media hosts"),
        ("/to-http", 400, "https:// address"),
        ("/to-file", 400, "https:// address"),
        ("/loop", 400, "redirected more than 3 times"),
        ("/missing", 400, "status 404"),
        ("/claim", 413, "5000 bytes"),
        ("/endless", 413, "5000 bytes"),
    ],
)
def test_where_an_allowed_host_must_not_lead(server: tuple[int, Path], path: str, status: int, words: str) -> None:
    port, cert = server
    with pytest.raises(ApiError, match=words) as refused:
        fetch(f"https://localhost:{port}{path}", allowed_hosts=("localhost",), private_networks=("127.0.0.0/8",),
              ca_file=str(cert))  # fmt: skip
    assert refused.value.status == status


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://example.org/a.mp4", "ftp://example.org/a", "https://user:secret@example.org/a",
     "https:///a", "gopher://example.org", "https://[::1", "https://example.org:99999/"],
)  # fmt: skip
def test_other_addresses_are_refused_without_a_connection(url: str) -> None:
    with pytest.raises(ApiError) as refused:
        fetch(url, allowed_hosts=("*",))
    assert refused.value.status == 400
    assert "secret" not in refused.value.message


def test_hosts_are_denied_by_default_and_patterns_are_whole_names() -> None:
    with pytest.raises(ApiError, match="no media hosts are allowed"):
        fetch("https://example.org/a?signature=SECRET")
    for host in ("badexample.org", "example.org.evil.net", "example.org"):
        with pytest.raises(ApiError, match="none of the allowed") as refused:
            fetch(f"https://{host}/a?signature=SECRET", allowed_hosts=("*.example.org",))
        assert "SECRET" not in refused.value.message


def test_an_untrusted_certificate_is_refused(server: tuple[int, Path]) -> None:
    with pytest.raises(ApiError, match="cannot be reached"):
        fetch(f"https://localhost:{server[0]}/ok", allowed_hosts=("*",), private_networks=("127.0.0.0/8",))
