"""With which certificate and authorities the next connection is made, and what it says of them.

Rule: a router that the city never gave any of these carries nothing for it.
Rule: what is on trial is tried a few times; what the broker or TLS refuses is rolled back.
Rule: where what worked is refused again and again, what was installed has its turn.
Rule: a network that is away says nothing of a certificate.
"""

import logging
import os
from typing import TYPE_CHECKING, Final

from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.failures import LinkDown

if TYPE_CHECKING:
    from titik_agent.kept_trust import KeptTrust, TrustFiles, TrustMark

log = logging.getLogger(__name__)

NAME: Final = "trust"  # of the file that names the others
REFUSALS: Final = 3  # in a row, before what was installed has its turn
TRIES: Final = 3  # connections that a trial may fail, starts of the agent included


class Credentials:
    """Of one agent; everything is called in the connection's thread."""

    def __init__(self, endpoint: Endpoint, directory: str) -> None:
        """`directory`: where the city's are kept. `endpoint` has what was installed."""
        self.used: TrustFiles | None = None  # None: what was installed
        self._endpoint = endpoint
        self._directory = directory
        self._kept: KeptTrust | None = None
        self._refused = 0  # in a row, of what worked
        self._has_try = False  # the last one of a trial did not come as far as the broker

    def kept(self) -> "KeptTrust":
        """The folder; only for a router with TLS."""
        if self._kept is None:
            from titik_agent.kept_trust import KeptTrust

            assert self._endpoint.tls is not None
            self._kept = KeptTrust(self._directory, self._endpoint.tls)
        return self._kept

    def endpoint(self) -> Endpoint:
        """For the next connection of the agent."""
        if not self._is_given():
            return self._endpoint
        return self._endpoint._replace(tls=self._on_trial() or self._that_worked())

    def endpoint_that_worked(self) -> Endpoint:
        """For a look at the broker, which tries nothing new."""
        if not self._is_given():
            return self._endpoint
        return self._endpoint._replace(tls=self._that_worked())

    def failed(self, down: LinkDown, was_connected: bool) -> None:
        """A connection ended, or could not be made."""
        if self._kept is None:
            return
        mark = self._kept.read()
        is_trial = self.used is not None and self.used == mark.trial
        if down.step in ("dns", "tcp"):
            self._has_try = is_trial
        elif was_connected:
            self._refused = 0 if self.used is not None else self._refused
        elif is_trial and mark.tries >= TRIES:
            self.roll_back(down.reason)
        elif not is_trial:
            self._refused += 1

    def roll_back(self, reason: str) -> None:
        """What is on trial does not work."""
        mark = self.kept().read()
        if mark.trial is not None:
            log.warning(
                "certificate rolled back revision=%d reason=%s", mark.trial.revision, reason
            )
            bad = mark.trial.revision
            self._write(mark._replace(trial=None, tries=0, bad=bad, reason=reason))

    def works(self) -> None:
        """What is on trial has shown that it does."""
        kept = self.kept()
        mark = kept.read()
        if mark.trial is not None:
            mark = mark._replace(works=mark.trial, trial=None, tries=0)
            self._write(mark)
            kept.tidy(mark)

    def _is_given(self) -> bool:
        return self._endpoint.tls is not None and os.path.exists(
            os.path.join(self._directory, NAME)
        )

    def _on_trial(self) -> Tls | None:
        kept = self.kept()
        mark = kept.read()
        if mark.trial is None:
            return None
        had_try, self._has_try = self._has_try, False
        tls = kept.tls(mark.trial) if had_try or mark.tries < TRIES else None
        if tls is None:
            self.roll_back("its files are damaged, or it was tried too often")
            return None
        if not had_try:
            self._write(mark._replace(tries=mark.tries + 1))
        self.used = mark.trial
        return tls

    def _that_worked(self) -> Tls | None:
        kept = self.kept()
        works = kept.read().works
        has_its_turn = self._refused >= REFUSALS and self._refused % 2 == 1
        tls = None if works is None or has_its_turn else kept.tls(works)
        self.used = None if tls is None else works
        return tls or self._endpoint.tls

    def _write(self, mark: "TrustMark") -> None:
        try:
            self.kept().write(mark)
        except OSError as error:
            log.warning("trust cannot be written reason=%s", error)
