"""What the collector reports to systemd: that it is ready, and that its turns go on.

Rule: a process that calls `lives` has just succeeded. One that hangs is silent, and systemd
starts it again.
"""

import contextlib
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EVERY_S = 5.0  # far below any WatchdogSec=
UNITS = Path("/etc/systemd/system")


def start(store: Path, file: Path | None = None) -> str:
    """The command that starts the collector of this store; `file` is its configuration.

    Typed as root, `titik collect` would make files that the service's user may not write.
    """
    if _names("titik-collector", store.parent):
        return "systemctl start titik-collector"
    return "titik collect" if file is None else f"titik collect --config {shlex.quote(str(file))}"


def stop(store: Path | None) -> str:
    """The command that stops who writes this store, and who sends its messages."""
    if store is not None and _names("titik-collector", store.parent):
        return "systemctl stop titik-collector titik-notify"
    return "Ctrl-C where titik collect runs, and where titik notify does"


def start_broker(directory: Path) -> str:
    """The command that starts the broker of this directory."""
    if _names("titik-broker", directory):
        return "systemctl start titik-broker"
    return f"titik broker run {shlex.quote(str(directory))}"


def _names(unit: str, place: Path) -> bool:
    """Whether an installed unit is the one of this place."""
    try:
        text = (UNITS / f"{unit}.service").read_text(encoding="utf-8")
        return str(place.resolve()) in text
    except (OSError, UnicodeDecodeError):
        return False


@dataclass(eq=False)
class Service:
    """systemd, as far as it listens."""

    _address: str | None  # its NOTIFY_SOCKET; None: nothing listens
    _monotonic: Callable[[], float]
    _due: float = 0.0

    def lives(self) -> None:
        """A turn has succeeded."""
        now = self._monotonic()
        if self._address is None or now < self._due:
            return
        self._due = now + EVERY_S
        # An `@` stands for the NUL of a name that is in no file system.
        address = self._address.replace("@", "\0", 1) if self._address[:1] == "@" else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.setblocking(False)
            to.sendto(b"READY=1\nWATCHDOG=1", address)
