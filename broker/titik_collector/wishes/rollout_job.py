"""The job that brings the city's routers to the version that somebody ordered, wave by wave.

Rule: it decides who is wished which version, and nothing else; the wish is withdrawn when its
router runs it.
Rule: all that it knows is in the store, so a restart or another collector goes on where it was.
Rule: while the collector cannot hear, nothing is decided: a fault of the server is no router's.
Rule: an order of before the store began is not begun: what became of it went with another store.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from titik_collector.alerts.desk_facts import RolloutOrder
from titik_collector.config.model import Config
from titik_collector.store import rollout_rows, wishes
from titik_collector.store.database import Database
from titik_collector.store.registry_rows import PlacedRouter
from titik_collector.store.rollout_rows import Fate, RolloutRow, RolloutState, WaveRouter
from titik_collector.wishes import waves
from titik_collector.wishes.waves import Bounds, RolloutMember, RouterNow, WaveStep
from titik_wire.fleet_messages import RouterUpgrade, Running
from titik_wire.instant import HOUR_MS, MINUTE_MS

log = logging.getLogger(__name__)

EVERY_S = 5.0
OVER_EVERY_MS = MINUTE_MS  # once it is over: who was away may be back
PATIENT = Bounds()
_FATES: Mapping[str, Fate] = {
    "applied": "upgraded",
    "refused": "refused",
    "rolled-back": "rolled-back",
}


class LastSeen(NamedTuple):
    """What the collector knows of a router now."""

    is_online: bool | None  # None: not known
    version: str | None
    model: str | None
    firmware: str | None
    is_acked: bool  # samples of the run that has this version are stored
    heard_ms: int


@dataclass(eq=False)
class RolloutJob:
    """One look for each `step`."""

    _db: Database
    _order: Callable[[int], RolloutOrder | None]  # the newest that somebody entered
    _routers: Callable[[], Iterable[PlacedRouter]]
    _look: Callable[[int, int], LastSeen]  # of a router, now
    _changed: Callable[[Iterable[int]], None]  # other things are wished of these routers
    _now_ms: Callable[[], int]
    _hears: Callable[[], bool]
    _config: Config
    _bounds: Bounds
    _looked_ms: int = 0
    _warned: int | None = None  # the number of an order that is older than the store

    def change(self, config: Config) -> None:
        """The configuration was edited."""
        self._config = config

    def due(self, _now: float) -> bool:
        """While the collector hears."""
        return self._hears()

    def step(self, _budget_s: float) -> bool:
        """One look."""
        now_ms = self._now_ms()
        order = self._order(now_ms)
        if order is None:
            return False
        row = rollout_rows.read(self._db)
        if row is None or (row.number, row.at_ms) != (order.number, order.at_ms):
            if order.state == "stopped" or (row is None and self._is_of_before(order)):
                return False
            row = self._begin(order, now_ms)
        row = self._obey(order, row, now_ms)
        waits = row.state == "over" and 0 <= now_ms - self._looked_ms < OVER_EVERY_MS
        if row.state in ("runs", "paused", "over") and not waits:
            self._looked_ms = now_ms
            self._go_on(row, now_ms)
        return False

    def _is_of_before(self, order: RolloutOrder) -> bool:
        """Whether it is older than the store; logged once."""
        if not rollout_rows.is_of_before(self._db, order.at_ms):
            return False
        if self._warned != order.number:
            self._warned = order.number
            log.warning(
                "an upgrade was ordered before this store began, so it is left out version=%s"
                " remedy=%s",
                *(order.version, "titik fleet stop, then order it again if it is still wanted"),
            )
        return True

    def _begin(self, order: RolloutOrder, now_ms: int) -> RolloutRow:
        """Divide the routers into waves; what an earlier one wished is wished no longer."""
        wanted = self._wanted(order)
        members = []
        for one in self._routers():
            if one.name in wanted:
                seen = self._look(one.id, now_ms)
                is_online = bool(seen.is_online)
                site = one.site or ""
                members.append(RolloutMember(one.id, site, seen.model, seen.firmware, is_online))
        before = rollout_rows.routers(self._db)
        reasons = _reasons(rollout_rows.read(self._db), before)
        divided = [
            one._replace(reason=reasons.get(one.router_id))
            for one in waves.divided(members, order.canaries, order.percent)
        ]
        row = RolloutRow(
            order.number, order.at_ms, order.version, "runs", now_ms, resumes=order.resumes
        )
        with self._db.transaction():
            self._withdraw(before, now_ms)
            rollout_rows.begin(self._db, row, divided)
        log.info("upgrade begins version=%s routers=%d", row.version, len(divided))
        return row

    def _wanted(self, order: RolloutOrder) -> set[str]:
        """The names of the routers that it is about."""
        return {
            one.name
            for one in self._config.router
            if order.scope == "city"
            or (order.scope == "site" and one.site == order.name)
            or (order.scope == "tag" and order.name in one.tags)
        }

    def _obey(self, order: RolloutOrder, row: RolloutRow, now_ms: int) -> RolloutRow:
        """What somebody entered since."""
        new = row
        if order.state == "stopped":
            new = row._replace(state="stopped")
        elif order.resumes > row.resumes:
            new = row._replace(state="runs", accepted=row.failed, resumes=order.resumes)
        elif order.state == "paused" and row.state != "halted":
            new = row._replace(state="paused")
        if new == row:
            return row
        new = new._replace(state_ms=now_ms)
        with self._db.transaction():
            if new.state == "stopped":
                self._let_go(rollout_rows.routers(self._db), now_ms)
            rollout_rows.write(self._db, new)
        log.info("upgrade %s version=%s", new.state, new.version)
        return new

    def _go_on(self, row: RolloutRow, now_ms: int) -> None:
        rows = rollout_rows.routers(self._db)
        now = self._now(rows, now_ms)
        judged = waves.judge(rows, now, row.version, now_ms, row.accepted, self._bounds)
        ask = () if row.state == "paused" else judged.ask
        became = {one.router_id: one for one in judged.rows}
        names = {one.id: one.name for one in self._routers()}
        with self._db.transaction():
            if ask:
                recent = rollout_rows.runs_since(self._db, ask, now_ms - HOUR_MS)
                runs = rollout_rows.runs(self._db, ask)
                for one in ask:
                    message = RouterUpgrade(names[one], wishes.FIRST, row.version)
                    wishes.wish(self._db, one, message, now_ms)
                    became[one] = became[one]._replace(
                        asked_ms=now_ms, runs=runs[one], restarts=max(0, recent[one] - 1)
                    )
            changed = [became[one.router_id] for one in rows if became[one.router_id] != one]
            rollout_rows.write_routers(self._db, changed)
            done = [one for one in changed if one.fate == "upgraded"]
            self._withdraw(done, now_ms)
            self._write_state(row, judged, now_ms)
        self._changed(ask)

    def _write_state(self, row: RolloutRow, judged: WaveStep, now_ms: int) -> None:
        if judged.stops:
            failed = [one for one in judged.rows if one.fate in waves.FAILURES]
            new = row._replace(state="halted", failed=len(failed), state_ms=now_ms)
            self._let_go(judged.rows, now_ms)
            rollout_rows.write(self._db, new)
            log.warning(
                "upgrade halts, because too many routers failed version=%s failed=%d remedy=%s",
                *(row.version, len(failed), "titik fleet shows which and why"),
            )
        elif row.state != "paused" and judged.is_over != (row.state == "over"):
            state: RolloutState = "over" if judged.is_over else "runs"
            rollout_rows.write(self._db, row._replace(state=state, state_ms=now_ms))
            log.info("upgrade %s version=%s", state, row.version)

    def _now(self, rows: Sequence[WaveRouter], now_ms: int) -> dict[int, RouterNow]:
        """What is known of each."""
        asked = [one.router_id for one in rows if one.asked_ms is not None]
        runs = rollout_rows.runs(self._db, asked)
        revisions = {
            one.router_id: one.revision for one in wishes.all_of(self._db, "upgrade") if one.body
        }
        # One by one, a wave of a large city would be a thousand statements, each time.
        every = wishes.all_running(self._db) if revisions else []
        reports = {one.router_id: one.running for one in every}
        known = {}
        for one in rows:
            seen = self._look(one.router_id, now_ms)
            report = reports.get(one.router_id)
            fate, reason = _reported(one, revisions.get(one.router_id), report)
            known[one.router_id] = RouterNow(
                *(seen.is_online, seen.version, seen.is_acked, seen.heard_ms),
                *(runs.get(one.router_id, 0), fate, reason),
                is_wished=one.router_id in revisions,
            )
        return known

    def _let_go(self, rows: Iterable[WaveRouter], now_ms: int) -> None:
        """Who has not come through keeps what it has, and may be asked again."""
        rest = [one for one in rows if one.asked_ms is not None and one.fate != "upgraded"]
        self._withdraw(rest, now_ms)
        again = [one._replace(asked_ms=None) for one in rest if one.fate is None]
        rollout_rows.write_routers(self._db, again)

    def _withdraw(self, rows: Iterable[WaveRouter], now_ms: int) -> None:
        some = [one.router_id for one in rows]
        self._changed([one for one in some if wishes.withdraw(self._db, one, "upgrade", now_ms)])


def _reasons(row: RolloutRow | None, before: Iterable[WaveRouter]) -> dict[int, str | None]:
    """Who failed at the version before, and why: shown until it is known of the next one."""
    reasons = {one.router_id: one.reason for one in before if one.fate is None}
    for one in before:
        if row is not None and one.fate in waves.FAILURES:
            what = f"{row.version}: {one.fate}".replace("rolled-back", "rolled back")
            reasons[one.router_id] = f"{what}, {one.reason}" if one.reason else what
    return reasons


def _reported(
    one: WaveRouter, revision: int | None, report: Running | None
) -> tuple[Fate | None, str | None]:
    """What the router made of the wish that it has."""
    outcome = None if report is None else report.upgrade
    if one.asked_ms is None or outcome is None or outcome.revision != revision:
        return None, None
    return _FATES.get(outcome.state), outcome.reason
