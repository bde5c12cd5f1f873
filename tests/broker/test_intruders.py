"""What somebody without a credential can do to a city: not get in, and not keep routers out."""

import contextlib
import datetime as dt
import os
import re
import resource
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.broker.besieged import SILENT, Besieged
from tests.broker.enrolled import foreign_authority
from tests.broker.raw import CONNECT, hello, packet, plain, secure

pytestmark = pytest.mark.system

FILES = 8192
HONEST = 20


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """Twenty honest routers, three samples a second each."""
    with (
        many_files(),
        Besieged(tmp_path_factory.mktemp("besieged"), honest=HONEST, interval_s=0.3) as made,
    ):
        yield made


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """For our own half of the sockets; the broker raises its limit by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def enters(besieged: Besieged, keys: Path | None, name: str) -> bool:
    """Whether these keys open the routers' listener."""
    try:
        with secure(besieged.city, besieged.directory.ports.router, keys) as wire:
            return wire.connect(f"titik:{name}", name) == 0
    except (ssl.SSLError, ConnectionError):
        return False


def put(folder: Path, certificate: str, key: str) -> Path:
    """A router's folder with these."""
    folder.mkdir(exist_ok=True)
    (folder / "router.crt").write_text(certificate)
    (folder / "router.key").write_text(key)
    return folder


def test_a_good_certificate_enters(besieged: Besieged, tmp_path: Path) -> None:
    """So what is refused below is refused for the one thing that is wrong with it."""
    good = besieged.directory.authority.certify_router(SILENT)
    assert enters(besieged, put(tmp_path / "good", *good), SILENT)


def test_no_certificate_is_refused(besieged: Besieged) -> None:
    """A name alone opens nothing."""
    with besieged.holds():
        for name in (besieged.names[0], SILENT, "collector", "ina"):
            assert not enters(besieged, None, name)


def test_a_certificate_of_another_authority_is_refused(besieged: Besieged, tmp_path: Path) -> None:
    """Whatever name it says, of the authority or of the router."""
    victim = besieged.names[0]
    other = foreign_authority(tmp_path / "other")
    with besieged.holds():
        assert not enters(besieged, put(tmp_path / "1", *other.certify_router(victim)), victim)
        namesake = foreign_authority(tmp_path / "namesake", "Titik city CA of localhost")
        assert not enters(besieged, put(tmp_path / "2", *namesake.certify_router(victim)), victim)


