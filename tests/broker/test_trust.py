"""Certificates as each Python wants them: what is made now, and what was made at first."""

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from titik_agent.broker_link.link import RouterRemedies
from titik_collector.enrolment.authority import Authority, days_of_authority
from titik_collector.files.replace import Owner
from titik_mqtt.dial import dial
from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.trust import context

FIRST = {x509.BasicConstraints, x509.ExtendedKeyUsage, x509.SubjectAlternativeName}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A city's, with the broker's certificate."""
    (tmp_path / "broker").mkdir()
    made = Authority(tmp_path / "broker", Owner(-1, -1, 0o600))
    made.make("Titik city CA of localhost")
    made.certify_server("localhost")
    made.write_crl()
    return made


def as_at_first(folder: Path) -> None:
    """The broker's certificate made again as the first version did, which named no issuer's key."""
    file = folder / "tls/server.crt"
    new = x509.load_pem_x509_certificate(file.read_bytes())
    key = serialization.load_pem_private_key((folder / "ca/ca.key").read_bytes(), None)
    builder = x509.CertificateBuilder(
        new.issuer, new.subject, new.public_key(), new.serial_number,
        dt.datetime(2020, 1, 1), dt.datetime(2099, 1, 1),
    )  # fmt: skip
    for one in new.extensions:
        if type(one.value) in FIRST:
            builder = builder.add_extension(one.value, one.critical)
    old = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    file.write_bytes(old.public_bytes(serialization.Encoding.PEM))


class Server:
    """Shakes hands, with what is in a folder, once; `port` is where."""

    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "tls/server.crt", folder / "tls/server.key")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(60.0)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket, self._socket.accept()[0] as one:
            one.settimeout(60.0)
            try:
                self._context.wrap_socket(one, server_side=True).close()
            except OSError:  # whoever came did not like us
                return

    def join(self) -> None:
        self._thread.join()


def shaken(folder: Path, context: ssl.SSLContext) -> str:
    """What a client says of the server's certificate; nothing if it is content."""
    server = Server(folder)
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            context.wrap_socket(sock, server_hostname="localhost").close()
    except ssl.SSLError as error:
        return str(error)
    finally:
        server.join()
    return ""


def strict(folder: Path) -> ssl.SSLContext:
    """What Python 3.13 and later do unasked."""
    context = ssl.create_default_context(cafile=folder / "tls/ca.crt")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.mark.usefixtures("authority")
def test_a_new_certificate_satisfies_the_strictest(tmp_path: Path) -> None:
    """Whose key signed it is in it, and in the revocation list."""
    assert "" == shaken(tmp_path / "broker", strict(tmp_path / "broker"))
    crl = x509.load_pem_x509_crl((tmp_path / "broker/tls/crl.pem").read_bytes())
    assert crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)


def test_a_routers_certificate_names_the_key_that_signed_it(authority: Authority) -> None:
    """As the broker's."""
    pem, _ = authority.certify_router("tirosa-1")
    made = x509.load_pem_x509_certificate(pem.encode())
    named = made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    signer = x509.load_pem_x509_certificate(authority.ca_pem.encode())
    own = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert own.digest == named.key_identifier
    used = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [ExtendedKeyUsageOID.CLIENT_AUTH] == list(used)


@pytest.mark.usefixtures("authority")
def test_a_certificate_of_the_first_version_is_accepted(tmp_path: Path) -> None:
    """By the server half and by the agent, on every Python."""
    folder = tmp_path / "broker"
    as_at_first(folder)
    assert "Missing Authority Key Identifier" in shaken(folder, strict(folder))
    trusting = context(authority_of(folder))
    assert not trusting.verify_flags & ssl.VERIFY_X509_STRICT
    assert "" == shaken(folder, trusting)
    server = Server(folder)
    there = Endpoint("localhost", server.port, "tirosa-1", tls=authority_of(folder))
    dial(there, RouterRemedies, 10.0).close()
    server.join()


@pytest.mark.usefixtures("authority")
def test_nothing_else_is_accepted_for_it(tmp_path: Path) -> None:
    """Another authority's certificate, or one for another name."""
    folder, other = tmp_path / "broker", tmp_path / "other"
    other.mkdir()
    foreign = Authority(other, Owner(-1, -1, 0o600))
    foreign.make("Titik city CA of localhost")
    assert "CERTIFICATE_VERIFY_FAILED" in shaken(folder, context(authority_of(other)))
    foreign.certify_server("elsewhere.example")
    assert "Hostname mismatch" in shaken(other, context(authority_of(other)))


def authority_of(folder: Path) -> Tls:
    """What a client that trusts a directory's authority has."""
    return Tls(str(folder / "tls/ca.crt"))


def test_when_the_authority_ends_can_be_read_by_anybody(
    authority: Authority, tmp_path: Path
) -> None:
    """The collector is not its owner; a folder without one has no end."""
    (end,) = [one for one in authority.expiries() if one.what == "certificate authority"]
    now = dt.datetime(2026, 11, 29)
    assert (end.until - now).days == days_of_authority(tmp_path / "broker", now)
    assert days_of_authority(tmp_path, now) is None
