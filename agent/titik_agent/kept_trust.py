"""What the city gave this router to log in with and to trust, and which of it counts.

    trust                one small file that names the others: what works, and what is on trial
    trust-<hash>.pem     a certificate, or authorities, named by what is in it

Rule: what counts is one replacement of one file, so a power cut leaves the one or the other.
Rule: a file that is damaged, or does not fit the router's key, counts as none. What was installed
is never written, and always the last resort.
"""

import hashlib
import json
import os
from contextlib import suppress
from typing import Final, NamedTuple

from titik_agent import shared_files
from titik_agent.limits import MAX_WISH_FILE
from titik_mqtt.endpoint import Tls

NAME: Final = "trust"


class TrustFiles(NamedTuple):
    """Files in the folder; None: the installed one stays."""

    revision: int
    edition: int  # of the authorities
    installed: str  # the hash of what was installed then: another bundle ends it
    certificate: str | None = None
    authorities: str | None = None


class TrustMark(NamedTuple):
    """What counts."""

    works: TrustFiles | None = None
    trial: TrustFiles | None = None
    tries: int = 0  # of the trial
    bad: int = 0  # the revision that was rolled back
    reason: str | None = None  # why


class KeptTrust:
    """A folder, of this user alone; `installed` is what agent.toml names."""

    def __init__(self, directory: str, installed: Tls) -> None:
        self.installed = installed
        self._directory = directory

    def read(self) -> TrustMark:
        """An empty one where nothing can be read."""
        try:
            with open(shared_files.open_found(self.path(NAME)), "rb") as file:
                found = json.loads(file.read(MAX_WISH_FILE))
            works, trial, tries, bad, reason = found
            text = None if reason is None else str(reason)
            return TrustMark(_set(works), _set(trial), int(tries), int(bad), text)
        except (OSError, ValueError, TypeError, RecursionError):
            return TrustMark()

    def write(self, mark: TrustMark) -> None:
        """From now on this counts; OSError if it cannot be written."""
        self._put(NAME, json.dumps(mark).encode())

    def put(self, pem: str) -> str:
        """The name of a file with this in it."""
        content = pem.encode()
        name = f"{NAME}-{hashlib.sha256(content).hexdigest()[:32]}.pem"
        self._put(name, content)
        return name

    def text(self, name: str | None, installed: str | None) -> str:
        """What is in a file, or in the installed one; OSError if it is not there."""
        path = installed if name is None else self.path(name)
        with open(path or os.devnull, encoding="ascii", errors="replace") as file:
            return file.read(8 * MAX_WISH_FILE)

    def tls(self, one: TrustFiles) -> Tls | None:
        """To connect with; None: a file is damaged, or does not fit the key."""
        found = self.installed
        if one.authorities is not None:
            found = found._replace(ca_file=self.path(one.authorities))
        if one.certificate is not None:
            found = found._replace(cert_file=self.path(one.certificate))
        if one.installed != self.of_installed():
            return None
        if not all(self._is_whole(name) for name in (one.certificate, one.authorities)):
            return None
        return found if fits(found) else None

    def of_installed(self) -> str:
        """The hash of what was installed."""
        whole = hashlib.sha256()
        for path in (self.installed.ca_file, self.installed.cert_file):
            with suppress(OSError):
                whole.update(self.text(None, path).encode())
        return whole.hexdigest()[:32]

    def tidy(self, mark: TrustMark) -> None:
        """Remove what is named no more."""
        named = {NAME}
        for one in (mark.works, mark.trial):
            if one is not None:
                named |= {name for name in one[3:] if name is not None}
        with suppress(OSError):
            for name in os.listdir(self._directory):
                if name.startswith(f"{NAME}-") and name not in named:
                    os.unlink(self.path(name))

    def _is_whole(self, name: str | None) -> bool:
        if name is None:
            return True
        try:
            with open(shared_files.open_found(self.path(name)), "rb") as file:
                content = file.read(8 * MAX_WISH_FILE)
        except OSError:
            return False
        return name == f"{NAME}-{hashlib.sha256(content).hexdigest()[:32]}.pem"

    def path(self, name: str) -> str:
        """Where a file of the folder is."""
        return os.path.join(self._directory, os.path.basename(name))

    def _put(self, name: str, content: bytes) -> None:
        """Whole or not at all, also when the power fails."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        shared_files.check_own(self._directory)
        new = self.path(f".{name}.new")
        with open(shared_files.open_new(new), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path(name))
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def fits(tls: Tls) -> bool:
    """Whether files can be read, and certificate and key are a pair."""
    from titik_mqtt import trust  # brings ssl

    try:
        trust.context(tls)
    except OSError:
        return False
    return True


def _set(found: object) -> TrustFiles | None:
    if found is None:
        return None
    if not isinstance(found, list):
        raise TypeError("no set")
    revision, edition, installed, certificate, authorities = found
    names = (None if one is None else str(one) for one in (certificate, authorities))
    return TrustFiles(int(revision), int(edition), str(installed), *names)
