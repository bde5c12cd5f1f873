"""Stores that lose what they acknowledged, and a collector that asks for it without end.

Rule: what the routers keep comes back, once. The rest is declared, and nothing else is.
"""

import json
import signal
import time
from pathlib import Path

from tests.broker.running import Client
from tests.faults.launcher import Settings
from tests.faults.trial import Trial
from tests.faults.world import World
from titik_agent.limits import MAX_ASKED
from titik_wire import packed, topics
from titik_wire.codec import encode
from titik_wire.messages import CollectorStatus

HOUR_MS = 3_600_000
INTERVAL_S = 30
SLOW_S = 60  # of days: half the samples, in half the spool
ROOM_HOURS = 20  # that pass while the store is brought back and filled


def restored_stores(trial: Trial) -> None:
    """An old copy takes the store's place, or nothing does; the copy is the same each time."""
    with trial.world(2) as world:
        plan = trial.plan(("older", "wiped"), ("store",), (1.0, 4.0))
        world.city.collect()
        world.start_agents()
        world.until_taken(5)
        world.until_settled(world.routers)
        copy = _copy(world)
        back_s = []
        for fault in plan:
            world.sleep(fault.after_s)
            world.until_taken(3)
            world.until_settled(world.routers)
            _bring_back(world, copy if fault.kind == "older" else None)
            began = time.monotonic()
            _until_back(world, trial)
            back_s.append(round(time.monotonic() - began, 1))
        trial.figures["back_s"] = max(back_s)
        trial.settle(world)


def old_stores(trial: Trial) -> None:
    """The store is `count` hours old, in accelerated time: what has left the spool is declared."""
    past_ms = (trial.count + ROOM_HOURS) * HOUR_MS
    interval_s = INTERVAL_S if trial.count < ROOM_HOURS else SLOW_S
    settings = Settings("", past_ms=past_ms, speed=60.0 * interval_s)
    size = (1 << 20) * INTERVAL_S // interval_s
    with trial.world(1, settings=settings, interval_s=interval_s, spool_bytes=size) as world:
        trial.plan(("older",), ("store",), (0.0, 0.0), count=1)
        world.city.collect()
        world.start_agents()
        world.until_taken(60)
        copy = _copy(world)
        copied = _stored(world)
        # A busy machine takes fewer samples of an hour, so that no number of them is waited for.
        world.sleep(trial.count * HOUR_MS / 1000 / settings.speed)
        world.until(lambda: _stored(world) > copied, "the store has what its copy lacks")
        most, goals = _stored(world) - copied, _taken(world)
        _bring_back(world, copy)
        world.until(lambda: _is_whole(world, goals), "what is kept is back", for_s=300)
        declared = _number(world, "lost")
        trial.figures |= {
            "hours": trial.count,
            "lacked": most,
            "declared_hours": round(declared * interval_s / 3600, 1),
        }
        if trial.count < ROOM_HOURS and declared:
            trial.wrong.append(f"declared {declared}, though a spool keeps more hours than that")
        trial.settle(world, declared=declared, late=True)


def endless_asking(trial: Trial) -> None:
    """Acks that lack everything, in turns with true ones: few bytes, and the present goes on."""
    with trial.world(2) as world:
        trial.plan(("asks",), ("collector",), (0.0, 0.0))
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(20)
        world.until_settled(world.routers)
        before = {router: world.taken(router) for router in world.routers}
        settings, ports = world.city.directory.settings, world.city.directory.ports
        password = world.city.directory.password(settings.collector)
        sent: dict[tuple[str, int], int] = {}
        with world.city.engineer(topics.backlog("+")) as listener:
            for turn in range(trial.count):
                # Both are one user, and the broker lets in one at a time.
                collector.popen.send_signal(signal.SIGSTOP)
                with Client(ports.collector, settings.collector, password) as asking:
                    assert asking.answer() == "Success"
                    online = CollectorStatus(settings.collector, "online", "0")
                    asking.publish(topics.collector(online.collector), encode(online), True)
                    for router in world.routers:
                        asking.publish(topics.ack(router), _all_of(world, router, turn), True)
                    world.until_taken(2)  # the present goes on
                collector.popen.send_signal(signal.SIGCONT)
                world.until_settled(world.routers)
            while not listener.received.empty():
                _, payload = listener.received.get()
                sample = json.loads(packed.unpack(payload))
                name = sample["router"], sample["seq"]
                if sample["seq"] <= before[sample["router"]]:  # later ones may wait for their ack
                    sent[name] = sent.get(name, 0) + 1
        most = max(sent.values(), default=0)
        trial.figures |= {"sent_again": sum(sent.values()), "most_often": most}
        if not 1 <= most <= MAX_ASKED + 1:
            trial.wrong.append(f"one sample was sent {most} times")
        trial.settle(world)


def _all_of(world: World, router: str, epoch: int) -> bytes:
    """An ack that lacks everything."""
    runs = json.loads(world.witness.last[router])["runs"]
    lacks = {run: {"upto": 0, "lacks": [[1, 10**6]]} for run in runs}
    ack = json.dumps({"v": 1, "runs": lacks, "store": "asking", "epoch": epoch}).encode()
    world.witness.forged.add(ack)
    return ack


def _copy(world: World) -> Path:
    copy = world.folder / "copy"
    world.engine.copy(world.city, copy)
    return copy


def _bring_back(world: World, copy: Path | None) -> None:
    """The collector starts over this store; None: over a new one."""
    city = world.city
    assert city.collector is not None
    city.collector.stop()
    world.engine.bring_back(city, copy)
    if copy is None:
        status, output = city.titik("store", "begin", "--config", str(city.file))
        assert status == 0, output
    city.collect()


def _until_back(world: World, trial: Trial) -> None:
    """Every sample that was taken so far is stored, alone or merged."""
    goals = _taken(world)
    try:
        world.until(
            lambda: _is_whole(world, goals) and not _number(world, "lost"),
            "what the store had acknowledged is back",
            for_s=60,
        )
    except AssertionError as error:
        trial.wrong.append(str(error))


def _taken(world: World) -> dict[str, int]:
    return {router: world.taken(router) for router in world.routers}


def _is_whole(world: World, goals: dict[str, int]) -> bool:
    """The store knows of so many samples, and awaits none that routers still have."""
    with world.city.reader() as db:
        rows = db.execute(
            "SELECT router, sum(taken), sum(in_spool) FROM v_conservation GROUP BY router"
        ).fetchall()
    known = {router: int(taken) for router, taken, spooled in rows if not spooled}
    return all(known.get(router, 0) >= goal for router, goal in goals.items())


def _stored(world: World) -> int:
    return _number(world, "stored")


def _number(world: World, column: str) -> int:
    """The sum of a column of the books."""
    with world.city.reader() as db:
        row = db.execute(f"SELECT sum({column}) FROM v_conservation").fetchone()
    return int(row[0] or 0)
