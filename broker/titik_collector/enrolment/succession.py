"""One authority after another: the next is trusted before it is needed.

    ca/next.key  tls/next.crt     the next one; its key is best kept away from the machine
    ca/old.key                    of the one before, while routers still log in by it

Rule: a router hears of the next authority while the present one can vouch for it. So a lost
ca.key costs no visit.
Rule: what comes in force is one replacement of tls/ca.crt. Whatever is cut short is finished by the
same command.
Rule: the broker keeps its certificate of the authority before until that is forgotten. Who missed
the next one goes on reporting, and can be named.
Rule: a router's key never leaves it; its certificate is signed again from what was signed before.
"""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from titik_collector.enrolment import handover
from titik_collector.enrolment.authority import Authority, AuthorityError, Issued, load, newest
from titik_collector.enrolment.handover import Handout, Handover, RouterLogin, Voucher
from titik_collector.enrolment.signing import (
    a_private_key,
    an_authority,
    der,
    fingerprint,
    is_pair,
    is_same_key,
    is_signed,
    new_authority,
    pem,
    witness,
)
from titik_collector.files.locks import locked
from titik_collector.files.replace import Owner, replace_file
from titik_wire.witness import witness_name

NEXT = "titik broker authority next"


class Progress(NamedTuple):
    """Routers by how far they have come; each list by name."""

    lack_next: tuple[str, ...]  # trust the next authority not, for all that is known
    by_old: tuple[str, ...]  # log in by the one before
    waited_for: tuple[str, ...]  # did not report yet that they have what was handed over
    in_memory: tuple[str, ...] = ()  # a power cut brings back what was installed, and it takes all
    until_power_cut: tuple[str, ...] = ()  # in memory alone, and it could not take it again
    beyond_reach: tuple[str, ...] = ()  # cannot take it: no one vouches for it, or lets them in


class _IssuedCertificate(NamedTuple):
    """A router's certificate that was not revoked."""

    issued: Issued
    certificate: x509.Certificate


