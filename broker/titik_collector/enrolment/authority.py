"""The city's own certificate authority: who is a router, and who is the broker.

    ca/ca.key  ca/issued/<serial>.crt  ca/revoked      root's alone
    tls/ca.crt  tls/server.crt  tls/crl.pem            mosquitto's, readable
    tls/server.key                                     mosquitto's alone

Rule: a key is readable by its owner alone from its first byte; a router's key is in its bundle and
nowhere else.
Rule: an authority that certified somebody is never made again: that would cut everybody off.
Rule: a revocation is in two files, revoked and crl.pem, and holds while one of them has it.
Rule: everything is valid from EPOCH on, because a router's clock may be years behind.
Rule: lifetimes outlast routers that no one visits. The server's certificate and the revocation
list are renewed by a timer long before they expire, and no router notices.
"""

import datetime as dt
import ipaddress
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from titik_collector.config.model import CERT_DAYS
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replace_file
from titik_collector.languages.codes import marked
from titik_collector.wording.mendable import Mendable
from titik_collector.wording.sentence import Sentence
from titik_mqtt.endpoint import LOOPBACK

EPOCH = dt.datetime(2020, 1, 1)  # before any firmware that the agent runs on was built
CA_DAYS = 40 * 365
ROUTER_DAYS = 30 * 365
SERVER_DAYS = 3 * 365
SERVER_RENEW_DAYS = 2 * 365  # renewed when less is left, by a weekly timer
CRL_DAYS = 10 * 365  # renewed every week; a list that expired would lock every router out
RENEW = "titik broker renew"

Key = ec.EllipticCurvePrivateKey
_Read = TypeVar("_Read")
# What cryptography raises of bytes that are no certificate, key or list, or none that we made.
_DAMAGED = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion)
SIGNED = ("server.crt", "server.key", "crl.pem")  # what the authority can make again


class AuthorityError(Mendable):
    """A file of the authority is missing, damaged or another's; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A router's certificate."""

    router: str
    serial: int
    until: dt.datetime
    revoked: bool


@dataclass(frozen=True, slots=True)
class Expiry:
    """Something that ends."""

    what: str
    until: dt.datetime
    remedy: str

    @property
    def renewed(self) -> bool:
        """Whether the timer renews it."""
        return self.remedy == RENEW

    def days(self, now: dt.datetime) -> int:
        """How many are left."""
        return (self.until - now).days


