"""Which routers are there, since when, and why one was away.

Rule: a status of an older connection, or the will of an older run, never overrules a newer one.
Nor does an older run's `online`, which a broker brought back from a backup still retains.
Rule: `silent` is connected without samples. `offline` is published by the router or its will, or
the router was missed for a long time. Neither is the same as zero clients.
Rule: no router is missed for the time in which the collector itself could not hear, nor for that in
which the router was not registered.
Rule: a router whose access was revoked has no outage.
Rule: after a fault of the broker the last states of routers are doubted, because a broker that ends
publishes every will: until they had time to come back, they are unknown and have no outage.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from titik_collector.live.namesakes import Namesakes
from titik_collector.received import Arrived, StatusReceived
from titik_collector.store import outages, presence_rows, revocations
from titik_collector.store.database import Database
from titik_collector.store.presence_rows import PresenceRow
from titik_wire.messages import Status

SILENT_AFTER_MS = 120_000  # four intervals of the default
MISSED_AFTER_MS = 900_000  # the broker would have sent the will long ago
DOUBT_MS = 300_000  # three windows in which routers try to connect, 270 s
EVE_MS = 5000  # wills that a broker published as it ended are the last that was heard of it


class Presence:
    """Keeps the tables `presence` and `outage`; records inside the store's transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._states: dict[int, PresenceRow] = {}
        self._changed: set[int] = set()
        self._revoked: frozenset[int] = frozenset()  # as last read
        self._revoked_read = False
        self._resumed_ms = 0  # when the collector could hear again
        self._doubt_until_ms = 0
        self._broker_failed = False  # else a router that was heard since is not doubted
        self._came: set[int] = set()  # who connected since then: its word counts
        self._namesakes = Namesakes(db)

    def know(self, router_ids: Iterable[int]) -> None:
        """Read these at once, but for those that are known."""
        self._read({one for one in router_ids if one not in self._states})

    def state(self, router_id: int) -> PresenceRow:
        """What is known now."""
        if router_id not in self._states:
            self._read([router_id])
        return self._states[router_id]

    def is_revoked(self, router_id: int) -> bool:
        """Whether its access was revoked, and not given again."""
        if not self._revoked_read:
            self._revoked, self._revoked_read = revocations.revoked(self._db), True
        return router_id in self._revoked

    def was_revoked(self, router_id: int) -> bool:
        """The same as it was last read; the store is not asked."""
        return router_id in self._revoked

    def is_in_doubt(self, router_id: int, now_ms: int) -> bool:
        """Whether what is known of it may be the server's fault."""
        return self._doubts(router_id, self.state(router_id), now_ms)

    def take_changed(self) -> set[int]:
        """Routers whose state changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def record(self, items: Sequence[tuple[int, Arrived | StatusReceived]]) -> None:
        """Take in a batch; part of the store's transaction."""
        self.know(router_id for router_id, _ in items)
        heard: dict[int, int] = {}
        for router_id, item in items:
            if isinstance(item, StatusReceived):
                self._reported(router_id, item.status, item.arrived_ms)
            elif item.live:
                heard[router_id] = max(heard.get(router_id, 0), item.arrived_ms)
        self._heard(heard)

    def forget(self) -> None:
        """The transaction failed, or routers changed: what is in memory may not be true."""
        self._namesakes.forget()
        self._revoked_read = False
        self._states.clear()  # not who changed: those of batches before may not be published yet

    def move(self, by_ms: int) -> None:
        """Time jumped: what was noted by the clock of before is so much later."""
        if self._resumed_ms:
            self._resumed_ms += by_ms
        if self._doubt_until_ms:
            self._doubt_until_ms += by_ms

    def resume(self, now_ms: int) -> None:
        """The collector hears again, and missed nothing: the broker kept it."""
        self._resumed_ms = now_ms

    def doubt(self, from_ms: int, now_ms: int, *, broker: bool) -> None:
        """It hears again, and could not since `from_ms`; part of the caller's transaction."""
        self._resumed_ms, self._doubt_until_ms = now_ms, now_ms + DOUBT_MS
        self._broker_failed = broker
        self._came.clear()
        routers = presence_rows.went_offline(self._db, from_ms - EVE_MS)
        outages.withdraw_offline(self._db, from_ms - EVE_MS)
        for router_id in routers:
            self._write(router_id, self.state(router_id)._replace(state="unknown", since_ms=now_ms))

    def tick(self, now_ms: int, router_ids: Sequence[int], listening_ms: int = 0) -> None:
        """Notice who went silent; outside of batches, in a transaction of the caller's.

        `listening_ms` is since when the collector has heard whatever routers published.
        """
        for router_id in router_ids:
            old = self.state(router_id)
            heard_ms = max(old.heard_ms or 0, listening_ms)
            if old.state == "online" and now_ms - max(heard_ms, old.since_ms) > SILENT_AFTER_MS:
                quiet = "unknown" if self._doubts(router_id, old, now_ms) else "silent"
                self._write(router_id, old._replace(state=quiet, since_ms=now_ms))
            elif old.state == "silent" and now_ms - heard_ms > MISSED_AFTER_MS:
                self._away(router_id, old, now_ms, self._last_ms(old, now_ms))
            elif old.state == "unknown" and not self._doubts(router_id, old, now_ms):
                self._end_doubt(router_id, old, now_ms)

    def _reported(self, router_id: int, status: Status, now_ms: int) -> None:
        old = self.state(router_id)
        same_run = old.run == status.run
        if same_run and old.connection is not None and status.connection < old.connection:
            return
        if same_run and status.connection == old.connection and status.state == "online":
            return  # a connection begins once: the broker says it again after our own reconnect
        if not same_run and self._is_over(router_id, old, status):
            return
        if status.state != "online":
            if same_run or old.run is None:
                self._left(router_id, old, status, now_ms)
            return
        self._came.add(router_id)
        back = PresenceRow(
            "online",
            "online",
            old.since_ms if old.state == "online" and same_run else now_ms,
            status.run,
            status.connection,
            status.boot,
            status.version,
            status.model,
            status.firmware,
            now_ms,
        )
        is_namesake = self._namesakes.came(router_id, status.run, status.connection, now_ms)
        if old.run is not None:
            if not same_run:
                presence_rows.end_run_of(self._db, router_id, old.run, old.connection or 0)
            self._returned(router_id, old, status, now_ms, is_namesake)
        else:  # of its first word it is not known what was before: a check's sample, perhaps
            outages.end(self._db, {router_id: now_ms})
        self._write(router_id, back)

    def _is_over(self, router_id: int, old: PresenceRow, status: Status) -> bool:
        """Another run was heard after this connection of this one."""
        if old.run is None:
            return False
        run = presence_rows.known_run(self._db, router_id, status.run, old.run)
        if run is None:
            return False
        if run.connection is None and run.was_heard:  # followed before connections were kept
            presence_rows.end_run(self._db, run.id, status.connection)
            return True
        return run.connection is not None and status.connection <= run.connection

    def _left(self, router_id: int, old: PresenceRow, status: Status, now_ms: int) -> None:
        known = old._replace(
            reported=status.state,
            run=status.run,
            connection=status.connection,
            boot=status.boot,
        )
        if old.state == "offline":
            self._write(router_id, known)
        elif status.state == "offline" and self._doubts(router_id, old, now_ms):
            self._write(router_id, known._replace(state="unknown", since_ms=now_ms))
        else:
            self._away(router_id, known, now_ms, self._last_ms(old, now_ms))

    def _doubts(self, router_id: int, old: PresenceRow, now_ms: int) -> bool:
        """Whether that the router is gone may be the server's fault."""
        if now_ms >= self._doubt_until_ms or router_id in self._came:
            return False
        if self.is_revoked(router_id):
            return False
        return self._broker_failed or (old.heard_ms or 0) < self._resumed_ms

    def _end_doubt(self, router_id: int, old: PresenceRow, now_ms: int) -> None:
        """It had the time to come back, and did not."""
        if old.reported == "offline":
            self._away(router_id, old, now_ms, self._last_ms(old, now_ms))
        elif old.reported == "online":
            self._write(router_id, old._replace(state="silent", since_ms=now_ms))

    def _last_ms(self, old: PresenceRow, now_ms: int) -> int:
        """From when on the router is missed: not before the collector could hear."""
        return min(now_ms, max(old.heard_ms or now_ms, self._resumed_ms))

    def _away(self, router_id: int, known: PresenceRow, now_ms: int, from_ms: int) -> None:
        if not self.is_revoked(router_id):
            outages.begin(self._db, router_id, from_ms)
        self._write(router_id, known._replace(state="offline", since_ms=now_ms))

    def _returned(
        self, router_id: int, old: PresenceRow, status: Status, now_ms: int, is_namesake: bool
    ) -> None:
        """Close the outage that was seen, or add one that only the new run betrays.

        `is_namesake`: the run is another device's, so it betrays nothing.
        """
        cause = "unknown" if is_namesake else _cause(old, status)
        explained = outages.explain(self._db, router_id, now_ms, cause)
        if not explained and old.run != status.run and not is_namesake:
            outages.add(self._db, router_id, self._last_ms(old, now_ms), now_ms, cause)

    def _heard(self, heard: Mapping[int, int]) -> None:
        """Routers sent live samples, the newest at these times."""
        rows: dict[int, PresenceRow] = {}
        times: dict[int, int] = {}
        over: dict[int, int] = {}
        for router_id, now_ms in heard.items():
            old = self._states[router_id]
            heard_ms = max(old.heard_ms or 0, now_ms)
            new = old._replace(heard_ms=heard_ms)
            # A sample may be older than the word `offline`; it ends only what was silence.
            if old.state != "online" and old.reported in ("online", "unknown"):
                new = new._replace(state="online", since_ms=now_ms)
                over[router_id] = now_ms
            if old.heard_ms is None or new.state != old.state:
                rows[router_id] = new
            else:  # there is a row, and this is all that changes in it
                times[router_id] = heard_ms
            self._set(router_id, new)
        outages.end(self._db, over)
        presence_rows.write(self._db, rows)
        presence_rows.hear(self._db, times)

    def _read(self, routers: Collection[int]) -> None:
        """Those whose state is not in memory; nothing is remembered if the store fails."""
        if routers:
            found = presence_rows.read(self._db, routers)
            self._states |= dict.fromkeys(routers, PresenceRow()) | found

    def _write(self, router_id: int, new: PresenceRow) -> None:
        self._set(router_id, new)
        presence_rows.write(self._db, {router_id: new})

    def _set(self, router_id: int, new: PresenceRow) -> None:
        old = self.state(router_id)
        if (old.state, old.run) != (new.state, new.run):
            self._changed.add(router_id)
        self._states[router_id] = new


def _cause(old: PresenceRow, status: Status) -> str:
    """Why a router was away, from what it was and what it is."""
    stopped = old.reported == "stopping"
    if old.boot is not None and old.boot != status.boot:
        if _was_upgraded(old, status):
            return "firmware upgrade"
        return "reboot" if stopped else "power cut"
    if old.run != status.run:
        return "agent restart" if stopped else "agent crash"
    return "uplink lost"


def _was_upgraded(old: PresenceRow, status: Status) -> bool:
    """The same device booted with another system or agent; another device is no upgrade."""
    if old.model != status.model:
        return False
    is_other_firmware = None not in (old.firmware, status.firmware) and (
        old.firmware != status.firmware
    )
    return is_other_firmware or (old.version is not None and old.version != status.version)
