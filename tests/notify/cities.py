"""A city with receivers, a store that its collector holds, and a notifier as a real process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port
from titik_collector.alerts.alert import AlertSubject, Incident, Notification
from titik_collector.alerts.desk_facts import DeliveryTime
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.store import (
    beat_rows,
    delivery_rows,
    identity,
    incident_rows,
    notify_opening,
    opening,
    outbox_rows,
)
from titik_collector.store.beat_rows import Beat
from titik_collector.store.database import Database
from titik_collector.store.delivery_rows import DeliveryRow

HEAD = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
{store}
[broker]
port = {port}
"""


def now_ms() -> int:
    """By the clock of this machine."""
    return time.time_ns() // 1_000_000


def webhook(folder: Path, name: str, url: str) -> str:
    """A receiver whose address is a secret."""
    file = folder / f"{name}.url"
    file.write_text(url)
    file.chmod(0o600)
    return f'[[receiver]]\nname = "{name}"\ntype = "webhook"\nurl_file = "{file}"\n'


def mailbox(port: int, name: str = "it", head: bool = True) -> str:
    """A receiver of e-mail at a mail server on this machine."""
    smtp = f'[smtp]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\nsender = "t@k.id"\n'
    return (smtp if head else "") + (
        f'[[receiver]]\nname = "{name}"\ntype = "email"\nto = "{name}@k.id"\n'
    )


@dataclass
class City:
    """A configuration, and its store as a collector left it."""

    settings: Config
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def put(self, *notifications: Notification, beat_ms: int | None = None) -> None:
        """As the collector does; its beat is of now, unless it is given."""
        with opening.writing(self.settings.store) as db, db.transaction():
            self._incidents(db, notifications)
            outbox_rows.put(db, notifications)
            beat_rows.write(db, beat_rows.COLLECTOR, Beat(beat_ms or now_ms()))

    def _incidents(self, db: Database, notifications: Sequence[Notification]) -> None:
        numbers = {one.incident for one in notifications if one.incident is not None}
        for number in numbers:
            subject = AlertSubject("site", "taman-tirosa")
            incident_rows.write(
                db,
                [
                    Incident(
                        number=number,
                        subject=subject,
                        kind="site-offline",
                        severity="critical",
                        from_ms=1,
                        opened_ms=1,
                    )
                ],
            )

    def opened(self) -> None:
        """A collector opens the store, here where it is now."""
        with opening.writing(self.settings.store) as db:
            identity.opened(db)

    def deliveries(self) -> list[DeliveryRow]:
        """What was tried."""
        with notify_opening.reading(self.settings.page_store) as db:
            return [] if db is None else delivery_rows.since(db, 0)

    def first_delivered(self) -> tuple[DeliveryTime, ...]:
        """Of each incident, as it is kept."""
        with notify_opening.reading(self.settings.page_store) as db:
            return () if db is None else tuple(delivery_rows.first_of_incidents(db, 0))

    def outcomes(self) -> list[tuple[str, int, str]]:
        """The same in short."""
        return [(one.receiver, one.message, one.outcome) for one in self.deliveries()]

    def start(self) -> subprocess.Popen[bytes]:
        """The real program."""
        command = [sys.executable, "-m", "titik_collector", "notify"]
        with (self.settings.file.parent / "log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--config", str(self.settings.file)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        self.processes.append(process)
        return process

    def kill(self) -> None:
        """The power goes, for the process that was started last."""
        self.processes[-1].send_signal(signal.SIGKILL)
        self.processes[-1].wait()

    def log(self) -> str:
        """What it logged."""
        return (self.settings.file.parent / "log").read_text()


@contextmanager
def city(folder: Path, tables: str, store: str = 'path = "titik.db"') -> Iterator[City]:
    """With these receivers; its processes end with the block."""
    file = folder / "titik.toml"
    file.write_text(HEAD.format(store=store, port=free_port()) + tables)
    made = City(model.load(file))
    made.opened()
    try:
        yield made
    finally:
        for process in made.processes:
            process.terminate()
        for process in made.processes:
            process.wait(20)
