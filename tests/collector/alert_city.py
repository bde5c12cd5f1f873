"""A small city whose collector looks for alerts, second by second, without a broker."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.collector.build import BOOT, RUN, T0, sample
from tests.collector.test_collect import NOBODY
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.assemble import Parts
from titik_collector.config import model
from titik_collector.received import Arrived, StatusReceived
from titik_collector.store import incident_rows, outbox_rows
from titik_collector.store.database import Database
from titik_wire import codec
from titik_wire.city_messages import AlertNow
from titik_wire.messages import Sample, Status

HEAD = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
[smtp]
host = "127.0.0.1"
sender = "titik@kupang.example"
[[receiver]]
name = "dinas"
type = "email"
to = "dinas@kupang.example"
"""
PARK = """
[[site]]
name = "park"
title = "Taman"
tier = 1
capacity = 20
uplink_mbps = 10
[[router]]
name = "park-1"
site = "park"
"""
LOOK_S, SAMPLE_S = 5, 30


def places(many: int) -> str:
    """Sites with a router each, of one provider."""
    return "".join(
        f'[[site]]\nname = "p{n}"\ntitle = "Place {n}"\nprovider = "Telkom"\n'
        f'[[router]]\nname = "p{n}-1"\nsite = "p{n}"\n'
        for n in range(many)
    )


class AlertCity:
    """Its routers report every 30 s while they are online; looks are every 5 s."""

    def __init__(self, folder: Path, db: Database, text: str = PARK) -> None:
        self.file = folder / "titik.toml"
        self.file.write_text(HEAD + text)
        self.db = db
        self.now_ms = T0
        self.desk = DeskFacts()
        self.topics: dict[str, AlertNow] = {}  # as a broker would have them
        self.is_connected = True
        self._online: dict[str, int] = {}  # since which second
        self._fields: dict[str, Mapping[str, object]] = {}
        self.start()

    def start(self) -> None:
        """A collector that knows what the store has, and no more."""
        self.parts = parts = Parts(model.load(self.file), self.db, NOBODY, desk=lambda _: self.desk)
        parts._now_ms = parts.alerting._now_ms = lambda: self.now_ms
        parts.server_facts._connected = lambda: self.is_connected
        parts.server_facts._started_ms = self.now_ms
        parts.alerting._is_settled = lambda: True
        parts.link.publish = self._publish  # type: ignore[method-assign]
        parts.hearing.since_ms = self.now_ms
        parts.live.hears = True
        parts.server_facts.connected(self.now_ms)
        self.ids = {one.name: one.id for one in parts.registry.routers()}

    def _publish(self, topic: str, payload: bytes, retain: bool) -> None:
        if "/alert/" not in topic:
            return
        assert retain
        if payload:
            message = codec.decode(topic, payload)
            assert isinstance(message, AlertNow)
            self.topics[topic] = message
        else:
            self.topics.pop(topic, None)

    def connects(self) -> None:
        """The broker has us again."""
        self.parts.server_facts.connected(self.now_ms)
        self.parts.alerting.connected()

    def status(self, router: str, state: str, boot: str = BOOT) -> None:
        """A word of its own, or its will."""
        connection = self._online.get(router, 0) // 1000 + 1
        status = Status(router, state, RUN, connection, boot, "0.1.0")  # type: ignore[arg-type]
        with self.db.transaction():
            self.parts.presence.record([(self.ids[router], StatusReceived(status, self.now_ms))])

    def goes_online(self, *routers: str, **fields: object) -> None:
        """They connect, and report with these fields from now on."""
        for one in routers:
            self._online[one] = self.now_ms - T0
            self._fields[one] = fields
            self.status(one, "online")
            self.reports(one)

    def goes_offline(self, *routers: str) -> None:
        """The broker publishes their wills."""
        for one in routers:
            self.status(one, "offline")
            del self._online[one]

    def changes(self, router: str, **fields: object) -> None:
        """It reports these fields from now on."""
        self._fields[router] = fields

    def sample(self, router: str) -> Sample:
        """What it would report now."""
        seq = (self.now_ms - T0) // 1000 + 1
        plain = sample(seq, router=router)
        timed = replace(plain, uptime_ms=self.now_ms - T0 + 1_000_000, taken_at=self.now_ms)
        return replace(timed, **self._fields.get(router, {}))  # type: ignore[arg-type]

    def reports(self, router: str) -> None:
        """A live sample arrives as it was taken."""
        self.arrives(self.sample(router), prompt=True)

    def arrives(self, taken: Sample, prompt: bool) -> None:
        """A live sample arrives."""
        router_id = self.ids[taken.router]
        with self.db.transaction():
            self.parts.presence.record([(router_id, Arrived(taken, b"", True, self.now_ms))])
        self.parts.live.show(router_id, taken, self.now_ms, prompt)
        if prompt:
            self.parts.facts.hear(router_id, taken, self.now_ms)

    def waits(self, seconds: int) -> None:
        """So long passes, with looks and samples."""
        for _ in range(seconds // LOOK_S):
            self.passes(LOOK_S)
            self.look()

    def passes(self, seconds: int) -> None:
        """Without a look."""
        self.now_ms += seconds * 1000
        for router, since_ms in self._online.items():
            if (self.now_ms - T0 - since_ms) // 1000 % SAMPLE_S < seconds:
                self.reports(router)

    def look(self) -> None:
        """One step of the job."""
        self.parts.alerting.step(0)

    def incidents(self) -> list[tuple[str, str, str, bool]]:
        """Kind, subject, severity, and whether each goes on."""
        return [
            (one.kind, one.subject.name, one.severity, one.resolved_ms is None)
            for one in sorted(incident_rows.newest(self.db, 99), key=lambda one: one.number)
        ]

    def inbox(self, receiver: str = "dinas") -> list[tuple[str, str, str]]:
        """What is due by now, but for digests: what, kind and subject."""
        return [
            (message.what, message.kind, message.subject.name)
            for row in outbox_rows.due(self.db, 0, self.now_ms)
            if row.notification.receiver == receiver
            for message in [row.notification.message]
            if message.what != "digest"
        ]

    def history(self) -> list[object]:
        """All that alerts left in the store."""
        return history_of(self.db)


def history_of(db: Database) -> list[object]:
    """All that alerts left in a store, row by row; changes without their numbers."""
    changes = "at_ms, kind, scope, subject, was, became, why, incident_id FROM alert_event"
    tables = ("* FROM incident", "* FROM alert", "* FROM notification", changes)
    return [sorted(map(str, db.execute(f"SELECT {one}"))) for one in tables]
