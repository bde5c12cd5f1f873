"""Spools that are damaged, and spools that an outage fills."""

import os
import shutil
from pathlib import Path

from tests.agent.spooled import typical
from tests.faults.launcher import Settings
from tests.faults.trial import Trial
from tests.wire.examples import RUN
from titik_agent.spool.record import scan
from titik_agent.spool.spool import Key, Spool
from titik_wire import codec

RECORDS = 40
TAIL = 4096
HOUR_MS = 3_600_000
RENEWALS = 8  # of the radio's interface, in an outage


def spool_damage(trial: Trial) -> None:
    """Cut short at every byte of the last 4 KiB (quick: every 32nd), and `count` flipped bits.

    What is whole is kept to the byte; a flip costs at most one record, which is counted.
    """
    whole = trial.folder / "whole"
    spool = Spool(str(whole))
    held = {}
    for seq in range(1, RECORDS + 1):
        payload = codec.encode(typical(seq))
        spool.append(RUN, seq, payload)
        held[Key(RUN, seq, seq)] = payload
    spool.close()
    (segment,) = whole.glob("*.seg")
    data = segment.read_bytes()
    ends = [found.offset + found.size for found in scan(data) if found is not None]
    assert ends[-1] == len(data)
    step = 1 if trial.count >= 1000 else 32
    cuts = range(len(data) - TAIL, len(data), step)
    for at in cuts:
        kept = sum(end <= at for end in ends)
        found, corrupt = _reopened(trial.folder, whole, segment.name, data[:at])
        if found != dict(list(held.items())[:kept]) or corrupt != (at not in ends):
            trial.wrong.append(f"cut at {at}: {len(found)} of {kept} records, corrupt {corrupt}")
    most = 0
    for _ in range(trial.count):
        at = trial.rand.randrange(len(data))
        bad = bytearray(data)
        bad[at] ^= 1 << trial.rand.randrange(8)
        found, corrupt = _reopened(trial.folder, whole, segment.name, bytes(bad))
        most = max(most, len(held) - len(found))
        if len(found) < len(held) - 1 or found.items() - held.items() or corrupt != 1:
            trial.wrong.append(f"bit of byte {at}: {len(found)} records, corrupt {corrupt}")
    trial.figures |= {"cuts": len(cuts), "flips": trial.count, "most_lost_by_a_flip": most}
    trial.figures["cycles"] = len(cuts) + trial.count
    _damage_alive(trial)


def _reopened(
    folder: Path, whole: Path, name: str, data: bytes
) -> tuple[dict[Key, bytes | None], int]:
    copy = folder / "copy"
    shutil.copytree(whole, copy)
    (copy / name).write_bytes(data)
    spool = Spool(str(copy))
    held = {key: spool.payload(key) for key in spool.keys()}  # noqa: SIM118
    corrupt = spool.corrupt
    spool.close()
    shutil.rmtree(copy)
    return held, corrupt


def _damage_alive(trial: Trial) -> None:
    """Between two lives of an agent: the hole is declared, exactly, and nothing else is."""
    (trial.folder / "world").mkdir()
    with trial.world(2, folder=trial.folder / "world") as world:
        world.city.collect()
        for router in world.routers:
            world.spaces.break_uplink(router, "cut")
        world.start_agents()
        world.until_taken(5)
        for router in world.routers:
            world.kill_agent(router)
            newest = max(world.spool(router).glob("*.seg"))
            data = bytearray(newest.read_bytes())
            records = [found for found in scan(bytes(data)) if found is not None]
            # Of the newest nobody would have heard: its loss shows as a run that ends earlier.
            hit = trial.rand.choice(records[:-1])
            data[hit.offset + trial.rand.randrange(8, hit.size)] ^= 1
            newest.write_bytes(data)
            world.start_agent(router)
        trial.settle(world, declared=len(world.routers))
        assert trial.verdict is not None
        if trial.verdict.declared != len(world.routers):
            trial.wrong.append(f"declared {trial.verdict.declared} of {len(world.routers)} holes")


def overflow(trial: Trial) -> None:
    """An outage of `count` hours in accelerated time: resolution fades, and no total does."""
    full = trial.count >= 12
    interval_s = 30 if full else 2
    past_ms = trial.count * HOUR_MS
    settings = Settings("", past_ms=past_ms, speed=60.0 * interval_s)
    size = 1 << 20 if full else 1 << 16
    with trial.world(1, settings=settings, interval_s=interval_s, spool_bytes=size) as world:
        trial.plan(("cut",), world.routers, (0.0, 0.0), count=1)
        world.city.collect()
        world.spaces.break_uplink("r-1", "cut")
        world.start_agent("r-1")
        lasts_s = past_ms / 1000 / settings.speed + 3
        for _ in range(RENEWALS):
            world.spaces.renew_radio("r-1")
            world.sleep(lasts_s / RENEWALS)
        used = sum(os.path.getsize(one) for one in world.spool("r-1").glob("*.seg"))
        trial.figures |= {"outage_hours": trial.count, "spool_bytes": used, "renewals": RENEWALS}
        if used > size:
            trial.wrong.append(f"the spool holds {used} bytes of {size}")
        # A moment between two readings of a clock that is so much faster is seconds there.
        verdict = trial.settle(world, late=True)
        if not verdict.merged:
            trial.wrong.append("nothing was merged: the outage was too short to show anything")
