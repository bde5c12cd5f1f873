"""What an authority signs: certificates and revocation lists are made, read and compared.

Rule: these are bytes; no file is read or written here.
Rule: everything is valid from EPOCH on, because a router's clock may be years behind.
"""

import datetime as dt

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

EPOCH = dt.datetime(2020, 1, 1)  # before any firmware that the agent runs on was built
CA_DAYS = 40 * 365
CRL_DAYS = 10 * 365  # renewed every year; a list that expired would lock every router out

Key = ec.EllipticCurvePrivateKey
# What cryptography raises of bytes that are no certificate, key or list, or none that we made.
DAMAGED = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion)


def a_private_key(pem: bytes) -> Key:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, Key):
        raise ValueError("a key of another kind")
    return key


def a_certificate(pem: bytes) -> x509.Certificate:
    """One of ours; it is parsed as it is asked, so all that is asked later is asked here."""
    one = x509.load_pem_x509_certificate(pem)
    if not isinstance(one.public_key(), ec.EllipticCurvePublicKey):
        raise ValueError("a key of another kind")
    if one.signature_hash_algorithm is None:
        raise ValueError("a signature of another kind")
    _ = one.subject, one.issuer, ends(one)
    return one


def an_authority(pem: bytes) -> x509.Certificate:
    """No other vouches for it."""
    one = a_certificate(pem)
    if not is_signed(one, one):
        raise ValueError("not signed by itself")
    return one


def authorities(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All of a file; ValueError where one is none, or there is none."""
    return tuple(an_authority(one) for one in _blocks(pem, b"CERTIFICATE"))


def lists(pem: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """As `authorities`."""
    found = tuple(x509.load_pem_x509_crl(one) for one in _blocks(pem, b"X509 CRL"))
    for crl in found:
        if crl.signature_hash_algorithm is None or naive(crl, "next_update") is None:
            raise ValueError("a list of another kind")
        _ = crl.issuer, listed(crl)
    return found


def _blocks(pem: bytes, kind: bytes) -> list[bytes]:
    """What a file in PEM has; all of it, if it has nothing of the kind."""
    end = b"-----END " + kind + b"-----"
    found = [one + end for one in pem.split(end)[:-1]]
    if pem.count(b"-----BEGIN " + kind + b"-----") > len(found):
        raise ValueError("cut short")
    return found or [pem]


def named(pem: bytes) -> tuple[str, int, dt.datetime]:
    """Whose a certificate is, its serial number and until when it is valid."""
    one = a_certificate(pem)
    (name,) = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value), one.serial_number, ends(one)


def entries(text: bytes) -> dict[int, dt.datetime]:
    """When each serial number was revoked."""
    pairs = (line.split() for line in text.decode().split("\n") if line)
    found = {int(serial, 16): dt.datetime.fromisoformat(at) for serial, at in pairs}
    for serial, at in found.items():
        _entry(serial, at)
    return found


def _entry(serial: int, at: dt.datetime) -> x509.RevokedCertificate:
    """ValueError if the list could not have it."""
    return x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()


def listed(crl: x509.CertificateRevocationList) -> dict[int, dt.datetime]:
    """As `entries`, of mosquitto's copy."""
    return {one.serial_number: naive(one, "revocation_date") for one in crl}


def listed_in(
    lists: tuple[x509.CertificateRevocationList, ...],
) -> dict[int, dt.datetime]:
    return {serial: at for one in lists for serial, at in listed(one).items()}


def is_signed(one: x509.Certificate, authority: x509.Certificate) -> bool:
    assert one.signature_hash_algorithm is not None
    how = ec.ECDSA(one.signature_hash_algorithm)
    if one.issuer != authority.subject:
        return False
    try:
        public_key(authority).verify(one.signature, one.tbs_certificate_bytes, how)
    except InvalidSignature:
        return False
    return True


def is_pair(key: Key, certificate: x509.Certificate) -> bool:
    return key.public_key().public_numbers() == public_key(certificate).public_numbers()


def is_same_key(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether two certificates are for one key."""
    return public_key(one).public_numbers() == public_key(other).public_numbers()


def public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(EPOCH)
        .not_valid_after(now() + dt.timedelta(days=days))
    )


def _by(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Whose key signed; Python 3.13 and RFC 5280 want it in all but an authority's own."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key(authority))


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def new_authority(name: str) -> tuple[str, str]:
    """Its certificate and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    made = (
        _builder(_name(name), _name(name), key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    return pem(made), key_pem(key)


def der(certificate: x509.Certificate) -> bytes:
    """As it travels."""
    return certificate.public_bytes(serialization.Encoding.DER)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, as routers report it."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _key_der(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def crl_pem(revoked: dict[int, dt.datetime], by: x509.Certificate, key: Key) -> str:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.subject)
        .last_update(EPOCH)  # as with certificates: the clock that checks it may be behind
        .next_update(now() + dt.timedelta(days=CRL_DAYS))
        .add_extension(_by(by), critical=False)
    )
    for serial, at in revoked.items():
        builder = builder.add_revoked_certificate(_entry(serial, at))
    crl = builder.sign(key, hashes.SHA256())
    return crl.public_bytes(serialization.Encoding.PEM).decode()


def witness(name: str, by: x509.Certificate, by_key: Key) -> tuple[bytes, bytes]:
    """An authority's certificate for a DNS name, and its key, in DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    use = ExtendedKeyUsageOID.SERVER_AUTH
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    return der(signed(by, by_key, "titik", key.public_key(), CA_DAYS, use, names)), _key_der(key)


def signed(
    issuer: x509.Certificate,
    key: Key,
    name: str,
    public: ec.EllipticCurvePublicKey,
    days: int,
    use: x509.ObjectIdentifier,
    names: list[x509.GeneralName],
) -> x509.Certificate:
    builder = (
        _builder(_name(name), issuer.subject, public, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(_by(issuer), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> str:
    """As files have it."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def ends(certificate: x509.Certificate) -> dt.datetime:
    """Until when it is valid, in UTC."""
    return naive(certificate, "not_valid_after")


def naive(one: object, name: str) -> dt.datetime:
    """A date in UTC without a zone, as all releases since 38 have it; since 42 it warns."""
    later: dt.datetime | None = getattr(one, f"{name}_utc", None)
    found: dt.datetime = getattr(one, name) if later is None else later.replace(tzinfo=None)
    return found


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