class Succession:
    """The authorities in a broker's folder."""

    def __init__(self, folder: Path, authority: Authority, its: Owner) -> None:
        """`its` is mosquitto's account."""
        self._folder = folder
        self._authority = authority
        self._key_file = folder / "ca" / "ca.key"
        self._next_key = folder / "ca" / "next.key"
        self._old_key = folder / "ca" / "old.key"
        self._next = folder / "tls" / "next.crt"
        self._readable = Owner(-1, its.gid, 0o644)

    @property
    def following(self) -> x509.Certificate | None:
        """The next authority."""
        return load(self._next, an_authority) if self._next.exists() else None

    @property
    def has_next_key(self) -> bool:
        """Whether its key lies beside the present one."""
        return self._next_key.exists()

    @property
    def before(self) -> x509.Certificate | None:
        """The authority before, while the broker lets its routers in."""
        return next(iter(self._authority.trusted()[1:]), None)

    def make_next(self, host: str, replace: bool = False) -> bool:
        """A next authority; False if there is one. `replace`: its key is lost or stolen.

        AuthorityError where the present one could not vouch for it.
        """
        with locked(self._folder):
            self.settle()
            self._need_key()
            if self._next.exists() and not replace:
                return False
            # Another name than the one before: lists are found by it.
            name = f"Titik city CA of {host} {secrets.token_hex(4)}"
            certificate, key = new_authority(name)
            self._next.unlink(missing_ok=True)
            replace_file(self._next_key, key)
            replace_file(self._next, certificate, self._readable)
        return True

    def _need_key(self) -> None:
        """AuthorityError unless the present one can vouch; the next one there is, is the way on."""
        if self.following is None:
            self._authority.check()
        elif not self._authority.has_key:
            wrong = f"is not the key of {self._authority.ca_file}"
            raise AuthorityError(
                f"{self._key_file}: {wrong if self._key_file.exists() else 'is missing'}, so no"
                " router would take another next authority, and the one that there is stays; bring"
                " the key here; where it is lost: titik broker authority switch --next-key FILE"
            )

    def settle(self) -> None:
        """Finish a switch that was cut short after the next one had come in force."""
        present, following = self._authority.trusted()[0], self.following
        if following is None or fingerprint(following) != fingerprint(present):
            return
        if self._next_key.exists():
            self._next_key.replace(self._key_file)
        self._next.unlink()

    def switch(self, host: str, key_file: Path | None = None) -> int:
        """The next authority comes in force; how many routers' keys are signed again.

        Another is made to come after it.
        """
        with locked(self._folder):
            self.settle()
            if self.before is None or self._is_handed_over():  # else it was cut short
                self._come_in_force(self._checked(key_file), key_file)
            self._authority.write_crl()
            count = self._sign_again()
            self.make_next(host)
            self.hand_over()  # last: with it, all is done
            return count

    def _is_handed_over(self) -> bool:
        found = handover.read(self._folder)
        wanted = tuple(fingerprint(one) for one in self._wanted())
        return found is not None and found.prints == wanted

    def _checked(self, key_file: Path | None) -> x509.Certificate:
        following = self.following
        if following is None:
            raise AuthorityError(
                f"{self._next}: there is no next authority, so none can come in force; where ca.key"
                f" is there: {NEXT}; where it is lost, bring it back from a backup"
            )
        if self.before is not None:
            raise AuthorityError(
                "the authority before is still trusted; first: titik broker authority forget"
            )
        file = key_file or self._next_key
        if not file.exists():
            raise AuthorityError(
                f"{file}: is missing; name where it is kept:"
                " titik broker authority switch --next-key FILE"
            )
        if not _is_key_of(file, following):
            raise AuthorityError(f"{file}: is not the key of {self._next}; name the one that is")
        return following

    def _come_in_force(self, following: x509.Certificate, key_file: Path | None) -> None:
        present = self._authority.trusted()[0]
        if key_file is not None:
            replace_file(self._next_key, key_file.read_text())
        if self._authority.has_key:  # another's would sign a list that keeps everybody out
            replace_file(self._old_key, self._key_file.read_text())
        elif not _is_key_of(self._old_key, present):  # it is of a forget that was cut short
            self._old_key.unlink(missing_ok=True)
        both = pem(following) + pem(present)
        replace_file(self._authority.ca_file, both, self._readable)  # from now on it is in force
        self.settle()

    def renew(self, names: Sequence[str] | None = None) -> int:
        """Sign routers' keys again, of all without `names`; how many."""
        with locked(self._folder):
            known = newest(self._authority.readable())
            chosen = [one for one in known if names is None or one.router in names]
            for one in chosen:
                self._authority.certify_again(one)
            self.hand_over()
        return len(chosen)

    def _sign_again(self) -> int:
        """By the present authority, whoever has none of it; how many routers there are."""
        present, known = self._authority.trusted()[0], newest(self._authority.readable())
        for one in known:
            if not is_signed(self._authority.certificate_of(one), present):
                self._authority.certify_again(one)
        return len(known)

    def forget(self, host: str) -> int:
        """Take the authority before out; how many certificates of it are gone."""
        with locked(self._folder):
            self.settle()
            present = self._authority.trusted()[0]
            if self.before is not None:
                self._authority.certify_server(host)
                replace_file(self._authority.ca_file, pem(present), self._readable)
            elif not self._is_half_forgotten():
                raise AuthorityError("there is no authority before to forget")
            self._authority.write_crl()
            gone = 0
            for one in self._authority.readable():
                if not is_signed(self._authority.certificate_of(one), present):
                    (self._folder / "ca" / "issued" / f"{one.serial:x}.crt").unlink()
                    gone += 1
            self.hand_over()
            self._old_key.unlink(missing_ok=True)  # last: with it, all is done
        return gone

    def _is_half_forgotten(self) -> bool:
        """It was cut short after the authority before was out; its key may be lost."""
        if self._old_key.exists():
            return True
        found, wanted = handover.read(self._folder), [fingerprint(one) for one in self._wanted()]
        return (
            found is not None
            and found.prints[0] == wanted[0]
            and not set(found.prints) <= {*wanted}
        )

    def hand_over(self) -> Handover:
        """Write down what routers are to get; who has certificates of one key gets the newest."""
        with locked(self._folder):
            was, wanted = handover.read(self._folder), self._wanted()
            prints = tuple(fingerprint(one) for one in wanted)
            if was is None or was.prints != prints or len(was.vouchers) < self._can_vouch():
                # By the clock, so that it rises even where the file was lost.
                edition = max(time.time_ns() // 1_000_000, 0 if was is None else was.edition + 1)
                wire = [der(one) for one in wanted]
                witnesses = tuple(self._witnesses(witness_name(edition, wire)))
                was = Handover(edition, tuple(map(handover.encoded, wire)), prints, witnesses, {})
            made = was._replace(handouts={one.router: one for one in self._each_handout()})
            handover.write(self._folder, made, self._readable)
        return made

    def enrolled(self, router: str) -> None:
        """It got a new key, and with it all there is."""
        handover.without(self._folder, router, self._readable)

    def _wanted(self) -> tuple[x509.Certificate, ...]:
        """What every router is to trust."""
        following = self.following
        return (*self._authority.trusted(), *(() if following is None else (following,)))

    def _can_vouch(self) -> int:
        """How many of the authorities have their key here."""
        return len(list(self._keys()))

    def _keys(self) -> Iterator[tuple[x509.Certificate, Path]]:
        files = (self._key_file, self._old_key)
        for by, file in zip(self._authority.trusted(), files, strict=False):
            if file.exists():
                yield by, file

    def _witnesses(self, name: str) -> Iterator[Voucher]:
        for by, file in self._keys():
            certificate, key = witness(name, by, load(file, a_private_key))
            yield Voucher(fingerprint(by), handover.encoded(certificate), handover.encoded(key))

    def _each_handout(self) -> Iterator[Handout]:
        """What each router gets; who was enrolled with all of it gets nothing."""
        wanted = {fingerprint(one) for one in self._wanted()}
        for router, its in _held(self._certified()).items():
            first, newest_ = its[0].issued, its[-1].certificate
            if len(its) > 1:
                encoded = handover.encoded(der(newest_))
                yield Handout(router, encoded, fingerprint(newest_))
            elif self._authority.trusted_by(first) != wanted:
                yield Handout(router, None, None)

    def _certified(self) -> list[_IssuedCertificate]:
        """All by which the broker lets routers in, as `readable`."""
        found = [one for one in self._authority.readable() if not one.revoked]
        return [_IssuedCertificate(one, self._authority.certificate_of(one)) for one in found]

    def standing(self, logins: Mapping[str, RouterLogin]) -> Progress:
        """Who has come how far, by what each reported last, or else came with its first file."""
        following, before = self.following, self.before
        after = None if following is None else fingerprint(following)
        wanted = frozenset(fingerprint(one) for one in self._wanted())
        handed = handover.read(self._folder)
        handouts = {} if handed is None else handed.handouts
        vouching = frozenset(() if handed is None else (one.by for one in handed.vouchers))
        certified = self._certified()
        good = frozenset(fingerprint(one.certificate) for one in certified)
        lack: list[str] = []
        by_old: list[str] = []
        waited_for: list[str] = []
        in_memory: list[str] = []
        until_power_cut: list[str] = []
        beyond: list[str] = []

        def can_take(login: RouterLogin) -> bool:
            """Whether the broker lets it in, and one that it trusts vouches."""
            is_let_in = login.certificate is None or login.certificate in good
            return is_let_in and (login.authorities == wanted or bool(login.authorities & vouching))

        for router, its in sorted(_held(certified).items()):
            login = logins.get(router) or self._as_installed(its[0])
            if after is not None and after not in login.authorities:
                lack.append(router)
            if before is not None:
                known = [one.certificate for one in its]
                used = [one for one in known if fingerprint(one) == login.certificate] or known[:1]
                if is_signed(used[0], before):
                    by_old.append(router)
            if not login.is_kept:
                takes_again = can_take(self._as_installed(its[0]))
                (in_memory if takes_again else until_power_cut).append(router)
            handout = handouts.get(router)
            if handout is not None and not handover.uses(login, handout, wanted):
                (waited_for if can_take(login) else beyond).append(router)
        return Progress(*map(tuple, (lack, by_old, waited_for, in_memory, until_power_cut, beyond)))

    def _as_installed(self, one: _IssuedCertificate) -> RouterLogin:
        """What a router came with, which never reported."""
        trusted = self._authority.trusted_by(one.issued)
        if not trusted:
            trusted = frozenset({self._signer(one.certificate)})
        return RouterLogin(self._authority.installed(one.issued), trusted)

    def _signer(self, certificate: x509.Certificate) -> str:
        found = [one for one in self._authority.trusted() if is_signed(certificate, one)]
        return fingerprint((*found, self._authority.trusted()[0])[0])


def _held(certified: Sequence[_IssuedCertificate]) -> dict[str, list[_IssuedCertificate]]:
    """Each router's good certificates for its newest key, the oldest first."""
    held: dict[str, list[_IssuedCertificate]] = {}
    for one in certified:
        its = held.setdefault(one.issued.router, [])
        if its and not is_same_key(its[0].certificate, one.certificate):
            its.clear()
        its.append(one)
    return held


def _is_key_of(file: Path, authority: x509.Certificate) -> bool:
    try:
        return is_pair(a_private_key(file.read_bytes()), authority)
    except (FileNotFoundError, ValueError, TypeError):
        return False
