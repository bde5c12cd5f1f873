"""Where samples become durable: one transaction per batch, and every sample counted once.

Rule: the key is (router, run, first_seq, seq). A range that contains stored ranges replaces
them; one that is contained in a stored range is a duplicate. So any order, any number of
deliveries, and any merging on the way give the same rows.
Rule: a failure keeps nothing of the batch and raises StoreError; the caller tries it again.
Rule: what is not registered, over the cap, or of a later contract is counted, and not acked.
"""

import hashlib
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from titik_collector import body, counters, timeline
from titik_collector.database import transaction
from titik_collector.runs import Run, Runs
from titik_collector.timeline import Change
from titik_wire.messages import MAX_RUNS, Ack, Sample, Status

log = logging.getLogger(__name__)

# A clock that claims NTP but runs ahead of the arrival by more than this is not believed.
MAX_AHEAD_MS = 120_000
MAX_QUARANTINE = 1000  # rows; the newest are kept
MAX_HEAD = 512  # bytes of a poison payload that are kept
MAX_KNOCKS = 20  # names of unregistered routers that are kept; the rest are a count
MAX_OPEN_RUNS = 64  # per router; an ack lists the MAX_RUNS touched last
MAX_CACHED_INTERFACES = 100_000
MAX_NEW_INTERFACES = 1000  # per router and hour; each makes a row that stays

ALL_BSS, UPLINK = 1, 2  # bits of sample.sections


@dataclass(frozen=True, slots=True)
class Arrived:
    """A sample off the wire: `live` if on `sample`, else `backlog`."""

    sample: Sample
    payload: bytes
    live: bool
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class Said:
    """A router's status off the wire."""

    status: Status
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that broke the contract; `span` is run, first seq and seq if they can be read."""

    topic: str
    payload: bytes
    rule: str
    arrived_ms: int
    router: str | None = None
    span: tuple[str, int, int] | None = None
    later_version: bool = False


Item = Arrived | Said | Poison


@dataclass(slots=True)
class Saved:
    """What a batch came to."""

    stored: int = 0
    duplicates: int = 0
    replaced: int = 0  # rows that a merged range took the place of
    poison: int = 0
    later_version: int = 0
    capped: int = 0
    unregistered: int = 0
    routers: dict[int, str] = field(default_factory=dict)  # id and name of those to be acked
    fresh: list[tuple[int, Arrived]] = field(default_factory=list)  # live and stored, with router


class Registered(Protocol):
    """Which routers are registered."""

    def router_id(self, name: str) -> int | None:
        """The store's id, or None for a stranger."""
        ...


