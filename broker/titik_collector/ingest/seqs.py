"""The seqs of each run that are settled, and what that lets each router forget.

A sample settles its own seqs, and reports of each run what its router's spool still holds. Now and
then it also reports what its router can send again, although it was acknowledged: see `Run.keep`.
Rule: of that only a run's newest sample is believed, because what is kept grows less.
"""

from collections.abc import Iterable, Mapping

from titik_collector.ingest.caps import Caps
from titik_collector.ingest.plausible import leaps
from titik_collector.store import successions
from titik_collector.store.database import Database
from titik_collector.store.ids import NamedBoot
from titik_collector.store.open_runs import OpenRuns
from titik_collector.store.runs import Run, RunName, Runs
from titik_collector.store.subject_names import NamedRouter
from titik_collector.timeline.change import Change, of_boot
from titik_wire.messages import Ack, AckedRun, Sample, Span


class Seqs:
    """The runs of all routers; what changes is written with the batch."""

    def __init__(self, db: Database, caps: Caps) -> None:
        self._db = db
        self._caps = caps
        self._runs = Runs(db)
        self._open_runs = OpenRuns(db)
        self._followed: list[tuple[Run, NamedBoot]] = []  # runs that samples of a boot named

    def read(self, names: Iterable[RunName]) -> None:
        """What a batch names is read in one go."""
        self._runs.read(names)

    def run(self, router_id: int, run_name: str, now_ms: int) -> Run | None:
        """The run, new if it may be; None: over the cap."""
        found = self._runs.find(router_id, run_name)
        if found is None and self._caps.allow("run", router_id, now_ms):
            found = self._runs.make(router_id, run_name)
        return found

    def settle(self, run: Run, sample: Sample, boot: NamedBoot | None, now_ms: int) -> None:
        """The sample is stored; take in what it reports of the spool, too. `boot` is its boot."""
        reported = {held.run: held.span for held in sample.kept or ()}
        is_reported = sample.kept is not None and sample.seq > run.highest
        if is_reported:
            own = reported.get(run.name)
            run.keep(own if own is not None and own[1] < sample.seq else None)
        for held in sample.spool:
            if held.run == sample.run:
                if held.span is not None:
                    run.hold(held.span[0], sample.seq)
            elif held.span is not None:
                self._inherit(run.router_id, held.run, held.span, boot, now_ms)
            else:
                self._disclaim(run.router_id, held.run)
        if is_reported:
            others = {*reported, *(held.run for held in sample.spool)} - {run.name}
            for run_name in sorted(others):
                self._keep(run.router_id, run_name, reported.get(run_name), now_ms)
        self._open_runs.touch(run, now_ms)
        run.store(sample.first_seq, sample.seq)

    def refuse(self, router_id: int, span: tuple[str, int, int], now_ms: int) -> bool:
        """Settle the seqs of a malformed message; False if they cannot be believed."""
        run_name, first, last = span
        run = self._heard_of(router_id, run_name, last, now_ms)
        if run is None:
            return False
        run.refuse(first, last)
        self._open_runs.touch(run, now_ms)
        return True

    def acks(self, routers: Mapping[int, str]) -> list[Ack]:
        """What each router may forget: its open runs, the ones touched last."""
        open_runs = self._open_runs.names(routers)
        names = [
            (router_id, run_name) for router_id, some in open_runs.items() for run_name in some
        ]
        self._runs.read(names)
        acked: dict[int, list[AckedRun]] = {router_id: [] for router_id in routers}
        for router_id, run_name in names:
            run = self._runs.look(router_id, run_name)
            if run is not None:
                acked[router_id].append(run.acked())
        return [Ack(router, tuple(acked[router_id])) for router_id, router in routers.items()]

    def routers_with_open_runs(self) -> list[NamedRouter]:
        """Every registered router that has an open run."""
        return self._open_runs.routers()

    def believe(self, router_id: int, ack: Ack) -> int:
        """Take in an ack that another state of this store published; how many samples are lost."""
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

    def write(self) -> list[Change]:
        """Write what changed, in the transaction of the batch, after its boots.

        Boots that are the first to follow a run.
        """
        self._runs.write()
        self._open_runs.write()
        if not self._followed:
            return []
        boots = {boot.id: boot for _, boot in self._followed}
        followed = {(run.id, boot.id) for run, boot in self._followed}
        self._followed.clear()
        new = successions.note(self._db, [*followed])
        return [of_boot(boots[one].name[0], one, "stored") for one in sorted(new)]

    def trim(self) -> None:
        """Bound what is kept in memory; called between batches."""
        self._runs.trim()

    def forget(self) -> None:
        """What is in memory may no longer be true."""
        self._runs.forget()
        self._open_runs.forget()
        self._followed.clear()

    def _heard_of(self, router_id: int, run_name: str, seq: int, now_ms: int) -> Run | None:
        """A run that the router names without its uptime; None: over the cap or absurd."""
        known = self._runs.look(router_id, run_name)
        if leaps(known.highest if known else 0, seq):
            return None
        return self.run(router_id, run_name, now_ms)

    def _inherit(
        self,
        router_id: int,
        run_name: str,
        span: tuple[int, int],
        boot: NamedBoot | None,
        now_ms: int,
    ) -> None:
        """The spool holds samples of an earlier run."""
        older = self._heard_of(router_id, run_name, span[1], now_ms)
        if older is None:
            return
        older.inherit(*span)
        self._open_runs.touch(older, now_ms)
        if boot is not None and older.followed is not boot:
            older.followed = boot
            self._followed.append((older, boot))

    def _keep(self, router_id: int, run_name: str, kept: Span | None, now_ms: int) -> None:
        """The router can send these of an earlier run again; None: nothing."""
        known = self._runs.look(router_id, run_name)
        if kept is None:
            if known is not None:
                known.keep(None)
        elif known is None or not known.has(*kept):
            older = self._heard_of(router_id, run_name, kept[1], now_ms)
            if older is not None:
                older.keep(kept)
                self._open_runs.touch(older, now_ms)

    def _disclaim(self, router_id: int, run_name: str) -> None:
        """The spool no longer holds anything of an earlier run."""
        older = self._runs.find(router_id, run_name)
        if older is not None:
            older.disclaim()
            self._open_runs.close(older)
