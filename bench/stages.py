"""Where a collector's time goes for a message of a flood, stage by stage.

Rule: it is the whole collector, in this process, at a real broker and over a real store. Only its
public methods are timed, from outside. What sends has a process of its own.
Rule: a stage is processor time, so that a neighbour's load and the disk count little. All stages
together are all that the process took from the first message to the last commit.
"""

import contextlib
import gc
import multiprocessing
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bench.flood import Flood, Server
from bench.results import Length, Result
from titik_collector.assemble import Parts
from titik_collector.broker_setup.login import login
from titik_collector.collect import Collector
from titik_collector.config import model
from titik_collector.ingest import ingest, items
from titik_collector.limits import CIRCLES
from titik_collector.store import body
from titik_collector.store.sqlite import open_writer

COMMAND = "python -m bench.run --only stages"
PATIENCE_S = 120.0
STAGES: Final = {
    "receive": "from the socket to messages",
    "decode": "from bytes to samples within the contract",
    "place": "what is known of run and boot, and when it was taken",
    "write": "bodies deflated, rows and commits",
    "acknowledge": "to the broker and to routers",
    "jobs": "rollups above all; they rest in a flood",
    "": "the loop around them",
}
_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "COMMIT")  # also behind what `keyed` gives


def run(length: Length) -> list[Result]:
    """The table of a message's way."""
    each, rounds = (50, 1) if length == "quick" else (1500, 5)
    with tempfile.TemporaryDirectory() as name, Server(Path(name)) as server:
        spent = [measured(server, each) for _ in range(rounds)]
    figures = {name or "between the stages": [one[name] for one in spent] for name in STAGES}
    figures["all of it"] = [sum(one.values()) for one in spent]
    notes = dict(zip(figures, STAGES.values(), strict=False))
    return [
        Result(name, "us of CPU/message", tuple(runs), None, COMMAND, notes.get(name, ""))
        for name, runs in figures.items()
    ]


def measured(server: Server, each: int) -> dict[str, float]:
    flood, port = Flood(each, time.time_ns() // 1_000_000), server.broker.port
    try:
        return measure(server.configured(port), flood.count, lambda: flood.send_all(port))
    finally:
        server.forget()


class Stopwatch:
    """Charges this process's time to one stage at a time."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._stage = ""
        self._since = time.process_time()

    def clock(
        self,
        owner: Any,
        name: str,
        stage: str,
        within: str = "",
        when: Callable[..., bool] = lambda *_: True,
    ) -> None:
        """A call of this method is of a stage, unless one goes on that is not `within`."""
        act = getattr(owner, name)

        def timed(*values: Any, **named: Any) -> Any:
            if self._stage != within or not when(*values):
                return act(*values, **named)
            self._switch(stage)
            try:
                return act(*values, **named)
            finally:
                self._switch(within)

        setattr(owner, name, timed)

    def _switch(self, stage: str) -> None:
        now = time.process_time()
        self.spent[self._stage] += now - self._since
        self._stage, self._since = stage, now


def measure(place: Path, count: int, send: Callable[[], object]) -> dict[str, float]:
    """Microseconds a message by stage, of the `count` that `send` sends to a new collector."""
    settings = model.load(place / "titik.toml")
    gc.set_threshold(*CIRCLES)  # as in a collector
    with contextlib.closing(open_writer(settings.beside)) as db:
        parts = Parts(settings, db, login(settings))
        collector, stored = Collector(parts), Counter[str]()
        watch = Stopwatch()
        with _clocked(watch, parts, db, stored):
            _turn(collector, lambda: parts.link.connected)
            watch.spent.clear()
            sender = multiprocessing.get_context("fork").Process(target=send)
            sender.start()
            _turn(collector, lambda: stored["samples"] >= count)
            sender.join(PATIENCE_S)
        collector.close()
    return {stage: watch.spent[stage] / count * 1e6 for stage in STAGES}


@contextlib.contextmanager
def _clocked(watch: Stopwatch, parts: Parts, db: Any, stored: Counter[str]) -> Any:
    """All stages are timed until the end of the block; what is stored is counted."""
    functions = items.to_item, ingest.fit, body.pack
    save = parts.batches.save

    def counted(items: Any) -> Any:
        saved = save(items)
        stored["samples"] += saved.stored
        return saved

    parts.batches.save = counted  # type: ignore[method-assign]
    watch.clock(parts.link, "receive", "receive")
    watch.clock(items, "to_item", "decode")
    watch.clock(parts.batches, "save", "place")
    watch.clock(db, "execute", "write", "place", lambda sql, *_: _writes(sql))
    watch.clock(db, "executemany", "write", "place")
    watch.clock(body, "pack", "write", "place")
    for owner, name in (
        (parts.link, "acknowledge"),
        (parts.batches, "acks"),
        (ingest, "fit"),
        (parts.link, "publish"),
        (parts.link, "flush"),
    ):
        watch.clock(owner, name, "acknowledge")
    watch.clock(parts.jobs, "run", "jobs")
    try:
        yield
    finally:
        items.to_item, ingest.fit, body.pack = functions


def _writes(sql: str) -> bool:
    return sql.startswith(_WRITES) or " INSERT INTO " in sql


def _turn(collector: Collector, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < deadline, f"not in {PATIENCE_S} s"
        collector.turn()