class Authority:
    """The authority in a broker's directory; `make` it once."""

    def __init__(self, directory: Path, its: Owner) -> None:
        """`its` is mosquitto's account."""
        self._directory = directory
        self._ca = directory / "ca"
        self._tls = directory / "tls"
        self._its = its

    @property
    def begun(self) -> bool:
        """Whether somebody may trust it or be certified by it."""
        certificates = (self._tls / "ca.crt", self._tls / "server.crt")
        return any(one.exists() for one in certificates) or any(self._issued_files())

    @property
    def can_sign(self) -> bool:
        """Whether its key is here; an operator may keep it elsewhere."""
        return (self._ca / "ca.key").exists()

    @property
    def has_server(self) -> bool:
        """Whether the broker has its certificate and key."""
        return all((self._tls / name).exists() for name in ("server.crt", "server.key"))

    @property
    def ca_file(self) -> Path:
        """Where the authority's own certificate lies, for anybody to read."""
        return self._tls / "ca.crt"

    @property
    def ca_pem(self) -> str:
        """What routers and engineers trust."""
        return _read(self.ca_file).decode()

    def check(self) -> None:
        """AuthorityError unless it can certify and revoke."""
        self._key()
        self._revoked()

    def make(self, name: str) -> bool:
        """The authority's key and certificate; False if they were there already."""
        for folder, mode in ((self._ca, 0o700), (self._ca / "issued", 0o700), (self._tls, 0o755)):
            folder.mkdir(mode=mode, exist_ok=True)
            folder.chmod(mode)
        if self.begun:
            self.check()
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        certificate = (
            _builder(subject, subject, key.public_key(), CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        (self._ca / "revoked").touch(0o600)
        replace_file(self._ca / "ca.key", _key_pem(key))
        # Last: with it, all is there.
        replace_file(self._tls / "ca.crt", _pem(certificate), self._readable())
        return True

    def certify_server(self, host: str) -> None:
        """A new key and certificate of the broker, for a DNS name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(host))]
        except ValueError:
            names = [x509.DNSName(host)]
        local = x509.IPAddress(ipaddress.ip_address(LOOPBACK))  # tools on this machine
        certificate = self._sign(
            host, key, SERVER_DAYS, ExtendedKeyUsageOID.SERVER_AUTH, [*names, local]
        )
        replace_file(self._tls / "server.key", _key_pem(key), self._its)
        replace_file(self._tls / "server.crt", _pem(certificate), self._readable())

    def hand_over(self) -> None:
        """Make the server's files mosquitto's, whatever user put them there."""
        for name in ("ca.crt", "server.crt", "server.key"):
            whose = self._its if name.endswith(".key") else self._readable()
            os.chown(self._tls / name, whose.uid, whose.gid)
            (self._tls / name).chmod(whose.mode)

    def certify_router(self, router: str) -> tuple[str, str]:
        """A new certificate and key, as PEM; no one else keeps the key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(router, key, ROUTER_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH, [])
        file = self._issued_file(certificate.serial_number)
        replace_file(file, _pem(certificate))
        return _pem(certificate), _key_pem(key)

    def issued(self) -> list[Issued]:
        """Every router's certificates, by name, the oldest first; none may be damaged."""
        found, damaged = self._read_issued()
        if damaged:
            raise damaged[0]
        return found

    def readable(self) -> list[Issued]:
        """As `issued`, without what is damaged."""
        return self._read_issued()[0]

    def revoke(self, router: str, but_newest: bool = False) -> int:
        """Revoke a router's certificates and write the list; how many they were.

        A damaged certificate of another lets no one in; AuthorityError if it may be the only one.
        """
        with locked(self._directory):
            self.check()  # before it is written down as revoked
            found, damaged = self._read_issued()
            good = [one for one in found if one.router == router and not one.revoked]
            if damaged and not good:
                raise damaged[0]
            for error in damaged:
                print(f"warning: it may be of {router}: {error}", file=sys.stderr)
            gone = good[:-1] if but_newest else good
            self._write_revoked(self._revoked() | {one.serial: _now() for one in gone})
        return len(gone)

    def revoked(self) -> frozenset[int]:
        """Serials that either file has."""
        return frozenset(self._revoked())

    def noted(self) -> frozenset[int]:
        """Serials that `revoked` has, which on a twin may be behind crl.pem."""
        return frozenset(_load(self._ca / "revoked", _entries))

    def write_crl(self) -> None:
        """The revocation list, valid for CRL_DAYS from now; `revoked` gets back what it lost."""
        with locked(self._directory):
            self._write_revoked(self._revoked())

    def renew(self, host: str) -> list[str]:
        """What the timer does: the list always, the server's certificate when it is time."""
        with locked(self._directory):
            self.write_crl()
            done = [f"revocation list renewed for {CRL_DAYS} days"]
            if self._server_is_due():
                self.certify_server(host)
                done.append(f"server certificate renewed for {SERVER_DAYS} days")
        return done

    def expiries(self) -> Iterator[Expiry]:
        """Everything that ends, of revoked certificates nothing."""
        yield Expiry(
            marked("certificate authority"),
            _until(self._certificate()),
            marked("make a new city CA"),
        )
        yield Expiry(marked("server certificate"), _until(self._server_certificate()), RENEW)
        yield Expiry(marked("revocation list"), _naive(self._crl(), "next_update"), RENEW)
        for one in _newest(self.issued()):
            remedy = f"titik router rotate {one.router}"
            what = Sentence(marked("certificate of router {router}"), router=one.router)
            yield Expiry(what, one.until, remedy)

    def warnings(self, now: dt.datetime | None = None) -> list[str]:
        """What ends within CERT_DAYS or does not belong together, with the remedy."""
        found = self.misfits()
        now = now or _now()
        ends = marked("{what} expires in {days} days: {remedy}")
        ended = marked("{what} expired {days} days ago: {remedy}")
        for one in self.expiries():
            left, gone = one.days(now), (now - one.until).days
            if left < CERT_DAYS:
                text, days = (ends, left) if left >= 0 else (ended, gone)
                found.append(Sentence(text, what=one.what, days=days, remedy=one.remedy))
        return found

    def misfits(self) -> list[str]:
        """What does not belong together, with the remedy; AuthorityError where it is missing."""
        return [*self._uncertified(), *self._unlisted()]

    def _uncertified(self) -> Iterator[str]:
        """What the broker cannot start with, and who would be kept out."""
        for key in [self._server_key, *[self._key] * self.can_sign]:
            try:
                key()
            except AuthorityError as error:
                yield error.text
        authority = self._certificate()
        others = self._of_another()
        if not _is_signed(self._server_certificate(), authority):
            file = self._tls / "server.crt"
            text = marked(
                "{file}: is not signed by {authority}, so who trusts the one refuses the other;"
                " {remedy}"
            )
            remedy = _bring_back_pair(self._directory) if others else _remedy(file)
            yield Sentence(text, file=str(file), authority=str(self._tls / "ca.crt"), remedy=remedy)
        if others:
            text = marked(
                "the certificates of {number} routers, such as {router}, are of another authority,"
                " so they are kept out; {remedy}; or visit each: titik router rotate NAME"
            )
            remedy = _bring_back_pair(self._directory)
            yield Sentence(text, number=len(others), router=others[0], remedy=remedy)

    def _unlisted(self) -> Iterator[str]:
        """Where the two files that have the revocations are not the same."""
        crl, remedy = self._crl(), f"titik broker renew {self._directory}"
        if not crl.is_signature_valid(_public(self._certificate())):
            text = marked(
                "{file}: is not signed by {authority}, so every router is kept out; make it:"
                " {remedy}"
            )
            files = {"file": str(self._tls / "crl.pem"), "authority": str(self._tls / "ca.crt")}
            yield Sentence(text, **files, remedy=remedy)
        if _listed(crl).keys() != _load(self._ca / "revoked", _entries).keys():
            text = marked(
                "{file} and {other} do not list the same certificates; to give each what the other"
                " has: {remedy}"
            )
            files = {"file": str(self._ca / "revoked"), "other": str(self._tls / "crl.pem")}
            yield Sentence(text, **files, remedy=remedy)

    def _of_another(self) -> list[str]:
        """The routers that another authority certified: then this one may be the wrong one."""
        authority, (found, _) = self._certificate(), self._read_issued()
        return [one.router for one in _newest(found) if not _is_signed(self._of(one), authority)]

    def _read_issued(self) -> tuple[list[Issued], list[AuthorityError]]:
        """As `issued`, and what is damaged."""
        revoked = self._revoked()
        found, damaged = [], []
        for file in self._issued_files():
            try:
                router, serial, until = _load(file, _named)
                if file != self._issued_file(serial):
                    raise _amiss(marked("{file}: is of another serial number; {remedy}"), file)
            except AuthorityError as error:
                damaged.append(error)
                continue
            entry = Issued(router, serial, until, serial in revoked)
            found.append((router, file.stat().st_mtime_ns, entry))
        return [entry for _, _, entry in sorted(found, key=lambda one: one[:2])], damaged

    def _server_is_due(self) -> bool:
        try:
            self._server_key()
        except AuthorityError:
            return True
        server = self._server_certificate()
        if not _is_signed(server, self._certificate()) and not self._of_another():
            return True  # it is damaged, though it parses
        return (_until(server) - _now()).days < SERVER_RENEW_DAYS

    def _sign(
        self,
        name: str,
        key: Key,
        days: int,
        use: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
    ) -> x509.Certificate:
        issuer = self._certificate()
        builder = (
            _builder(_name(name), issuer.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(_by(issuer), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key(), hashes.SHA256())

    def _write_revoked(self, revoked: dict[int, dt.datetime]) -> None:
        pem = self._crl_pem(revoked)
        lines = "".join(f"{serial:x} {at.isoformat()}\n" for serial, at in revoked.items())
        replace_file(self._ca / "revoked", lines)
        replace_file(self._tls / "crl.pem", pem, self._readable())

    def _crl_pem(self, revoked: dict[int, dt.datetime]) -> str:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate().subject)
            .last_update(EPOCH)  # as with certificates: the clock that checks it may be behind
            .next_update(_now() + dt.timedelta(days=CRL_DAYS))
            .add_extension(_by(self._certificate()), critical=False)
        )
        for serial, at in revoked.items():
            builder = builder.add_revoked_certificate(_entry(serial, at))
        crl = builder.sign(self._key(), hashes.SHA256())
        return crl.public_bytes(serialization.Encoding.PEM).decode()

    def _server_key(self) -> Key:
        file, certificate = self._tls / "server.key", self._server_certificate()
        key = _load(file, _private_key)
        if not _is_pair(key, certificate):
            raise _amiss(marked("{file}: is not the key of server.crt; {remedy}"), file)
        return key

    def _key(self) -> Key:
        file = self._ca / "ca.key"
        key = _load(file, _private_key)
        if not _is_pair(key, self._certificate()):
            text = marked("{file}: is not the key of {authority}; {remedy}")
            files = {"file": str(file), "authority": str(self._tls / "ca.crt")}
            remedy = _bring_back_pair(self._directory)
            raise AuthorityError(Sentence(text, **files, remedy=remedy))
        return key

    def _certificate(self) -> x509.Certificate:
        return _load(self._tls / "ca.crt", _authority)

    def _server_certificate(self) -> x509.Certificate:
        return _load(self._tls / "server.crt", _certificate)

    def _crl(self) -> x509.CertificateRevocationList:
        return _load(self._tls / "crl.pem", _list)

    def _of(self, one: Issued) -> x509.Certificate:
        return _load(self._issued_file(one.serial), _certificate)

    def _issued_file(self, serial: int) -> Path:
        return self._ca / "issued" / f"{serial:x}.crt"

    def _issued_files(self) -> Iterator[Path]:
        return (self._ca / "issued").glob("*.crt")

    def _revoked(self) -> dict[int, dt.datetime]:
        """What either file has: one that was cut still parses, and would let somebody in again."""
        known = _load(self._ca / "revoked", _entries)
        try:
            return _listed(self._crl()) | known
        except AuthorityError:  # as before it was made first; a check reports it
            return known

    def _readable(self) -> Owner:
        return Owner(-1, self._its.gid, 0o644)


def revoked_in(revoked: bytes, crl: bytes) -> frozenset[int]:
    """Serials that either file of another broker has; ValueError if one is damaged."""
    try:
        return frozenset(_entries(revoked)) | frozenset(_listed(_list(crl)))
    except _DAMAGED as error:
        raise ValueError("its revocations are damaged") from error


def bring_back(directory: Path, *names: str) -> str:
    """The remedy where the only copy is in a backup: names are within the directory."""
    text = marked(
        "{way}; if there is none, move {folder} away and init again, which cuts off every router"
        " and engineer"
    )
    return Sentence(text, way=_from_backup(directory, *names), folder=str(directory))


def _from_backup(directory: Path, *names: str) -> str:
    members = " ".join(f"broker/{name}" for name in names)
    text = marked("bring back from a backup: {command}, then {init}")
    command = f"tar -xzf BACKUP -C {directory} --strip-components=1 {members}"
    return Sentence(text, command=command, init=f"titik broker init {directory}")


def _bring_back_pair(directory: Path) -> str:
    return bring_back(directory, "ca/ca.key", "tls/ca.crt")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise _amiss(marked("{file}: is missing; {remedy}"), file) from error


def _load(file: Path, loader: Callable[[bytes], _Read]) -> _Read:
    """AuthorityError if it is missing or damaged."""
    try:
        return loader(_read(file))
    except _DAMAGED as error:
        raise _amiss(marked("{file}: is damaged; {remedy}"), file) from error


def _amiss(text: str, file: Path) -> AuthorityError:
    return AuthorityError(Sentence(text, file=str(file), remedy=_remedy(file)))


def _private_key(pem: bytes) -> Key:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, Key):
        raise ValueError("a key of another kind")
    return key


def _certificate(pem: bytes) -> x509.Certificate:
    """One of ours; it is parsed as it is asked, so all that is asked later is asked here."""
    one = x509.load_pem_x509_certificate(pem)
    if not isinstance(one.public_key(), ec.EllipticCurvePublicKey):
        raise ValueError("a key of another kind")
    if one.signature_hash_algorithm is None:
        raise ValueError("a signature of another kind")
    _ = one.subject, one.issuer, _until(one)
    return one


def _authority(pem: bytes) -> x509.Certificate:
    """No other vouches for it."""
    one = _certificate(pem)
    if not _is_signed(one, one):
        raise ValueError("not signed by itself")
    return one


def _list(pem: bytes) -> x509.CertificateRevocationList:
    """As `_certificate`."""
    crl = x509.load_pem_x509_crl(pem)
    if crl.signature_hash_algorithm is None or _naive(crl, "next_update") is None:
        raise ValueError("a list of another kind")
    _listed(crl)
    return crl


def _named(pem: bytes) -> tuple[str, int, dt.datetime]:
    """Whose a certificate is, its serial number and until when it is valid."""
    one = _certificate(pem)
    (name,) = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value), one.serial_number, _until(one)