def test_an_expired_certificate_is_refused(
    besieged: Besieged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of our own."""
    victim = besieged.names[0]
    monkeypatch.setattr("titik_collector.enrolment.signing.now", lambda: dt.datetime(2021, 1, 1))
    monkeypatch.setattr("titik_collector.enrolment.authority.ROUTER_DAYS", 30)
    expired = besieged.directory.authority.certify_router(victim)
    monkeypatch.undo()
    with besieged.holds():
        assert not enters(besieged, put(tmp_path / "expired", *expired), victim)


def test_a_revoked_certificate_is_refused(besieged: Besieged, tmp_path: Path) -> None:
    """And revoking it disturbs nobody else."""
    bad = put(tmp_path / "bad", *besieged.directory.authority.certify_router(SILENT))
    with besieged.holds():
        assert enters(besieged, bad, SILENT)
        besieged.city.says("router", "revoke", SILENT)
        assert not enters(besieged, bad, SILENT)


def test_the_brokers_own_certificate_makes_no_router(besieged: Besieged, tmp_path: Path) -> None:
    """Certificates say what they are for."""
    tls = besieged.directory.path / "tls"
    server = ((tls / "server.crt").read_text(), (tls / "server.key").read_text())
    with besieged.holds():
        assert not enters(besieged, put(tmp_path / "server", *server), "localhost")


def test_a_routers_certificate_makes_no_authority(besieged: Besieged, tmp_path: Path) -> None:
    """Nor can it sign itself another name."""
    victim = besieged.names[0]
    keys = besieged.keys["tirosa-9"]
    its, its_key = ((keys / f"router.{end}").read_bytes() for end in ("crt", "key"))
    certificate, key = forged(victim, its, its_key)
    with besieged.holds():
        assert not enters(
            besieged, put(tmp_path / "chain", certificate + its.decode(), key), victim
        )


def forged(name: str, certificate: bytes, key: bytes) -> tuple[str, str]:
    """A certificate and key for a name, signed with another certificate's."""
    mine, theirs = ec.generate_private_key(ec.SECP256R1()), load_pem_private_key(key, None)
    assert isinstance(theirs, ec.EllipticCurvePrivateKey)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.load_pem_x509_certificate(certificate).subject)
        .public_key(mine.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1))
        .not_valid_after(dt.datetime(2060, 1, 1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(theirs, hashes.SHA256())
    )
    pem = mine.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return made.public_bytes(Encoding.PEM).decode(), pem


def test_an_old_tls_is_refused(besieged: Besieged) -> None:
    """1.2 is the least, on both listeners."""
    ports, keys = besieged.directory.ports, besieged.keys["tirosa-9"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(keys / "ca.crt")
    context.load_cert_chain(keys / "router.crt", keys / "router.key")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with besieged.holds():
        for port in (ports.router, ports.engineer):
            with (
                socket.create_connection(("127.0.0.1", port), 5) as sock,
                pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"),  # the broker's word
            ):
                context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("version", [3, 4, 5])
def test_plaintext_on_a_tls_port_is_refused(besieged: Besieged, version: int) -> None:
    """The broker hangs up, whatever password comes with it."""
    ports = besieged.directory.ports
    with besieged.holds():
        for port in (ports.router, ports.engineer):
            with plain(port, version) as wire:
                assert wire.connect("titik:x", "ina", besieged.directory.password("ina")) is None


def listeners(besieged: Besieged) -> list[int]:
    """The ports of all that the generated configuration opens."""
    text = besieged.directory.config_file.read_text()
    return [int(port) for port in re.findall(r"^listener (\d+)", text, re.M)]


@pytest.mark.parametrize("version", [3, 4, 5])
def test_nobody_enters_without_a_name_and_a_secret(besieged: Besieged, version: int) -> None:
    """On any listener, in any version, with TLS and without."""
    collector, ports = besieged.directory.settings.collector, listeners(besieged)
    assert 3 == len(ports)
    guesses = [
        (None, None), ("", None), ("", ""), (collector, None), (collector, ""), (collector, "x"),
        ("ina", None), ("ina", ""), (besieged.names[0], None), (besieged.names[0], ""),
    ]  # fmt: skip
    with besieged.holds():
        for port in ports:
            for user, password in guesses:
                with plain(port, version) as wire:
                    assert wire.connect("titik:x", user, password) != 0
                with (
                    contextlib.suppress(ssl.SSLError, ConnectionError),
                    secure(besieged.city, port, None, version) as wire,
                ):
                    assert wire.connect("titik:x", user, password) != 0


CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)


def test_a_connect_in_drops_keeps_nobody_waiting(besieged: Besieged) -> None:
    """Forty CONNECTs, forty logins with a stolen certificate and forty TLS hellos, byte by byte."""
    letters = packet(CONNECT, hello("titik:" + "x" * 200, user="ina", password="y" * 100))
    ports = besieged.directory.ports
    with contextlib.ExitStack() as open_ones:
        drops = [
            *((open_ones.enter_context(besieged.engineer()), letters) for _ in range(40)),
            *((open_ones.enter_context(besieged.thief()), letters) for _ in range(40)),
            *((open_ones.enter_context(plain(ports.router)), CLIENT_HELLO) for _ in range(40)),
        ]
        with besieged.holds(more=6):
            for n in range(20):
                for wire, data in drops:
                    wire.send(data[n : n + 1])
                time.sleep(0.15)
            with besieged.thief() as late:
                assert 0 == late.connect("titik:x")


def open_files(besieged: Besieged) -> int:
    """How many mosquitto has open."""
    return len(os.listdir(f"/proc/{besieged.directory.pid()}/fd"))


def test_2000_idle_sockets_keep_no_router_out(besieged: Besieged) -> None:
    """Twenty honest routers deliver everything meanwhile, and another one gets in."""
    ports = besieged.directory.ports
    with contextlib.ExitStack() as open_ones:
        for n in range(1800):
            port = ports.engineer if n % 3 == 0 else ports.router
            open_ones.enter_context(plain(port))
        for n in range(200):
            open_ones.enter_context(besieged.engineer() if n % 2 else besieged.thief())
        with besieged.holds(more=6):
            assert open_files(besieged) > 2000
            with besieged.thief() as late:
                assert 0 == late.connect("titik:x")
            with besieged.engineer() as late:
                assert 0 == late.connect("", "ina", besieged.directory.password("ina"))
