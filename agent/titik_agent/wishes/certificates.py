"""A certificate for the key that this router has, and new authorities: tried, then kept.

Rule: a certificate is tried that fits the router's own key and is of an authority that it trusts.
Rule: new authorities are tried that one proves which it trusts already.
Rule: it is tried while a collector is online. Where none reports over the new connection in time,
or TLS fails, the last that worked is back, and the revision is not tried again.
Rule: an older edition of the authorities is refused, however new its revision is.
"""

import base64
import binascii
import hashlib
import logging
import math
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from titik_agent.broker_link.credentials import Credentials
from titik_agent.kept_trust import TrustFiles, TrustMark
from titik_agent.wishes import witness
from titik_agent.wishes.wish_handler import WishDesk, WishHandler
from titik_mqtt.failures import Redial
from titik_wire.fleet_messages import RouterCertificate, Running, Trust
from titik_wire.limits import MAX_AUTHORITIES

log = logging.getLogger(__name__)

NONE: Final = TrustFiles(0, 0, "")  # what was installed
TRIAL_S: Final = 300.0  # connected, until a collector reports
_END: Final = "-----END CERTIFICATE-----\n"


class CertificateHandler(WishHandler):
    """`is_kept`: the folder outlasts a power cut."""

    def __init__(
        self,
        desk: WishDesk,
        credentials: Credentials,
        is_kept: bool,
        trial_s: float = TRIAL_S,
    ) -> None:
        super().__init__(desk)
        self._kept = credentials.kept()
        self._credentials = credentials
        self._is_kept = is_kept
        self._trial_s = trial_s
        self._since = desk.monotonic()  # of this connection
        self._next: RouterCertificate | None = None

    def received(self, message: RouterCertificate) -> None:
        """Look at it; `step` tries it."""
        mark = self._kept.read()
        self._next = None
        if message.revision <= mark.bad:
            self.becomes(message.revision, "rolled-back", mark.reason)
        elif mark.trial is not None and message.revision == mark.trial.revision:
            self.becomes(message.revision, "trying")
        elif self._is_in_force(message, mark):
            self.becomes(message.revision, "applied")
        elif (trouble := self._trouble(message, mark)) is not None:
            self.becomes(message.revision, "refused", trouble)
        else:
            self._next = message
            self.becomes(message.revision, "trying")
        self.desk.changed()

    def withdrawn(self) -> None:
        """What is in force stays."""
        self._next = None

    def connected(self) -> None:
        """With what is tried, perhaps."""
        self._since = self.desk.monotonic()

    def step(self, now: float) -> float:
        """Try what came, and end a trial."""
        mark = self._kept.read()
        if mark.trial is not None:
            return self._on_trial(mark.trial, now)
        if self._next is None:
            return math.inf
        if not self.desk.is_collected():
            return now + self._trial_s / 10
        wish, self._next = self._next, None
        try:
            self._begin(wish, mark)
        except OSError as error:
            self.becomes(wish.revision, "refused", f"cannot be kept: {error.strerror or error}")
            return math.inf
        raise Redial("the city sent another certificate, which is tried now")

    def report(self, running: Running) -> Running:
        """The outcome, and what this connection was made with."""
        if self.outcome is None:
            return running
        used = self._credentials.used or NONE
        installed = self._kept.installed
        try:
            own = _prints(self._kept.text(used.certificate, installed.cert_file))
            trusted = _prints(self._kept.text(used.authorities, installed.ca_file))
        except OSError:
            return replace(running, certificate=self.outcome)
        trust = Trust(
            trusted[:MAX_AUTHORITIES],
            next(iter(own), None),
            kept=self._is_kept or self._credentials.used is None,
        )
        return replace(running, certificate=self.outcome, trust=trust)

    def _on_trial(self, trial: TrustFiles, now: float) -> float:
        is_used = self._credentials.used == trial
        if is_used and self.desk.is_collected():
            self._credentials.works()
            log.info("certificate applied revision=%d", trial.revision)
            self.becomes(trial.revision, "applied")
            self.desk.changed()
            return math.inf
        if is_used and now - self._since >= self._trial_s:
            reason = f"no collector in {self._trial_s:.0f} s"
            self._credentials.roll_back(reason)
            self.becomes(trial.revision, "rolled-back", reason)
            raise Redial("the certificate before is used again")
        return self._since + self._trial_s if is_used else math.inf

    def _begin(self, wish: RouterCertificate, mark: TrustMark) -> None:
        before = self._counts(mark)
        certificate, authorities, edition = before.certificate, before.authorities, before.edition
        if wish.certificate is not None:
            certificate = self._kept.put(witness.pem_of(_der(wish.certificate)))
        if wish.authorities is not None and self._is_another_trust(wish, mark):
            authorities = self._kept.put("".join(map(witness.pem_of, map(_der, wish.authorities))))
            edition = wish.edition or 0
        trial = TrustFiles(
            wish.revision, edition, self._kept.of_installed(), certificate, authorities
        )
        self._kept.write(mark._replace(trial=trial, tries=0))

    def _trouble(self, wish: RouterCertificate, mark: TrustMark) -> str | None:
        """Why it is not even tried."""
        before = self._counts(mark)
        is_another = wish.authorities is not None and self._is_another_trust(wish, mark)
        trouble = self._trouble_of_trust(wish, before) if is_another else None
        if trouble is None and wish.certificate is not None:
            return self._trouble_of_own(wish, before)
        return trouble

    def _trouble_of_trust(self, wish: RouterCertificate, before: TrustFiles) -> str | None:
        installed = self._kept.installed
        if not wish.authorities:
            return "no authority is left"
        if (wish.edition or 0) < before.edition:
            return "its authorities are older than those in force"
        if None in (wish.edition, wish.witness, wish.witness_key) or installed.ca_file is None:
            return "no witness proves its authorities"
        tls = self._kept.tls(before) or installed
        authorities = list(map(_der, wish.authorities or ()))
        pem = witness.pem_of(_der(wish.witness or ""))
        key = witness.pem_of_key(wish.witness_key or "")
        assert tls.ca_file is not None
        if not witness.is_proved(tls.ca_file, wish.edition or 0, authorities, pem, key):
            return "its witness is of no authority that this router trusts, or of others"
        return None

    def _trouble_of_own(self, wish: RouterCertificate, before: TrustFiles) -> str | None:
        """One that no authority made would lock us out of every broker but its sender's."""
        tls = self._kept.tls(before) or self._kept.installed
        own = witness.pem_of(_der(wish.certificate or ""))
        wanted = "".join(map(witness.pem_of, map(_der, wish.authorities or ())))
        if witness.is_ours(own, tls.key_file, wanted or None, tls.ca_file):
            return None
        return "the certificate is not for this router's key, or of no authority that it trusts"

    def _is_another_trust(self, wish: RouterCertificate, mark: TrustMark) -> bool:
        """Whether its authorities are others than those in force."""
        wanted = {hashlib.sha256(_der(one)).hexdigest() for one in wish.authorities or ()}
        return wanted != set(self._trusted(mark))

    def _is_in_force(self, wish: RouterCertificate, mark: TrustMark) -> bool:
        if wish.authorities is not None and self._is_another_trust(wish, mark):
            return False
        if wish.certificate is None:
            return True
        used = self._counts(mark)
        try:
            own = _prints(self._kept.text(used.certificate, self._kept.installed.cert_file))
        except OSError:
            return False
        return own[:1] == (hashlib.sha256(_der(wish.certificate)).hexdigest(),)

    def _counts(self, mark: TrustMark) -> TrustFiles:
        """What works, unless another bundle was installed since."""
        works = mark.works
        return NONE if works is None or works.installed != self._kept.of_installed() else works

    def _trusted(self, mark: TrustMark) -> tuple[str, ...]:
        used = self._counts(mark)
        try:
            return _prints(self._kept.text(used.authorities, self._kept.installed.ca_file))
        except OSError:
            return ()


def _der(text: str) -> bytes:
    """Empty where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _prints(pem: str) -> tuple[str, ...]:
    """Fingerprints of what is in a file."""
    return tuple(list(_each_print(pem)))


def _each_print(pem: str) -> Iterator[str]:
    for block in pem.split(_END)[:-1]:
        begin = block.rfind("-----BEGIN CERTIFICATE-----")
        if begin >= 0:
            try:
                yield hashlib.sha256(ssl.PEM_cert_to_DER_cert(block[begin:] + _END)).hexdigest()
            except ValueError:
                continue