def _newest(issued: list[Issued]) -> list[Issued]:
    """What each router logs in with."""
    return list({one.router: one for one in issued if not one.revoked}.values())


def _entries(text: bytes) -> dict[int, dt.datetime]:
    """When each serial number was revoked."""
    pairs = (line.split() for line in text.decode().split("\n") if line)
    found = {int(serial, 16): dt.datetime.fromisoformat(at) for serial, at in pairs}
    for serial, at in found.items():
        _entry(serial, at)
    return found


def _entry(serial: int, at: dt.datetime) -> x509.RevokedCertificate:
    """ValueError if the list could not have it."""
    return x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()


def _listed(crl: x509.CertificateRevocationList) -> dict[int, dt.datetime]:
    """As `_entries`, of mosquitto's copy."""
    return {one.serial_number: _naive(one, "revocation_date") for one in crl}


def _remedy(file: Path) -> str:
    directory = next(one.parent for one in file.parents if one.name in ("ca", "tls"))
    if file.name in SIGNED:
        return Sentence(marked("make it: {command}"), command=f"titik broker renew {directory}")
    name = str(file.relative_to(directory))
    if file.parent.name == "issued":  # whose it is cannot be known, but its number is its name
        text = marked(
            "{way}; if there is none, revoke it: {commands}; then titik router rotate NAME for its"
            " router"
        )
        commands = (
            f"echo {file.stem} {_now().isoformat()} >>{directory / 'ca' / 'revoked'}; rm {file};"
            f" titik broker renew {directory}"
        )
        return Sentence(text, way=_from_backup(directory, name), commands=commands)
    return bring_back(directory, name)


