"""Promise: over TLS a key goes to the server that the operator named and to no other, and the message says why."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rememberd.errors import UpstreamUnavailable
from rememberd.upstream.byte_lane import ByteLane
from tests.support.loopback import PATH, bytes_deployment
from tests.support.raw_server import RawServer, Visit, saying

BODY = bytes(3 * 2**20)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed by itself, for 127.0.0.1, 192.0.2.1 and no other name; its key stands in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "192.0.2.1")]
    )
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = made.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    unencrypted = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted) + signed.public_bytes(pem)
    )
    return path


async def politely(visit: Visit) -> None:
    while True:
        await visit.request()
        await visit.say([ANSWER])


async def plainly(visit: Visit) -> None:
    await visit.reader.read(1)
    await visit.say([b"HTTP/1.1 400 Bad Request\r\n\r\n"])


@asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with saying(politely, tls=context) as server:
        yield server


async def ask(lane: ByteLane, host: str, port: int) -> bytes:
    async with asyncio.timeout(120):
        reply = await lane.send(bytes_deployment(f"https://{host}:{port}"), PATH, BODY, [])
        return b"".join([chunk async for chunk in reply.chunks()])


@both_loops
def test_a_trusted_server_is_asked(certificate: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """A body of several records there, an answer back, and the connection is kept for the next."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def scenario() -> None:
        lane = ByteLane()
        async with serving(certificate) as server:
            for _ in range(2):
                assert await ask(lane, "127.0.0.1", server.port) == b"hello"
            assert [request.endswith(BODY) for request in server.visits[0].requests] == [True, True]
            await lane.close()

    run(scenario())


@both_loops
@pytest.mark.parametrize(
    ("trusted", "host", "reason"), [(False, "127.0.0.1", "self.signed"), (True, "localhost", "localhost")]
)
def test_any_other_gets_nothing(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, run: Run, trusted: bool, host: str, reason: str
) -> None:
    """Neither one whose certificate nobody vouches for nor one that has another's: no byte of the request is sent."""
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def scenario() -> None:
        lane = ByteLane()
        async with serving(certificate) as server:
            with pytest.raises(UpstreamUnavailable, match=f"certificate .*{reason}"):
                await ask(lane, host, server.port)
            assert server.requests == 0

    run(scenario())


@both_loops
def test_who_speaks_no_tls_is_named(run: Run) -> None:
    """https:// written for a plain server is the operator's to mend."""

    async def scenario() -> None:
        lane = ByteLane()
        async with saying(plainly) as server:
            with pytest.raises(UpstreamUnavailable, match=r"127\.0\.0\.1 .*SSL"):
                await ask(lane, "127.0.0.1", server.port)

    run(scenario())
