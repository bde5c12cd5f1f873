"""Whether new authorities are the city's: an authority that this router trusts already vouches.

A witness is a certificate for a name that follows from the edition and the authorities. A TLS
handshake in memory checks it, as every connection checks the broker's: no cryptography of our own.
Another one checks the router's own certificate, as the city's broker will.

Rule: a broker without an authority's key can prove nothing.
Rule: what is only looked at is never written to flash.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from titik_mqtt import trust
from titik_mqtt.endpoint import Tls
from titik_wire.witness import witness_name

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python has no name for
_NOT_YET_VALID: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID


def pem_of_key(der: str) -> str:
    """Of base64 of DER."""
    return f"-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n"


def pem_of(der: bytes) -> str:
    """Of a certificate."""
    return ssl.DER_cert_to_PEM_cert(der)


def is_proved(
    ca_file: str, edition: int, authorities: Sequence[bytes], certificate: str, key: str
) -> bool:
    """`certificate` and `key`: the witness, in PEM. `ca_file`: what is trusted already."""
    try:
        client = trust.context(Tls(ca_file))
        client.hostname_checks_common_name = False
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load(server, certificate + key)
        return _shake(client, server, witness_name(edition, authorities))
    except OSError:  # ssl.SSLError is one
        return False


def is_ours(
    certificate: str, key_file: str | None, authorities: str | None, ca_file: str | None
) -> bool:
    """Whether a certificate fits our key, is of an authority, and has not ended.

    `authorities`: in PEM, as `certificate` is; None: those in the file. A certificate of tomorrow
    is taken: our clock may be behind.
    """
    try:
        with _as_file(certificate) as path:
            client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
            client.load_cert_chain(path, key_file)
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(path, key_file)
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(ca_file if authorities is None else None, cadata=authorities)
        with_time = server.verify_flags
        server.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
        if not _shake(client, server, None):
            return False
        server.verify_flags = with_time
        return _is_good_now(client, server)
    except OSError:
        return False


def _is_good_now(client: ssl.SSLContext, server: ssl.SSLContext) -> bool:
    try:
        return _shake(client, server, None)
    except ssl.SSLCertVerificationError as error:
        return error.verify_code == _NOT_YET_VALID


def _load(server: ssl.SSLContext, pem: str) -> None:
    with _as_file(pem) as path:
        server.load_cert_chain(path)


@contextmanager
def _as_file(pem: str) -> Iterator[str]:
    """OpenSSL reads files alone; nothing of this is secret."""
    descriptor, path = tempfile.mkstemp()
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(pem)
        yield path
    finally:
        os.unlink(path)


def _shake(client: ssl.SSLContext, server: ssl.SSLContext, name: str | None) -> bool:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    its = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):  # round trips; TLS needs two at most
        done = True
        for side in (ours, its):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                done = False
        if done:
            return True
    return False
