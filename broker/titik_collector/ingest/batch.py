"""Where samples become durable: one transaction per batch, and every sample counted once.

Rule: the key is (router, run, first_seq, seq). A range that contains stored ranges replaces
them; one that is contained in a stored range is a duplicate. So any order, any number of
deliveries, and any merging on the way give the same rows.
Rule: a sample is acknowledged when it was decoded whole and has its row.
Rule: a failure keeps nothing of the batch and raises StoreError; the caller tries it again.
Rule: what is not registered, over the cap, or of a later contract is counted, and not acked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from titik_collector.ingest.caps import DEFAULT_CAPS, Caps, Meter
from titik_collector.ingest.plausible import leaps
from titik_collector.store import malformed
from titik_collector.store.database import Database, transaction
from titik_collector.store.ids import Names
from titik_collector.store.runs import Run, Runs
from titik_collector.timeline import boot_times
from titik_collector.timeline.boot_times import Change
from titik_collector.timeline.placing import Accepted, Placing
from titik_collector.timeline.promptness import Promptness
from titik_wire.messages import MAX_RUNS, Ack, Sample, Status

MAX_KNOCKS = 20  # names of unregistered routers that are kept; the rest are a count
KNOCKING_MS = 3_600_000  # who was heard within this may be connected, and keeps its place
TOUCH_EVERY_MS = 5000  # a run that goes on is written down as touched so often
# Boots of a batch that are looked through; another sample tells of the rest. Of a month each takes
# 0.1 s, and after an upgrade all of a city's are to be.
MAX_JUDGED = 10
MAX_OPEN_RUNS = 64  # per router; an ack lists the MAX_RUNS touched last


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
    poison: int = 0
    later_version: int = 0
    capped: int = 0
    unregistered: int = 0
    routers: dict[int, str] = field(default_factory=dict)  # id and name of those to be acked
    fresh: list[tuple[int, Arrived]] = field(default_factory=list)  # live and stored, with router
    prompt: set[int] = field(default_factory=set)  # whose newest fresh one came as it was taken

    def add(self, other: "Saved") -> None:
        """Another batch, too."""
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.poison += other.poison
        self.later_version += other.later_version
        self.capped += other.capped
        self.unregistered += other.unregistered
        self.routers |= other.routers
        self.fresh += other.fresh
        self.prompt |= other.prompt


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


class Store:
    """Saves batches into an open database; see the module's rules."""

    def __init__(
        self,
        db: Database,
        registered: Registered,
        caps: Caps = DEFAULT_CAPS,
        derived: Sequence[Derived] = (),
    ) -> None:
        self._db = db
        self._registered = registered
        self._caps = Meter(caps)
        self._derived = derived
        self._runs = Runs(db)
        self._names = Names(db)
        self._prompt = Promptness(db)
        self._placing = Placing(db, self._names, self._prompt.of)
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
        runs = (self._runs.look(router_id, token) for (token,) in rows)
        return Ack(router, tuple(run.acked() for run in runs if run is not None))

    def routers_with_open_runs(self) -> list[tuple[int, str]]:
        """Id and name of every registered router that has an open run."""
        return self._db.execute(
            "SELECT DISTINCT router.id, router.name FROM open_run"
            " JOIN run ON run.id = open_run.run_id JOIN router ON router.id = run.router_id"
            " WHERE router.registered = 1 ORDER BY router.id"
        ).fetchall()

    def believe(self, acks: Sequence[Ack]) -> dict[str, int]:
        """Take in acks that a broker holds: what they cover and is not here counts as lost.

        A newer state of this store published them. How many are lost, by router; StoreError if
        nothing was kept.
        """
        lost: dict[str, int] = {}
        try:
            with transaction(self._db):
                for ack in acks:
                    router_id = self._registered.router_id(ack.router)
                    more = 0 if router_id is None else self._believe(router_id, ack)
                    if more:
                        lost[ack.router] = more
                self._runs.write()
                malformed.count(self._db, "restored", sum(lost.values()))
        except BaseException:
            self._forget()
            raise
        self._runs.trim()
        return lost

    def _believe(self, router_id: int, ack: Ack) -> int:
        lost = 0
        for acked in ack.runs:
            known = self._runs.look(router_id, acked.run)
            if leaps(known.highest if known else 0, acked.upto) or (
                known is not None and known.settled().covers(1, acked.upto)
            ):
                continue
            run = self._runs.find(router_id, acked.run) or self._runs.make(router_id, acked.run)
            before = run.lost
            run.learn(acked.upto)
            run.gone = max(run.gone, acked.upto)
            lost += run.lost - before
        return lost

    def time_jumped(self) -> None:
        """What is in memory was stamped before."""
        self._runs.forget()
        self._prompt.forget()
        for derived in self._derived:
            derived.forget()

    def _save(self, items: Sequence[Item], saved: Saved) -> None:
        heard: list[Change] = []
        accepted: list[Accepted] = []
        known: list[tuple[int, Arrived | Said]] = []
        for item in items:
            if isinstance(item, Poison):
                self._save_poison(item, saved)
                continue
            name = item.status.router if isinstance(item, Said) else item.sample.router
            router_id = self._registered.router_id(name)
            if router_id is None:
                self._knock(name, item.arrived_ms)
                saved.unregistered += 1
            elif isinstance(item, Said):
                if self._take_status(router_id, item, saved, heard):
                    known.append((router_id, item))
            elif self._accept(router_id, item, saved, accepted, heard):
                known.append((router_id, item))
        self._runs.write()
        self._write_open_runs()
        heard += self._placing.place(accepted)
        boot_times.settle_times(self._db, heard)
        for derived in self._derived:
            derived.record(known)
        self._count(saved)

    def _take_status(self, router_id: int, item: Said, saved: Saved, heard: list[Change]) -> bool:
        """False if the router says too much."""
        token, at_ms = item.status.boot, item.arrived_ms
        if not (self._caps.sample(router_id, at_ms) and self._may_boot(router_id, token, at_ms)):
            saved.capped += 1
            return False
        if item.status.state == "online":
            self._hear(router_id, token, heard)
        else:
            self._names.boot(router_id, token, online=False)
        return True

    def _accept(
        self,
        router_id: int,
        item: Arrived,
        saved: Saved,
        accepted: list[Accepted],
        heard: list[Change],
    ) -> bool:
        """Settle a sample's seqs; False if that is all, since nothing new was said."""
        sample = item.sample
        run = self._run(router_id, sample.run, item.arrived_ms)
        if run is None:
            saved.capped += 1
            return True
        now_ms, live = item.arrived_ms, item.live
        covered = run.has(sample.first_seq, sample.seq)
        if covered and sample.first_seq == sample.seq:
            saved.duplicates += 1
            if live and self._may_boot(router_id, sample.boot, now_ms):
                self._hear(router_id, sample.boot, heard)
        elif not self._has_room(router_id, item):
            saved.capped += 1
            return True
        else:
            run.boot_id = self._names.boot(router_id, sample.boot, online=live)
            key = (router_id, run.id, run.boot_id)
            accepted.append(Accepted(*key, now_ms, covered, item.payload, sample))
            saved.stored += not covered
            saved.duplicates += covered  # it may still replace what it contains
            if live:
                saved.fresh.append((router_id, item))
            self._judge(router_id, run.boot_id, item, saved, heard)
        self._learn(run, sample, now_ms)
        run.store(sample.first_seq, sample.seq)
        saved.routers[router_id] = sample.router
        return not covered

    def _judge(
        self, router_id: int, boot_id: int, item: Arrived, saved: Saved, heard: list[Change]
    ) -> None:
        """What a sample's arrival says of when its boot began."""
        prompt = item.live and self._prompt.is_prompt(router_id, item.sample, item.arrived_ms)
        if item.live:
            (saved.prompt.add if prompt else saved.prompt.discard)(router_id)
        if len(heard) < MAX_JUDGED and self._prompt.learn(
            boot_id, item.arrived_ms - item.sample.uptime_ms, prompt
        ):
            heard.append(Change(router_id, boot_id, 0, 0, 0, "judged", None))

    def _run(self, router_id: int, token: str, now_ms: int) -> Run | None:
        """The run, new if it may be; None: over the cap."""
        found = self._runs.find(router_id, token)
        if found is None and self._caps.run(router_id, now_ms):
            found = self._runs.make(router_id, token)
        return found

    def _heard_of(self, router_id: int, token: str, seq: int, now_ms: int) -> Run | None:
        """The run of which the router speaks without its uptime; None: over the cap or absurd."""
        known = self._runs.look(router_id, token)
        if leaps(known.highest if known else 0, seq):
            return None
        return self._run(router_id, token, now_ms)

    def _has_room(self, router_id: int, item: Arrived) -> bool:
        """None of the rows that the sample adds is over a cap."""
        now_ms = item.arrived_ms
        return (
            self._caps.sample(router_id, now_ms)
            and self._may_boot(router_id, item.sample.boot, now_ms)
            and self._make_interfaces(router_id, item.sample, now_ms)
        )

    def _make_interfaces(self, router_id: int, sample: Sample, now_ms: int) -> bool:
        """The sample's interfaces have numbers; False if the new ones are over the cap."""
        new = self._names.new_interfaces(router_id, sample)
        if new and not self._caps.interfaces(router_id, now_ms, len(new)):
            return False
        for name in new:
            self._names.interface(router_id, name)
        return True

    def _may_boot(self, router_id: int, token: str, now_ms: int) -> bool:
        """The boot is known, or may be made."""
        return self._names.has_boot(router_id, token) or self._caps.boot(router_id, now_ms)

    def _learn(self, run: Run, sample: Sample, now: int) -> None:
        """Take in what the sample says the spool still holds."""
        for held in sample.spool:
            if held.run == sample.run:
                if held.span is not None:
                    run.hold(held.span[0], sample.seq)
            elif held.span is not None:
                older = self._heard_of(run.router_id, held.run, held.span[1], now)
                if older is None:
                    continue
                older.inherit(*held.span)
                self._open(older, now)
                self._succeed(older, run)
            else:
                older = self._runs.find(run.router_id, held.run)
                if older is not None:
                    older.disclaim()
                    older.opened_ms = 0
                    self._opened.pop(older.id, None)
                    self._db.execute("DELETE FROM open_run WHERE run_id = ?", (older.id,))
        self._open(run, now)

    def _open(self, run: Run, now_ms: int) -> None:
        if now_ms - run.opened_ms < TOUCH_EVERY_MS:
            return
        run.opened_ms = now_ms
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

    def _hear(self, router_id: int, token: str, heard: list[Change]) -> None:
        """The router spoke while the boot ran, which places samples of it that came before."""
        known = self._names.was_online(router_id, token)
        boot_id = self._names.boot(router_id, token, online=True)
        if (
            not known
            and self._db.execute(
                "SELECT 1 FROM boot_time WHERE boot_id = ? AND quality = 'bounded'", (boot_id,)
            ).fetchone()
            is not None
        ):
            heard.append(Change(router_id, boot_id, 0, 0, 0, "stored", None))  # no row is new

    def _save_poison(self, item: Poison, saved: Saved) -> None:
        if item.later_version:  # the router keeps it until this collector is upgraded
            saved.later_version += 1
            return
        saved.poison += 1
        malformed.keep(self._db, item.topic, item.payload, item.rule, item.arrived_ms)
        if item.router is None or item.span is None:
            return
        router_id = self._registered.router_id(item.router)
        if router_id is None or not self._caps.sample(router_id, item.arrived_ms):
            return
        token, first, last = item.span
        run = self._heard_of(router_id, token, last, item.arrived_ms)
        if run is None:
            return
        run.refuse(first, last)
        self._open(run, item.arrived_ms)
        saved.routers[router_id] = item.router

    def _knock(self, name: str, now_ms: int) -> None:
        """A new name takes the place of the longest unheard, unless that was heard lately.

        So a flood of names writes nothing.
        """
        known = self._db.execute(
            "UPDATE knock SET last_ms = ?, messages = messages + 1 WHERE name = ?", (now_ms, name)
        ).rowcount
        if known:
            return
        names, heard_ms = self._db.execute("SELECT count(*), min(last_ms) FROM knock").fetchone()
        if names >= MAX_KNOCKS:
            if heard_ms >= now_ms - KNOCKING_MS:
                return
            self._db.execute(
                "DELETE FROM knock WHERE name = (SELECT name FROM knock ORDER BY last_ms LIMIT 1)"
            )
        self._db.execute("INSERT INTO knock VALUES (?, ?, ?, 1)", (name, now_ms, now_ms))

    def _count(self, saved: Saved) -> None:
        names: list[tuple[Literal["poison", "later_version", "capped", "unregistered"], int]] = [
            ("poison", saved.poison),
            ("later_version", saved.later_version),
            ("capped", saved.capped),
            ("unregistered", saved.unregistered),
        ]
        for name, more in names:
            malformed.count(self._db, name, more)

    def _forget(self) -> None:
        self._runs.forget()
        self._names.forget()
        self._prompt.forget()
        self._opened.clear()
        self._caps.undo()
        for derived in self._derived:
            derived.forget()
