"""`python -m tests.faults mutate`: break a promise on purpose, and see its scenario turn red.

Rule: an edit fits the code exactly once, or the mutation is stale, which is an error.
Rule: a mutated copy must be red for the reason that is written here, and not for any other.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.broker.running import ROOT
from tests.faults.world import commit, tested

LANES = 2
FOLDERS = ("agent", "broker", "deploy", "tests", "tools")
PATIENCE_S = 600  # far above any scenario at a small count


class Stale(Exception):
    """The code has changed: write the mutation again."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`old`, which is there once, becomes `new`."""

    file: str
    old: str
    new: str

    def of(self, text: str) -> str:
        """The text as it is after the edit."""
        if text.count(self.old) != 1:
            raise Stale(f"stale: {self.file} has {text.count(self.old)} times: {self.old.strip()}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is broken, where, and how it must show."""

    what: str
    scenario: str
    count: int
    wrong: str  # a pattern that a line of the result's `wrong` must have
    edits: tuple[Edit, ...]
    engine: str = "sqlite"


# A scenario that has lost something waits so long for it, where there is a machine to itself.
HASTE = Edit("tests/faults/world.py", "\nPATIENCE_S = 120.0\n", "\nPATIENCE_S = 40.0\n")

POSTGRES = "broker/titik_collector/store/postgres.py"
SCHEMA = "broker/titik_collector/store/schema/postgres/0021_whole.sql"
PATRONI = "deploy/high-availability/patroni.yml"
WAVES = "broker/titik_collector/wishes/waves.py"
INGEST = "broker/titik_collector/ingest/ingest.py"
SAVE = """\
        saved = self._save()
        self._inbox.acknowledge(self._batch)
"""
EARLY_ACK = Edit(
    INGEST,
    SAVE,
    """\
        from titik_collector.received import Arrived
        from titik_wire.messages import AckedRun
        for _, one in self._items:
            if isinstance(one, Arrived):
                sample = one.sample
                ack = Ack(sample.router, (AckedRun(sample.run, sample.seq),))
                self._outbox.publish(topics.ack(ack.router), fit(ack), retain=True)
        self._outbox.flush()
"""
    + SAVE,
)
NO_LOOK = Edit(
    "broker/titik_collector/ingest/intake.py",
    "covered = run is not None and run.has(sample.first_seq, sample.seq)",
    "covered = False",
)
NO_KEY = (
    NO_LOOK,
    Edit(
        SCHEMA,
        "  reach_rounds BIGINT,\n  PRIMARY KEY (run_id, seq)\n",
        "  reach_rounds BIGINT\n",
    ),
    Edit(
        SCHEMA,
        "deflate with the preset dictionary\n  UNIQUE (run_id, seq)\n",
        "deflate with the preset dictionary\n  spare BIGINT\n",
    ),
)
UNKNOWN_IS_MADE = Edit(
    POSTGRES,
    """\
            self._commit()

    def renew""",
    """\
            with suppress(StoreError):
                self._commit()

    def renew""",
)
MUTATIONS = {
    "ack-before-commit": Mutation(
        "the collector publishes a router's ack before the commit",
        "collector-kills",
        2,
        r"acks_ahead|lost|declared",
        (EARLY_ACK,),
    ),
    "puback-before-commit": Mutation(
        "the collector acknowledges a message to the broker before the commit",
        "collector-restarts",
        3,
        r"did not come from the broker's queue",
        (
            Edit(
                INGEST,
                SAVE,
                """\
        self._inbox.acknowledge(self._batch)
        if (session := getattr(self._inbox, "_session")) is not None:
            session.paho.loop_write()
        saved = self._save()
""",
            ),
        ),
    ),
    "no-primary-key": Mutation(
        "no primary key, and nobody looks whether a sample is there already",
        "collector-kills",
        2,
        r"^duplicated",
        (
            NO_LOOK,
            Edit(
                "broker/titik_collector/store/schema/0005_main_path.sql",
                "THEN at_ms END) VIRTUAL,\n  PRIMARY KEY (run_id, seq)\n) STRICT, WITHOUT ROWID;",
                "THEN at_ms END) VIRTUAL\n) STRICT;",
            ),
            Edit(
                "broker/titik_collector/store/schema/0005_main_path.sql",
                "deflate with the preset dictionary\n  UNIQUE (run_id, seq)\n",
                "deflate with the preset dictionary\n  spare INTEGER\n",
            ),
        ),
    ),
    "clean-start": Mutation(
        "the collector connects with the library's default, which wipes its session",
        "collector-restarts",
        3,
        r"did not come from the broker's queue",
        (
            Edit(
                "broker/titik_collector/broker_link/session.py",
                "clean_start=False,",
                "clean_start=True,",
            ),
        ),
    ),
    "trim-on-puback": Mutation(
        "a sample leaves the spool when the broker has it, not when the collector has",
        "queued-broker-kill",
        20,
        r"^(lost|declared)",
        (
            Edit(
                "agent/titik_agent/broker_link/publisher.py",
                "            self.unacked.add(key, now)\n",
                """\
            from titik_wire.messages import Ack, AckedRun
            span = (key.first_seq, key.seq)
            runs = (AckedRun(key.run, 0, (span,)),)
            self._spool.settle(Ack(self._about.router, runs))
            self._spool._storage.kept.lost(key)  # else a collector that lacks it asks for it
""",
            ),
        ),
    ),
    "no-floors": Mutation(
        "samples do not report what the spool still holds",
        "spool-damage",
        10,
        r"^lost",
        (
            Edit(
                "agent/titik_agent/sampling/sampler.py",
                "return (Held(self.run, own), *others)",
                "return (Held(self.run, (1, seq)),)",
            ),
        ),
    ),
    "no-jitter": Mutation(
        "routers wait all for the same time before they connect again",
        "fleet-return",
        100,
        r"attempts a second",
        (
            Edit(
                "agent/titik_agent/broker_link/backoff.py",
                "return begin - now + self._rand.uniform(0, self._period_s)",
                "return begin - now + self._period_s",
            ),
        ),
    ),
    "merge-drops-a-counter": Mutation(
        "a merged sample forgets the counter of an interface that was created again",
        "overflow",
        1,
        r"^altered",
        (
            Edit(
                "agent/titik_agent/spool/merge.py",
                "past=_past(last, replace(newer, bss=bss)),",
                "past=None,",
            ),
        ),
    ),
    "wall-clock": Mutation(
        "intervals are counted by the wall clock",
        "clock-jumps",
        6,
        r"no sample for|still not: 2 more samples",
        (
            Edit(
                "agent/titik_agent/clock.py",
                "return time.monotonic()",
                "return self.wall_ms() / 1000",
            ),
        ),
    ),
    "no-fence": Mutation(
        "a transaction goes on although the lease is another collector's",
        "stopped-collectors",
        2,
        r"put away by a collector without lease|ended with|still not: the one that lost its lease",
        (
            Edit(
                POSTGRES,
                "        if not self.execute(_RENEW.format(seconds=LEASE_S),"
                " (self._epoch,)).rowcount:\n",
                "        if self.execute(_RENEW.format(seconds=LEASE_S),"
                " (self._epoch,)) is None:\n",
            ),
        ),
        "postgresql",
    ),
    "evicting": Mutation(
        "a collector connects to the broker without a look at its lease",
        "stopped-collectors",
        4,
        r"spoke to the broker again",
        (
            Edit(
                "broker/titik_collector/assemble.py",
                "            self.approach,\n",
                "            lambda: self.takeover.look(),\n",
            ),
        ),
        "postgresql",
    ),
    "commit-again": Mutation(
        "a COMMIT whose answer is lost is made again, without a look and without a key",
        "server-cuts",
        1,
        r"^duplicated",
        NO_KEY,
        "postgresql",
    ),
    "ack-on-full-disk": Mutation(
        "the collector publishes a router's ack, and the server's disk has no room for its sample",
        "store-disk",
        1,
        r"acks_ahead|lost|declared",
        (EARLY_ACK,),
        "postgresql",
    ),
    "unknown-commit": Mutation(
        "a COMMIT whose answer is lost counts as made",
        "lost-commits",
        10,
        r"acks_ahead|lost|declared",
        (UNKNOWN_IS_MADE,),
        "postgresql",
    ),
    "commit-in-memory": Mutation(
        "the server answers a COMMIT before it has written it",
        "server-kills",
        12,
        r"acks_ahead|lost|declared",
        (Edit(POSTGRES, '"synchronous_commit": "on"', '"synchronous_commit": "off"'),),
        "postgresql",
    ),
    "forgets-on-ack": Mutation(
        "a router keeps nothing of what is acknowledged",
        "restored-stores",
        1,
        r"had acknowledged is back",
        (
            Edit(
                "agent/titik_agent/spool/storage.py",
                """\
        self._blocks.remove(block)
        self._release(block)
""",
                """\
        self._blocks.remove(block)
        self._release(block)
        self.kept.lost(block.key)
""",
            ),
        ),
    ),
    "asks-for-nothing": Mutation(
        "the collector never names what it lacks",
        "restored-stores",
        1,
        r"had acknowledged is back",
        (
            Edit(
                "broker/titik_collector/store/runs.py",
                ", tuple(self.lacks()[:MAX_ALSO]))",
                ")",
            ),
        ),
    ),
    "kept-is-lost": Mutation(
        "what a router keeps and the store lacks counts as lost, and the ack covers it",
        "restored-stores",
        1,
        r"had acknowledged is back",
        (
            Edit(
                "broker/titik_collector/store/runs.py",
                "        lacks = self.lacks()\n        if lacks:\n",
                "        lacks: list[Span] = []\n        if lacks:\n",
            ),
        ),
    ),
    "sends-again-without-end": Mutation(
        "a router sends again what a collector asks for, as often as it asks",
        "endless-asking",
        12,
        r"one sample was sent \d+ times",
        (
            Edit(
                "agent/titik_agent/spool/kept.py",
                "if asked >= MAX_ASKED or not",
                "if not",
            ),
        ),
    ),
    "bad-version-goes-on": Mutation(
        "waves go on, however many routers fail with a version, and canaries hold up nobody",
        "from-a-distance",
        4,
        r"^halted: ",
        (
            Edit(
                WAVES,
                "    if failed - accepted > (len(asked) - accepted) * bounds.failed_share:\n",
                "    if failed - accepted > len(rows):\n",
            ),
            Edit(
                WAVES,
                "    while reached < last and _has_shown(waves):\n",
                "    while reached < last:\n",
            ),
            # It is waited for as long as a fleet of four needs, and not as a busy machine does.
            Edit("tests/faults/distance.py", "240.0 if trial.count", "90.0 if trial.count"),
        ),
    ),
    "no-keepalive": Mutation(
        "a connection whose other end is gone is waited for",
        "server-cuts",
        1,
        r"still not: it is found out|found out after",
        (
            Edit(
                POSTGRES,
                "            keepalives_idle=patience.ask_s,\n"
                "            keepalives_interval=patience.ask_s,\n",
                "            keepalives=0,\n",
            ),
        ),
        "postgresql",
    ),
    "late-standby": Mutation(
        "the primary answers a COMMIT that no standby has",
        "primary-kills",
        3,
        r"acked and not there",
        (Edit(PATRONI, "synchronous_mode: true", "synchronous_mode: false"),),
        "cell",
    ),
    "own-disk-is-enough": Mutation(
        "the collector asks for a COMMIT that the primary alone has",
        "primary-kills",
        3,
        r"acked and not there",
        (Edit(POSTGRES, '"synchronous_commit": "on"', '"synchronous_commit": "local"'),),
        "cell",
    ),
    "ack-before-cut-commit": Mutation(
        "the collector publishes an ack, and the primary goes off the network in the COMMIT",
        "primary-cuts",
        2,
        r"acked and not there",
        (EARLY_ACK,),
        "cell",
    ),
    "cut-commit-again": Mutation(
        "a COMMIT that the standby has is made again, without a look and without a key",
        "primary-cuts",
        2,
        r"^duplicated",
        NO_KEY,
        "cell",
    ),
    "ack-on-full-primary": Mutation(
        "the collector publishes an ack, and the primary's disk has no room for its sample",
        "primary-disks",
        1,
        r"acks_ahead|lost|declared|acked and not there",
        (EARLY_ACK,),
        "cell",
    ),
}


def main(arguments: list[str]) -> int:
    """The exit status: 1 if a mutated copy stayed green, or was red for another reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults mutate")
    parser.add_argument("--only", action="append", choices=MUTATIONS, metavar="NAME")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(LANES) as lanes:
        asked = options.only or MUTATIONS
        seen = list(lanes.map(lambda name: _shown(name, options.results), asked))
    return 0 if all(seen) else 1


def apply(mutation: Mutation, copy: Path) -> None:
    """Break the copy."""
    for edit in (*mutation.edits, HASTE):
        file = copy / edit.file
        file.write_text(edit.of(file.read_text()))


def _shown(name: str, results: Path) -> bool:
    """Whether it was caught, now or by an earlier call that tested the same code."""
    file = results / f"mutation-{name}.json"
    result = json.loads(file.read_text()) if file.exists() else {}
    if (result.get("tested"), result.get("caught")) != (tested(), True):
        result = _try(name)
        file.write_text(json.dumps(result, indent=1) + "\n")
    verdict = "caught" if result["caught"] else "NOT CAUGHT"
    print(
        f"{verdict} {name} by {result['scenario']} seconds={result['seconds']}",
        *result["wrong"],
        sep="\n    ",
        flush=True,
    )
    return bool(result["caught"])


def _try(name: str) -> dict[str, Any]:
    mutation = MUTATIONS[name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tm-", ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch) / "titik"
        for folder in FOLDERS:
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
        apply(mutation, copy)
        wrong = _wrong(mutation, copy, Path(scratch))
    reasons = [line for line in wrong if re.search(mutation.wrong, line)]
    return {
        "mutation": name,
        "what": mutation.what,
        "scenario": mutation.scenario,
        "count": mutation.count,
        "caught": bool(reasons),
        "wrong": reasons or [line[-1500:] for line in wrong],
        "commit": commit(),
        "tested": tested(),
        "seconds": round(time.monotonic() - began, 1),
    }


def _wrong(mutation: Mutation, copy: Path, scratch: Path) -> list[str]:
    """What the copy's own scenario says of it."""
    words = ["run", "--quick", "--only", mutation.scenario, "--count", str(mutation.count)]
    words += ["--engine", mutation.engine]
    where = os.pathsep.join(str(copy / one) for one in ("agent", "broker", "."))
    done = subprocess.run(
        (sys.executable, "-m", "tests.faults", *words, "--results", str(scratch / "results")),
        cwd=copy,
        # The copy is no checkout of its own.
        env=os.environ
        | {"PYTHONPATH": where, "GIT_DIR": str(_git_dir()), "GIT_WORK_TREE": str(copy)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    file = next((scratch / "results").glob("*.json"), None)
    if file is None:
        return [f"no result: {done.stdout}{done.stderr}"]
    wrong: list[str] = json.loads(file.read_text())["wrong"]
    return wrong


def _git_dir() -> Path:
    words = ("git", "rev-parse", "--absolute-git-dir")
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT)
    return Path(done.stdout.strip())