class Derived(Protocol):
    """Something computed from a batch inside its transaction, such as presence."""

    def record(self, items: Sequence[tuple[int, Arrived | Said]]) -> None:
        """Items of registered routers with their router's id, in order of arrival."""
        ...

    def forget(self) -> None:
        """The transaction failed."""
        ...


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that one router may add in an hour: a stolen key must not fill a disk."""

    samples: int = 20_000  # also of statuses, and of poison that settles seqs
    runs: int = 200  # also of boots


class Store:
    """Saves batches into an open database; see the module's rules."""

    def __init__(
        self,
        db: sqlite3.Connection,
        registered: Registered,
        caps: Caps = Caps(),
        derived: Sequence[Derived] = (),
    ) -> None:
        self._db = db
        self._registered = registered
        self._caps = _Meter(caps)
        self._derived = derived
        self._runs = Runs(db)
        self._boots: OrderedDict[tuple[int, str], tuple[int, bool]] = OrderedDict()
        self._interfaces: OrderedDict[tuple[int, str, str, str], int] = OrderedDict()
        self._opened: dict[int, tuple[int, int]] = {}  # router and when touched, by run

    def save(self, items: Sequence[Item]) -> Saved:
        """Commit a batch; StoreError if nothing of it was kept."""
        saved = Saved()
        self._caps.begin()
        try:
            with transaction(self._db):
                self._save(items, saved)
        except BaseException:
            self._forget()
            raise
        self._runs.trim()
        return saved

    def ack(self, router_id: int, router: str) -> Ack:
        """What `router` may forget: its open runs, the ones touched last."""
        rows = self._db.execute(
            "SELECT run.token FROM open_run JOIN run ON run.id = open_run.run_id"
            " WHERE run.router_id = ? ORDER BY open_run.touched_ms DESC, run.id DESC LIMIT ?",
            (router_id, MAX_RUNS),
        ).fetchall()
        runs = (self._runs.find(router_id, token) for (token,) in rows)
        return Ack(router, tuple(run.acked() for run in runs if run is not None))

    def routers_with_open_runs(self) -> list[tuple[int, str]]:
        """Id and name of every registered router that has an open run."""
        return self._db.execute(
            "SELECT DISTINCT router.id, router.name FROM open_run"
            " JOIN run ON run.id = open_run.run_id JOIN router ON router.id = run.router_id"
            " WHERE router.registered = 1 ORDER BY router.id"
        ).fetchall()

    def _save(self, items: Sequence[Item], saved: Saved) -> None:
        changes: list[Change] = []
        known: list[tuple[int, Arrived | Said]] = []
        for item in items:
            if isinstance(item, Poison):
                self._save_poison(item, saved)
                continue
            name = item.sample.router if isinstance(item, Arrived) else item.status.router
            router_id = self._registered.router_id(name)
            if router_id is None:
                self._knock(name, item.arrived_ms)
                saved.unregistered += 1
                continue
            if isinstance(item, Arrived):
                if self._save_sample(router_id, item, saved, changes) == "duplicate":
                    continue  # the broker says again what it retains: nobody spoke
            else:
                token, at_ms = item.status.boot, item.arrived_ms
                if not (
                    self._caps.sample(router_id, at_ms) and self._is_boot(router_id, token, at_ms)
                ):
                    saved.capped += 1
                    continue
                if item.status.state == "online":
                    self._hear(router_id, token, changes)
                else:
                    self._boot(router_id, token, online=False)
            known.append((router_id, item))
        self._runs.write()
        self._write_open_runs()
        timeline.settle_times(self._db, changes)
        for derived in self._derived:
            derived.record(known)
        self._count(saved)

    def _save_sample(
        self, router_id: int, item: Arrived, saved: Saved, changes: list[Change]
    ) -> Literal["stored", "duplicate", "capped"]:
        sample = item.sample
        if self._runs.find(router_id, sample.run) is None and not self._caps.run(
            router_id, item.arrived_ms
        ):
            saved.capped += 1
            return "capped"
        run = self._runs.find_or_make(router_id, sample.run)
        is_duplicate = self._is_duplicate(run, sample)
        if is_duplicate:
            saved.duplicates += 1
            if item.live and self._is_boot(router_id, sample.boot, item.arrived_ms):
                self._hear(router_id, sample.boot, changes)
        elif not self._has_room(router_id, item):
            saved.capped += 1
            return "capped"
        else:
            boot_id = self._boot(router_id, sample.boot, online=item.live)
            saved.replaced += self._remove_inside(run, sample, changes)
            run.boot_id = boot_id
            changes.append(self._insert(run, boot_id, item))
            saved.stored += 1
            if item.live:
                saved.fresh.append((router_id, item))
        run.store(sample.first_seq, sample.seq)
        self._learn(run, item)
        saved.routers[router_id] = sample.router
        return "duplicate" if is_duplicate else "stored"

    def _has_room(self, router_id: int, item: Arrived) -> bool:
        """None of the rows that the sample adds is over a cap."""
        now_ms = item.arrived_ms
        names = ((router_id, *name) for name in _counters(item.sample))
        new = sum(self._find_interface(name) is None for name in names)
        return (
            self._caps.sample(router_id, now_ms)
            and self._is_boot(router_id, item.sample.boot, now_ms)
            and (not new or self._caps.interfaces(router_id, now_ms, new))
        )

    def _is_boot(self, router_id: int, token: str, now_ms: int) -> bool:
        """The boot is known, or may be made."""
        key = (router_id, token)
        return (
            key in self._boots
            or self._db.execute(
                "SELECT 1 FROM boot WHERE router_id = ? AND token = ?", key
            ).fetchone()
            is not None
            or self._caps.boot(router_id, now_ms)
        )

    def _is_duplicate(self, run: Run, sample: Sample) -> bool:
        """Contained in a stored range, or pieced together from rows that are pruned by now."""
        first, last = sample.first_seq, sample.seq
        if not run.stored.covers(first, last):
            return False
        row = self._db.execute(
            "SELECT first_seq FROM sample WHERE run_id = ? AND seq >= ? ORDER BY seq LIMIT 1",
            (run.id, last),
        ).fetchone()
        if row is not None and row[0] <= first:
            return True
        inside = self._db.execute(
            "SELECT coalesce(sum(seq - first_seq + 1), 0) FROM sample"
            " WHERE run_id = ? AND seq BETWEEN ? AND ?",
            (run.id, first, last),
        ).fetchone()[0]
        return bool(inside != last - first + 1)

    def _remove_inside(self, run: Run, sample: Sample, changes: list[Change]) -> int:
        """Take out the rows that a merged range contains."""
        if sample.first_seq == sample.seq:
            return 0
        span = (run.id, sample.first_seq, sample.seq)
        rows = self._db.execute(
            "SELECT boot_id, seq, uptime_ms, at_ms, max(covers_ms, coalesce(observed_ms, 0))"
            " FROM sample"
            " WHERE run_id = ? AND seq BETWEEN ? AND ?",
            span,
        ).fetchall()
        self._db.execute("DELETE FROM body WHERE run_id = ? AND seq BETWEEN ? AND ?", span)
        self._db.execute("DELETE FROM sample WHERE run_id = ? AND seq BETWEEN ? AND ?", span)
        for boot_id, seq, uptime_ms, at_ms, reach_ms in rows:
            changes.append(
                Change(run.router_id, boot_id, run.id, seq, uptime_ms, "removed", at_ms, reach_ms)
            )
        return len(rows)

    def _insert(self, run: Run, boot_id: int, item: Arrived) -> Change:
        sample, arrived = item.sample, item.arrived_ms
        believed = sample.clock == "ntp" and sample.taken_at <= arrived + MAX_AHEAD_MS
        bss, radios = sample.bss or (), sample.radios or ()
        visitors = sample.visitors
        self._db.execute(
            f"INSERT INTO sample VALUES ({', '.join('?' * 24)})",
            (
                run.id,
                sample.seq,
                sample.first_seq,
                run.router_id,
                boot_id,
                sample.uptime_ms,
                arrived,
                max(sample.taken_at, timeline.EARLIEST_MS) if believed else arrived,
                "ntp" if believed else "arrival",
                sample.covers_ms,
                _sections(sample),
                sample.clients,
                sample.clients_min,
                sample.clients_max,
                sample.active,
                _total(one.weak for one in bss) if sample.clients is not None else None,
                sample.client_ms,
                sample.observed_ms,
                visitors.count if visitors else None,
                visitors.since if visitors else None,
                _total(one.airtime_busy_ms for one in radios) if radios else None,
                _total(one.airtime_active_ms for one in radios) if radios else None,
                counters.pack(self._by_interface(run, sample)),
                int(believed),
            ),
        )
        self._db.execute(
            "INSERT INTO body (run_id, seq, arrived_ms, packed) VALUES (?, ?, ?, ?)",
            (run.id, sample.seq, arrived, body.pack(item.payload)),
        )
        return Change(run.router_id, boot_id, run.id, sample.seq, sample.uptime_ms, "stored", None)

    def _by_interface(self, run: Run, sample: Sample) -> dict[int, tuple[int, int]]:
        """Bytes of every BSS and of the uplink, those that ended inside a merged range too."""
        return {
            self._interface((run.router_id, *name)): value
            for name, value in _counters(sample).items()
        }

    def _learn(self, run: Run, item: Arrived) -> None:
        """Take in what the sample says the spool still holds."""
        sample, now = item.sample, item.arrived_ms
        for held in sample.spool:
            if held.run == sample.run:
                if held.span is not None:
                    run.learn(sample.seq, held.span[0] - 1)
            elif held.span is not None:
                older = self._runs.find(run.router_id, held.run)
                if older is None and not self._caps.run(run.router_id, now):
                    continue
                older = older or self._runs.find_or_make(run.router_id, held.run)
                older.learn(held.span[1], held.span[0] - 1)
                self._open(older, now)
                self._succeed(older, run)
            else:
                older = self._runs.find(run.router_id, held.run)
                if older is not None:
                    older.closed = True
                    self._opened.pop(older.id, None)
                    self._db.execute("DELETE FROM open_run WHERE run_id = ?", (older.id,))
        self._open(run, now)

    def _open(self, run: Run, now_ms: int) -> None:
        _, touched_ms = self._opened.get(run.id, (0, 0))
        self._opened[run.id] = (run.router_id, max(touched_ms, now_ms))

    def _write_open_runs(self) -> None:
        """Once a batch for each run; only a run that was not open can make them too many."""
        for run_id, (router_id, touched_ms) in self._opened.items():
            known = self._db.execute(
                "UPDATE open_run SET touched_ms = max(touched_ms, ?) WHERE run_id = ?",
                (touched_ms, run_id),
            ).rowcount
            if not known:
                self._db.execute("INSERT INTO open_run VALUES (?, ?)", (run_id, touched_ms))
                self._trim_open_runs(router_id)
        self._opened.clear()

    def _succeed(self, older: Run, newer: Run) -> None:
        if newer.boot_id is not None:
            self._db.execute(
                "INSERT OR IGNORE INTO succession VALUES (?, ?)", (older.id, newer.boot_id)
            )

    def _trim_open_runs(self, router_id: int) -> None:
        self._db.execute(
            "DELETE FROM open_run WHERE run_id IN (SELECT open_run.run_id FROM open_run"
            " JOIN run ON run.id = open_run.run_id WHERE run.router_id = ?"
            " ORDER BY open_run.touched_ms DESC, run.id DESC LIMIT -1 OFFSET ?)",
            (router_id, MAX_OPEN_RUNS),
        )

    def _hear(self, router_id: int, token: str, changes: list[Change]) -> None:
        """The router spoke while the boot ran, which places samples of it that came before."""
        known = self._boots.get((router_id, token))
        boot_id = self._boot(router_id, token, online=True)
        if (known is None or not known[1]) and self._db.execute(
            "SELECT 1 FROM boot_time WHERE boot_id = ? AND quality = 'bounded'", (boot_id,)
        ).fetchone() is not None:
            changes.append(Change(router_id, boot_id, 0, 0, 0, "stored", None))  # no row is new

    def _boot(self, router_id: int, token: str, online: bool) -> int:
        """The boot's id; `online` marks it as heard while it ran."""
        key = (router_id, token)
        found = self._boots.get(key)
        if found is None or (online and not found[1]):
            self._db.execute(
                "INSERT INTO boot (router_id, token, online) VALUES (?, ?, ?) ON CONFLICT"
                " (router_id, token) DO UPDATE SET online = max(online, excluded.online)",
                (router_id, token, int(online)),
            )
            row = self._db.execute(
                "SELECT id, online FROM boot WHERE router_id = ? AND token = ?", key
            ).fetchone()
            found = self._boots[key] = (row[0], bool(row[1]))
        _trim(self._boots)
        return found[0]

    def _interface(self, key: tuple[int, str, str, str]) -> int:
        found = self._find_interface(key)
        if found is None:
            self._db.execute(
                "INSERT INTO interface (router_id, role, ifname, since) VALUES (?, ?, ?, ?)", key
            )
            found = self._find_interface(key)
            assert found is not None
        _trim(self._interfaces)
        return found

    def _find_interface(self, key: tuple[int, str, str, str]) -> int | None:
        """Id of router, role, ifname and since, if the store has it."""
        if key not in self._interfaces:
            row = self._db.execute(
                "SELECT id FROM interface"
                " WHERE router_id = ? AND role = ? AND ifname = ? AND since = ?",
                key,
            ).fetchone()
            if row is None:
                return None
            self._interfaces[key] = row[0]
        return self._interfaces[key]

    def _save_poison(self, item: Poison, saved: Saved) -> None:
        if item.later_version:  # the router keeps it until this collector is upgraded
            saved.later_version += 1
            return
        saved.poison += 1
        self._db.execute(
            "INSERT INTO quarantine (arrived_ms, topic, rule, sha256, head) VALUES (?, ?, ?, ?, ?)",
            (
                item.arrived_ms,
                item.topic[:256],
                item.rule[:256],
                hashlib.sha256(item.payload).hexdigest(),
                item.payload[:MAX_HEAD],
            ),
        )
        self._db.execute(
            "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?",
            (MAX_QUARANTINE,),
        )
        if item.router is None or item.span is None:
            return
        router_id = self._registered.router_id(item.router)
        if router_id is None or not self._caps.sample(router_id, item.arrived_ms):
            return
        token, first, last = item.span
        known = self._runs.find(router_id, token)
        if known is None and not self._caps.run(router_id, item.arrived_ms):
            return
        run = known or self._runs.find_or_make(router_id, token)
        run.refuse(first, last)
        self._open(run, item.arrived_ms)
        saved.routers[router_id] = item.router

    def _knock(self, name: str, now_ms: int) -> None:
        self._db.execute(
            "INSERT INTO knock SELECT :name, :now, :now, 1 WHERE (SELECT count(*) FROM knock)"
            " < :most OR EXISTS (SELECT 1 FROM knock WHERE name = :name) ON CONFLICT (name)"
            " DO UPDATE SET last_ms = :now, messages = messages + 1",
            {"name": name, "now": now_ms, "most": MAX_KNOCKS},
        )

    def _count(self, saved: Saved) -> None:
        names: list[tuple[Literal["poison", "later_version", "capped", "unregistered"], int]] = [
            ("poison", saved.poison),
            ("later_version", saved.later_version),
            ("capped", saved.capped),
            ("unregistered", saved.unregistered),
        ]
        for name, more in names:
            if more:
                self._db.execute(
                    "INSERT INTO tally VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                    (name, more),
                )

    def _forget(self) -> None:
        self._runs.forget()
        self._boots.clear()
        self._interfaces.clear()
        self._opened.clear()
        self._caps.undo()
        for derived in self._derived:
            derived.forget()


