"""The job of alerts over looks that were recorded, killed at one of its statements.

python -m tests.collector.killed_alerting LOOKS STORE BROKER STATEMENTS
"""

import os
import pickle
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, NoReturn

from titik_collector.alerts.alert_settings import AlertSettings
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.facts import LiveFacts
from titik_collector.live.alert_topics import AlertTopics
from titik_collector.live.alerting import Alerting
from titik_collector.store import settings
from titik_collector.store.database import Row, Rows, Values
from titik_collector.store.sqlite import SqliteDatabase, open_writer


class Look(NamedTuple):
    """What one look had before it."""

    live: LiveFacts
    desk: DeskFacts


class Recorded(NamedTuple):
    """All of them, in order."""

    settings: AlertSettings
    looks: list[Look]


class Broker:
    """Writes down what it is to retain, a line each, as soon as it gets it."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        assert retain
        os.write(self._file, f"{topic} {payload.decode()}\n".encode())

    def flush(self) -> None:
        """Everything left at once."""


def retained(file: Path) -> dict[str, str]:
    """What the broker has in the end."""
    found: dict[str, str] = {}
    for line in file.read_text().splitlines():
        topic, _, payload = line.partition(" ")
        found[topic] = payload
    return {topic: payload for topic, payload in found.items() if payload}


def play(recorded: Recorded, db: SqliteDatabase, broker: Broker) -> None:
    """The looks that were not made yet."""
    by_time = {one.live.at_ms: one for one in recorded.looks}
    now = [0]
    job = Alerting(
        db,
        lambda at_ms: by_time[at_ms].live,
        lambda at_ms: by_time[at_ms].desk,
        AlertTopics(broker, "kupang"),
        lambda: now[0],
        recorded.settings,
        True,
        lambda: True,
    )
    looked_ms = settings.number(db, "alerts_looked_ms") or 0
    for at_ms in by_time:
        if at_ms > looked_ms:
            now[0] = at_ms
            job.step(0)


def main() -> NoReturn:
    """Die at the statement of this number, or end well."""
    looks, store, broker = map(Path, sys.argv[1:4])
    left = [int(sys.argv[4])]

    class Dying(SqliteDatabase):
        def execute(self, sql: str, values: Values = ()) -> Rows:
            self._count()
            return super().execute(sql, values)

        def executemany(self, sql: str, rows: Iterable[Row]) -> None:
            self._count()
            super().executemany(sql, rows)

        def _count(self) -> None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    opened = open_writer(store)
    play(pickle.loads(looks.read_bytes()), Dying(opened.raw, store), Broker(broker))
    sys.exit(0)


if __name__ == "__main__":
    main()
