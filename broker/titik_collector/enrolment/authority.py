"""The city's own certificate authority: who is a router, and who is the broker.

    ca/ca.key  ca/issued/<serial>.crt  ca/revoked      root's alone
    tls/ca.crt  tls/server.crt  tls/crl.pem            mosquitto's, readable
    tls/next.crt  ca/next.key                          of the authority that comes after it
    tls/server.key                                     mosquitto's alone

Rule: a key is readable by its owner alone from its first byte; a router's key is in its bundle and
nowhere else.
Rule: an authority that certified somebody is never made again: that would cut everybody off.
Rule: a revocation is in two files, revoked and crl.pem, and holds while one of them has it.
Rule: ca.crt has the city's authority first, and behind it the one before, while some still log in
by it. crl.pem has a list of each: OpenSSL lets no one in whose authority has none.
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
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from titik_collector.config.model import CERT_DAYS
from titik_collector.enrolment import signing
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replace_file
from titik_collector.languages.codes import marked
from titik_collector.wording.mendable import Mendable
from titik_collector.wording.sentence import Sentence
from titik_mqtt.endpoint import LOOPBACK

ROUTER_DAYS = 30 * 365
SERVER_DAYS = 3 * 365
SERVER_RENEW_DAYS = 2 * 365  # renewed when less is left, by a weekly timer
LIST_RENEW_DAYS = 9 * 365  # the same for the list
RENEW = "titik broker renew"

# Behind a certificate, as PEM allows: what its router was given when it was enrolled.
_TRUSTS = "trusts "
_INSTALLED = "installed "  # where it was signed again

_Read = TypeVar("_Read")
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
    def has_key(self) -> bool:
        """Whether the key that is here is its own."""
        try:
            self._key()
        except AuthorityError:
            return False
        return True

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
        """What routers and engineers trust: what the broker does, and what comes after it."""
        following = self._tls / "next.crt"
        beside = following.read_text() if following.exists() else ""
        return _read(self.ca_file).decode() + beside

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
        certificate, key = signing.new_authority(name)
        (self._ca / "revoked").touch(0o600)
        replace_file(self._ca / "ca.key", key)
        # Last: with it, all is there.
        replace_file(self._tls / "ca.crt", certificate, self._readable())
        return True

    def certify_server(self, host: str) -> None:
        """A new key and certificate of the broker, for a DNS name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(host))]
        except ValueError:
            names = [x509.DNSName(host)]
        local = x509.IPAddress(ipaddress.ip_address(LOOPBACK))  # tools on this machine
        certificate = signing.signed(
            self._certificate(),
            self._key(),
            host,
            key.public_key(),
            SERVER_DAYS,
            ExtendedKeyUsageOID.SERVER_AUTH,
            [*names, local],
        )
        replace_file(self._tls / "server.key", signing.key_pem(key), self._its)
        replace_file(self._tls / "server.crt", signing.pem(certificate), self._readable())

    def hand_over(self) -> None:
        """Make the server's files mosquitto's, whatever user put them there."""
        later = [one for one in ("next.crt", "handover.json") if (self._tls / one).exists()]
        for name in ("ca.crt", "server.crt", "server.key", *later):
            whose = self._its if name.endswith(".key") else self._readable()
            os.chown(self._tls / name, whose.uid, whose.gid)
            (self._tls / name).chmod(whose.mode)

    def certify_router(self, router: str) -> tuple[str, str]:
        """A new certificate and key, as PEM; no one else keeps the key."""
        key = ec.generate_private_key(ec.SECP256R1())
        trusts = self.given()
        return self._issue(router, key.public_key(), trusts), signing.key_pem(key)

    def given(self) -> tuple[str, ...]:
        """Fingerprints of what a router is given to trust when it is enrolled."""
        return tuple(signing.fingerprint(one) for one in self._known())

    def certify_again(self, one: Issued) -> str:
        """A new certificate for the key that a router has, as PEM."""
        public = signing.public_key(self.certificate_of(one))
        trusts = tuple(sorted(self.trusted_by(one)))
        return self._issue(one.router, public, trusts, self.installed(one))

    def trusted_by(self, one: Issued) -> frozenset[str]:
        """Fingerprints of the authorities that came with the router's key, as far as is known."""
        return frozenset(self._noted(one, _TRUSTS))

    def installed(self, one: Issued) -> str:
        """The fingerprint of the certificate that came with the router's key."""
        found = [*self._noted(one, _INSTALLED), signing.fingerprint(self.certificate_of(one))]
        return found[0]

    def _noted(self, one: Issued, what: str) -> list[str]:
        lines = _read(self._issued_file(one.serial)).decode().splitlines()
        return [line[len(what) :] for line in lines if line.startswith(what)]

    def _issue(
        self,
        router: str,
        public: ec.EllipticCurvePublicKey,
        trusts: tuple[str, ...] = (),
        installed: str | None = None,
    ) -> str:
        use = ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = signing.signed(
            self._certificate(), self._key(), router, public, ROUTER_DAYS, use, []
        )
        noted = "".join(f"{_TRUSTS}{one}\n" for one in trusts)
        noted += "" if installed is None else f"{_INSTALLED}{installed}\n"
        replace_file(self._issued_file(certificate.serial_number), signing.pem(certificate) + noted)
        return signing.pem(certificate)

    def forget(self, pem: str) -> None:
        """A certificate whose key nobody got."""
        serial = x509.load_pem_x509_certificate(pem.encode()).serial_number
        self._issued_file(serial).unlink(missing_ok=True)

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

        `but_newest`: those of its newest key stay, for one that was signed again comes later.

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
            gone = (
                [one for one in good if not self._is_of_key(one, good[-1])] if but_newest else good
            )
            self._write_revoked(self._revoked() | {one.serial: signing.now() for one in gone})
            if any(map(self._is_unlistable, gone)):
                print(
                    f"warning: {router}: a revoked certificate is of the authority before, whose"
                    " key is not here to list it, so its key still opens the broker to this name"
                    " until: titik broker authority forget",
                    file=sys.stderr,
                )
        return len(gone)

    def _is_unlistable(self, one: Issued) -> bool:
        """Whether no list that we can write has it."""
        certificate, others = self.certificate_of(one), self.trusted()[1:]
        is_before = any(signing.is_signed(certificate, by) for by in others)
        return is_before and not (self._ca / "old.key").exists()

    def _is_of_key(self, one: Issued, other: Issued) -> bool:
        return signing.is_same_key(self.certificate_of(one), self.certificate_of(other))

    def revoked(self) -> frozenset[int]:
        """Serials that either file has."""
        return frozenset(self._revoked())

    def noted(self) -> frozenset[int]:
        """Serials that `revoked` has, which on a twin may be behind crl.pem."""
        return frozenset(load(self._ca / "revoked", signing.entries))

    def write_crl(self) -> None:
        """The revocation list, valid for CRL_DAYS from now; `revoked` gets back what it lost."""
        with locked(self._directory):
            self._write_revoked(self._revoked())

    def renew(self, host: str, only_due: bool = False) -> list[str]:
        """The list, and the server's certificate when it is time; what was done.

        `only_due`: the list only when it is time too. mosquitto has to read again what was renewed.
        2.0.11 crashes on that if a router's session waits, and in a large city one always does.
        """
        done = []
        with locked(self._directory):
            if not only_due or self._list_is_due():
                self.write_crl()
                done.append(f"revocation list renewed for {signing.CRL_DAYS} days")
            if self._server_is_due():
                self.certify_server(host)
                done.append(f"server certificate renewed for {SERVER_DAYS} days")
        return done

    def expiries(self) -> Iterator[Expiry]:
        """Everything that ends, of revoked certificates nothing."""
        yield Expiry(
            marked("certificate authority"),
            signing.ends(self._certificate()),
            "titik broker authority switch",
        )
        yield Expiry(marked("server certificate"), signing.ends(self._server_certificate()), RENEW)
        yield Expiry(marked("revocation list"), signing.naive(self._crl(), "next_update"), RENEW)
        for one in newest(self.issued()):
            remedy = f"titik router renew {one.router}"
            what = Sentence(marked("certificate of router {router}"), router=one.router)
            yield Expiry(what, one.until, remedy)

    def warnings(self, now: dt.datetime | None = None) -> list[str]:
        """What ends within CERT_DAYS or does not belong together, with the remedy."""
        found = self.misfits()
        if not (self._tls / "next.crt").exists():
            found.append(
                marked(
                    "there is no next authority, so a lost ca.key is a visit to every router: titik"
                    " broker authority next"
                )
            )
        now = now or signing.now()
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
        others = self._of_another()
        if not any(signing.is_signed(self._server_certificate(), one) for one in self.trusted()):
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
        if not crl.is_signature_valid(signing.public_key(self._certificate())):
            text = marked(
                "{file}: is not signed by {authority}, so every router is kept out; make it:"
                " {remedy}"
            )
            files = {"file": str(self._tls / "crl.pem"), "authority": str(self._tls / "ca.crt")}
            yield Sentence(text, **files, remedy=remedy)
        if signing.listed(crl).keys() != load(self._ca / "revoked", signing.entries).keys():
            text = marked(
                "{file} and {other} do not list the same certificates; to give each what the other"
                " has: {remedy}"
            )
            files = {"file": str(self._ca / "revoked"), "other": str(self._tls / "crl.pem")}
            yield Sentence(text, **files, remedy=remedy)

    def _of_another(self) -> list[str]:
        """The routers that another authority certified: then this one may be the wrong one."""
        trusted, (found, _) = self._known(), self._read_issued()
        return [
            one.router
            for one in newest(found)
            if not any(signing.is_signed(self.certificate_of(one), by) for by in trusted)
        ]

    def _known(self) -> tuple[x509.Certificate, ...]:
        """With what comes after it, which may have signed before it came in force."""
        following = self._tls / "next.crt"
        more = (load(following, signing.an_authority),) if following.exists() else ()
        return (*self.trusted(), *more)

    def trusted(self) -> tuple[x509.Certificate, ...]:
        """By the broker: the city's authority, and perhaps the one before."""
        return load(self.ca_file, signing.authorities)

    def _read_issued(self) -> tuple[list[Issued], list[AuthorityError]]:
        """As `issued`, and what is damaged."""
        revoked = self._revoked()
        found, damaged = [], []
        for file in self._issued_files():
            try:
                router, serial, until = load(file, signing.named)
                if file != self._issued_file(serial):
                    raise _amiss(marked("{file}: is of another serial number; {remedy}"), file)
            except AuthorityError as error:
                damaged.append(error)
                continue
            entry = Issued(router, serial, until, serial in revoked)
            found.append((router, file.stat().st_mtime_ns, entry))
        return [entry for _, _, entry in sorted(found, key=lambda one: one[:2])], damaged

    def _list_is_due(self) -> bool:
        try:
            left = signing.naive(self._crl(), "next_update") - signing.now()
            return left.days < LIST_RENEW_DAYS or any(self._unlisted())
        except AuthorityError:  # it is damaged or gone
            return True

    def _server_is_due(self) -> bool:
        try:
            self._server_key()
        except AuthorityError:
            return True
        server, trusted = self._server_certificate(), self.trusted()
        if not any(signing.is_signed(server, one) for one in trusted) and not self._of_another():
            return True  # it is damaged, though it parses
        # Of the authority before, it stays as long as it can: some may trust no other yet.
        is_old = len(trusted) > 1 and signing.is_signed(server, trusted[1])
        return (signing.ends(server) - signing.now()).days < (
            CERT_DAYS if is_old else SERVER_RENEW_DAYS
        )

    def _write_revoked(self, revoked: dict[int, dt.datetime]) -> None:
        lists = signing.crl_pem(revoked, self._certificate(), self._key())
        lists += "".join(self._other_lists(revoked))
        lines = "".join(f"{serial:x} {at.isoformat()}\n" for serial, at in revoked.items())
        replace_file(self._ca / "revoked", lines)
        replace_file(self._tls / "crl.pem", lists, self._readable())

    def _other_lists(self, revoked: dict[int, dt.datetime]) -> Iterator[str]:
        """Of the authority before; without its key the last one, which cannot be written again."""
        file = self._ca / "old.key"
        for authority in self.trusted()[1:]:
            if file.exists():
                yield signing.crl_pem(revoked, authority, load(file, signing.a_private_key))
                continue
            try:
                lists = load(self._tls / "crl.pem", signing.lists)
            except AuthorityError:
                continue
            for one in lists:
                if one.issuer == authority.subject:
                    yield one.public_bytes(serialization.Encoding.PEM).decode()

    def _server_key(self) -> signing.Key:
        file, certificate = self._tls / "server.key", self._server_certificate()
        key = load(file, signing.a_private_key)
        if not signing.is_pair(key, certificate):
            raise _amiss(marked("{file}: is not the key of server.crt; {remedy}"), file)
        return key

    def _key(self) -> signing.Key:
        file = self._ca / "ca.key"
        key = load(file, signing.a_private_key)
        following = self._ca / "next.key"
        if not signing.is_pair(key, self._certificate()) and following.exists():
            key = load(following, signing.a_private_key)  # a switch was cut short; it is in force
        if not signing.is_pair(key, self._certificate()):
            text = marked("{file}: is not the key of {authority}; {remedy}")
            files = {"file": str(file), "authority": str(self._tls / "ca.crt")}
            remedy = _bring_back_pair(self._directory)
            raise AuthorityError(Sentence(text, **files, remedy=remedy))
        return key

    def _certificate(self) -> x509.Certificate:
        return load(self._tls / "ca.crt", signing.an_authority)

    def _server_certificate(self) -> x509.Certificate:
        return load(self._tls / "server.crt", signing.a_certificate)

    def _crl(self) -> x509.CertificateRevocationList:
        """Of the city's authority, wherever in the file it stands."""
        lists, subject = load(self._tls / "crl.pem", signing.lists), self._certificate().subject
        return next((one for one in lists if one.issuer == subject), lists[0])

    def certificate_of(self, one: Issued) -> x509.Certificate:
        """What was signed."""
        return load(self._issued_file(one.serial), signing.a_certificate)

    def _issued_file(self, serial: int) -> Path:
        return self._ca / "issued" / f"{serial:x}.crt"

    def _issued_files(self) -> Iterator[Path]:
        return (self._ca / "issued").glob("*.crt")

    def _revoked(self) -> dict[int, dt.datetime]:
        """What either file has: one that was cut still parses, and would let somebody in again."""
        known = load(self._ca / "revoked", signing.entries)
        try:
            return signing.listed_in(load(self._tls / "crl.pem", signing.lists)) | known
        except AuthorityError:  # as before it was made first; a check reports it
            return known

    def _readable(self) -> Owner:
        return Owner(-1, self._its.gid, 0o644)


