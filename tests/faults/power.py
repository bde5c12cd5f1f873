"""Power cuts of routers: the spool in RAM goes, and flash is what it was at some moment before.

Rule: what no copy on flash had may be lost, so much at most as the copies are apart; the collector
says that it is lost, or nobody had ever heard of it, and it shows as a gap.
"""

import json
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from tests.faults import oracle
from tests.faults.checker import terms
from tests.faults.launcher import Settings
from tests.faults.trial import Trial
from tests.faults.world import World, settled
from titik_agent.spool.checkpoint import FILE
from titik_agent.spool.record import scan
from titik_collector.store.ranges import Ranges

CHECKPOINT_S = 4
SETTINGS = Settings("", patience_s=1.0, checkpoint_s=float(CHECKPOINT_S))
# Copies are a step of the loop, which takes a sample every second, apart from due.
MOST_LOST = CHECKPOINT_S + 2
STATES = ("synced", "synced", "torn aside", "rolled back", "torn")


def power_cuts(trial: Trial) -> None:
    """`count` cuts during outages; with flash as it was synced, or worse than flash may be."""
    with trial.world(3, settings=SETTINGS, persist=True) as world:
        plan = trial.plan(STATES, world.routers, (0.0, 2.0), (5.0, 12.0))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        cuts = []
        for fault in plan:
            world.sleep(fault.after_s)
            world.spaces.break_uplink(fault.target, "cut")
            copies = _outage(world, fault.target, fault.lasts_s)
            world.kill_agent(fault.target)
            shutil.rmtree(world.spool(fault.target))
            _leave(world.flash(fault.target), fault.kind, copies, trial)
            cuts.append((fault, _cut_off(world, fault.target)))
            _boot(world, fault.target)
            world.spaces.mend_uplink(fault.target)
            before = world.taken(fault.target)
            world.until(
                lambda router=fault.target, before=before: world.taken(router) > before,  # type: ignore[misc]
                "it starts again",
            )
        trial.settle(world, declared=sum(len(gone) for _, gone in cuts))
        most = 0
        with world.city.reader() as db:
            for fault, gone in cuts:
                runs = {name for name, _ in gone}
                there = {(name, seq) for name in runs for seq in terms(db, name)["stored"]}
                if fault.kind not in ("synced", "torn aside"):
                    continue
                lost = len(gone - there)
                most = max(most, lost)
                if lost > MOST_LOST:
                    trial.wrong.append(f"{fault} cost {lost} samples, {MOST_LOST} promised")
        trial.figures |= {"starts": len(cuts), "checkpoint_s": CHECKPOINT_S, "most_lost": most}


def _outage(world: World, router: str, lasts_s: float) -> list[bytes]:
    """What flash held meanwhile, oldest first."""
    copies = [b""]
    for _ in range(int(lasts_s * 4)):
        world.sleep(0.25)
        with suppress(FileNotFoundError):
            data = (world.flash(router) / FILE).read_bytes()
            if data != copies[-1]:
                copies.append(data)
    return copies


def _leave(flash: Path, how: str, copies: list[bytes], trial: Trial) -> None:
    file = flash / FILE
    data = file.read_bytes() if file.exists() else b""
    torn = data[: trial.rand.randrange(len(data) + 1)]
    if not flash.exists() or how == "synced":
        return
    if how == "torn aside":
        file.with_name(f"{FILE}.tmp").write_bytes(torn)
    else:
        file.write_bytes(torn if how == "torn" else trial.rand.choice(copies))


def _cut_off(world: World, router: str) -> set[tuple[tuple[str, str], int]]:
    """Samples that the spool had, and neither flash nor the store has."""
    file = world.flash(router) / FILE
    found = scan(file.read_bytes()) if file.exists() else ()
    safe = {
        (one.key.run, seq)
        for one in found
        if one is not None
        for seq in range(one.key.first_seq, one.key.seq + 1)
    }
    gone = set()
    stored = settled(world.city, router)
    for name, run in oracle.read(world.folder / "oracle").items():
        if name[0] != router:
            continue
        seqs = {seq for seq, one in run.items() if one.kept and (name[1], seq) not in safe}
        new = seqs - world.cut_off.get(name, set())
        world.cut_off.setdefault(name, set()).update(seqs)
        known = stored.get(name, Ranges())
        gone |= {(name, seq) for seq in new if not known.covers(seq, seq)}
    return gone


def _boot(world: World, router: str, **clock: int) -> None:
    world.lie(router).write_text(json.dumps({"boot": str(uuid.uuid4()), **clock}))
    world.start_agent(router)


def never_synced(trial: Trial) -> None:
    """`count` boots in 1970 that end without NTP or uplink: kept, `bounded`, in no minute."""
    with trial.world(1, settings=SETTINGS, persist=True) as world:
        trial.plan(("never synced",), world.routers, (0.0, 0.0))
        world.city.collect()
        _boot(world, "r-1")
        world.until_taken(3)
        dark: set[str] = set()
        for _ in range(trial.count):
            world.until_settled(("r-1",))
            world.agents["r-1"].stop()
            world.spaces.break_uplink("r-1", "cut")
            before = set(oracle.read(world.folder / "oracle"))
            _boot(world, "r-1", guess=1, wrong_ms=-56 * 365 * 86_400_000)
            world.until_taken(CHECKPOINT_S + 3)
            world.kill_agent("r-1")
            shutil.rmtree(world.spool("r-1"))
            _cut_off(world, "r-1")
            dark |= {run for _, run in set(oracle.read(world.folder / "oracle")) - before}
            _boot(world, "r-1")
            world.spaces.mend_uplink("r-1")
            world.until_taken(2)
        verdict = trial.settle(world, declared=MOST_LOST * trial.count, late=True)
        with world.city.reader() as db:
            rows = db.execute(
                "SELECT token, quality FROM sample JOIN run ON run.id = sample.run_id"
            ).fetchall()
        wrong = [row for row in rows if (row[1] == "bounded") != (row[0] in dark)]
        trial.figures |= {"bounded_rows": sum(row[1] == "bounded" for row in rows)}
        if wrong or not trial.figures["bounded_rows"]:
            trial.wrong.append(f"{len(wrong)} rows of {verdict.stored} have the wrong quality")
