"""Acks that lie, clocks that lie, and visitors without number."""

import itertools
import json
import signal
from collections.abc import Mapping
from typing import Any

from tests.broker.running import Client
from tests.faults import oracle
from tests.faults.trial import Trial
from tests.faults.world import World
from titik_wire import topics

YEAR_MS = 365 * 86_400_000
LIES_MS = {
    "a year back": -YEAR_MS,
    "a year ahead": YEAR_MS,
    "1970": -56 * YEAR_MS,
    "an hour back": -3_600_000,
    "an hour ahead": 3_600_000,
    "a leap second": -1000,
    "right": 0,
}
GAP_MS = 10_000  # between two samples taken every second on a busy machine, whatever the clock
TRIES = 20  # of a forger; the real router may evict it
STATIONS = 2007  # the most that one BSS can have


def forged_acks(trial: Trial) -> None:
    """An ack above what was taken, an old one again, and one from another router: none deletes."""
    with trial.world(2) as world:
        plan = trial.plan(("above", "stale"), world.routers, (0.0, 0.5))
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(3)
        world.until(lambda: set(world.witness.last) >= set(world.routers), "acks")
        settings, ports = world.city.directory.settings, world.city.directory.ports
        for fault in plan:
            stale = world.witness.last[fault.target]
            world.until_taken(2)
            collector.popen.send_signal(signal.SIGSTOP)
            world.until_taken(2)
            runs = json.loads(world.witness.last[fault.target])["runs"]
            above = {run: {"upto": 2**53 - 1} for run in runs}
            forged = json.dumps({"v": 1, "runs": above}).encode()
            world.witness.forged.add(forged)
            password = world.city.directory.password(settings.collector)
            with Client(ports.collector, settings.collector, password) as thief:
                assert thief.answer() == "Success"
                output = forged if fault.kind == "above" else stale
                assert thief.publish(topics.ack(fault.target), output, retain=True) == "Success"
            other = next(one for one in world.routers if one != fault.target)
            answer = _as_router(world, other, topics.ack(fault.target), forged)
            if answer != "Not authorized":
                trial.wrong.append(f"a router's ack for another: {answer}")
            world.sleep(fault.after_s + 0.3)
            collector.popen.send_signal(signal.SIGCONT)
        ignored = sum(world.agents[one].output().count("ack ignored") for one in world.routers)
        trial.figures["acks_ignored"] = ignored
        if any(one.kind == "above" for one in plan) and not ignored:
            trial.wrong.append("no agent noticed a forged ack")
        trial.settle(world)


def _as_router(world: World, router: str, topic: str, payload: bytes) -> str:
    """What the broker answers; the real router may take its connection back before that."""
    for _ in range(TRIES):
        with world.city.impostor(router) as thief:
            thief.send(topic, payload, retain=True)
            world.until(thief.has_end, "the broker answers")
            if thief.is_answered:
                return thief.published()
    return f"no answer in {TRIES} connections"


def clock_jumps(trial: Trial) -> None:
    """r-1's clock jumps about; r-2 boots in 1970 and hears of NTP only at the end."""
    with trial.world(2) as world:
        plan = trial.plan(tuple(LIES_MS), ("r-1",), (1.0, 3.0))
        world.lie("r-2").write_text(json.dumps({"wrong_ms": LIES_MS["1970"], "guess": 1}))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        for fault in plan:
            new = world.lie("r-1").with_suffix(".new")
            new.write_text(json.dumps({"wrong_ms": LIES_MS[fault.kind]}))
            new.replace(world.lie("r-1"))
            world.sleep(fault.after_s)
        for router in world.routers:
            world.lie(router).unlink(missing_ok=True)
        verdict = trial.settle(world, late=True)
        if verdict.time_errors_ms["r-2"] > 1000:
            trial.wrong.append(f"r-2 is placed {verdict.time_errors_ms['r-2']} ms from the truth")
        gaps = []
        for run in oracle.read(world.folder / "oracle").values():
            times = [one.true_ms for _, one in sorted(run.items())]
            gaps += [later - earlier for earlier, later in itertools.pairwise(times)]
        trial.figures["longest_gap_ms"] = max(gaps)
        if max(gaps) > GAP_MS:
            trial.wrong.append(f"no sample for {max(gaps)} ms")


def _counted(sample: Mapping[str, Any]) -> int | None:
    """Its clients; None where it says that hostapd could not be read, -1 where it says nothing."""
    unread = None if "hostapd" in sample["agent"].get("failed", ()) else -1
    count: int | None = sample.get("clients", unread)
    return count


def mac_flood(trial: Trial) -> None:
    """`count` addresses, every reading all new ones: memory stays, and each sample counts them.

    On a busy machine the simulated hostapd may not answer in time. Then a sample must say so.
    """
    with trial.world(1) as world:
        radio = world.radios["r-1"]
        asked = 0

        def others() -> int:
            nonlocal asked
            asked += STATIONS
            radio.first = asked
            return STATIONS

        radio.present = others
        world.city.collect()
        world.start_agents()
        world.until(lambda: asked >= trial.count, "so many addresses", 600)
        trial.settle(world)
        trial.figures |= {"addresses": asked, "cycles": 1}
        for run in oracle.read(world.folder / "oracle").values():
            counts = {seq: _counted(one.payload) for seq, one in run.items()}
            missed = [seq for seq, count in counts.items() if count not in (STATIONS, None)]
            if missed:
                trial.wrong.append(f"samples {missed[:5]} of {len(run)} do not count {STATIONS}")
            unread = sum(count is None for count in counts.values())
            if unread > max(2, len(run) // 10):
                trial.wrong.append(f"{unread} of {len(run)} samples could not read hostapd")
            rss = [one.payload["agent"]["rss_bytes"] for one in run.values()]
            trial.figures["agent_rss_bytes"] = [rss[0], max(rss)]