def revoked_in(revoked: bytes, crl: bytes) -> frozenset[int]:
    """Serials that either file of another broker has; ValueError if one is damaged."""
    try:
        return frozenset(signing.entries(revoked)) | frozenset(
            signing.listed_in(signing.lists(crl))
        )
    except signing.DAMAGED as error:
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


def load(file: Path, loader: Callable[[bytes], _Read]) -> _Read:
    """AuthorityError if it is missing or damaged."""
    try:
        return loader(_read(file))
    except signing.DAMAGED as error:
        raise _amiss(marked("{file}: is damaged; {remedy}"), file) from error


def _amiss(text: str, file: Path) -> AuthorityError:
    return AuthorityError(Sentence(text, file=str(file), remedy=_remedy(file)))


def newest(issued: list[Issued]) -> list[Issued]:
    """What each router logs in with."""
    return list({one.router: one for one in issued if not one.revoked}.values())


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
            f"echo {file.stem} {signing.now().isoformat()} >>{directory / 'ca' / 'revoked'};"
            f" rm {file};"
            f" titik broker renew {directory}"
        )
        return Sentence(text, way=_from_backup(directory, name), commands=commands)
    if name == "ca/ca.key" and (directory / "tls" / "next.crt").exists():
        text = marked("{way}; if there is none, go on with the next authority: {command}")
        way = _from_backup(directory, name)
        return Sentence(text, way=way, command="titik broker authority switch")
    return bring_back(directory, name)


def days_of_authority(directory: Path, now: dt.datetime) -> int | None:
    """Until the city's authority ends, whose certificate anybody may read; None: it cannot be."""
    try:
        return (signing.ends(load(directory / "tls" / "ca.crt", signing.an_authority)) - now).days
    except AuthorityError:
        return None