class _Meter:
    """Counts what each router added in the hour of arrival that runs."""

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._hour = 0
        self._counts: dict[tuple[str, int], int] = {}
        self._before: tuple[int, dict[tuple[str, int], int]] = (0, {})

    def begin(self) -> None:
        self._before = (self._hour, self._counts.copy())

    def undo(self) -> None:
        self._hour, self._counts = self._before

    def sample(self, router_id: int, now_ms: int) -> bool:
        return self._allow("sample", router_id, now_ms, self._caps.samples)

    def run(self, router_id: int, now_ms: int) -> bool:
        return self._allow("run", router_id, now_ms, self._caps.runs)

    def boot(self, router_id: int, now_ms: int) -> bool:
        return self._allow("boot", router_id, now_ms, self._caps.runs)

    def interfaces(self, router_id: int, now_ms: int, more: int) -> bool:
        return self._allow("interface", router_id, now_ms, MAX_NEW_INTERFACES, more)

    def _allow(self, what: str, router_id: int, now_ms: int, cap: int, more: int = 1) -> bool:
        hour = now_ms // 3_600_000
        if hour > self._hour:
            self._hour = hour
            self._counts.clear()
        count = self._counts.get((what, router_id), 0) + more
        if count > cap:
            return False
        self._counts[what, router_id] = count
        return True