def _is_signed(one: x509.Certificate, authority: x509.Certificate) -> bool:
    assert one.signature_hash_algorithm is not None
    how = ec.ECDSA(one.signature_hash_algorithm)
    if one.issuer != authority.subject:
        return False
    try:
        _public(authority).verify(one.signature, one.tbs_certificate_bytes, how)
    except InvalidSignature:
        return False
    return True


def _is_pair(key: Key, certificate: x509.Certificate) -> bool:
    return key.public_key().public_numbers() == _public(certificate).public_numbers()


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
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
        .not_valid_after(_now() + dt.timedelta(days=days))
    )


def _by(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Whose key signed; Python 3.13 and RFC 5280 want it in all but an authority's own."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(authority))


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def days_of_authority(directory: Path, now: dt.datetime) -> int | None:
    """Until the city's authority ends, whose certificate anybody may read; None: it cannot be."""
    try:
        return (_until(_load(directory / "tls" / "ca.crt", _authority)) - now).days
    except AuthorityError:
        return None


def _until(certificate: x509.Certificate) -> dt.datetime:
    return _naive(certificate, "not_valid_after")


def _naive(one: object, name: str) -> dt.datetime:
    """A date in UTC without a zone, as all releases since 38 have it; since 42 it warns."""
    later: dt.datetime | None = getattr(one, f"{name}_utc", None)
    found: dt.datetime = getattr(one, name) if later is None else later.replace(tzinfo=None)
    return found


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