def _counters(sample: Sample) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Bytes received and sent by role, ifname and since, of every BSS and of the uplink."""
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    for past in sample.past or ():
        if past.role != "lan":
            found[past.role, past.ifname, past.since] = (past.rx_bytes, past.tx_bytes)
    for bss in sample.bss or ():
        if bss.since is not None and bss.rx_bytes is not None and bss.tx_bytes is not None:
            found["bss", bss.ifname, bss.since] = (bss.rx_bytes, bss.tx_bytes)
    for net in sample.net or ():
        if net.role == "uplink":
            found["uplink", net.ifname, net.since] = (net.rx_bytes, net.tx_bytes)
    return found


def _sections(sample: Sample) -> int:
    """Of what the byte counters are complete; rates pass over a sample that lacks them."""
    bss, past = sample.bss or (), {one.role for one in sample.past or ()}
    counted = [None not in (one.since, one.rx_bytes, one.tx_bytes) for one in bss]
    all_bss = all(counted) and (bool(counted) or "bss" in past)
    uplink = "uplink" in past or any(one.role == "uplink" for one in sample.net or ())
    return (ALL_BSS if all_bss else 0) | (UPLINK if uplink else 0)


def _total(values: Iterable[int | None]) -> int | None:
    """The sum, or None when any is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _trim(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > MAX_CACHED_INTERFACES:
        cache.popitem(last=False)
