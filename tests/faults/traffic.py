"""Malformed messages, or come in any order; counters that start again."""

import hashlib
import itertools
import json
import random
import uuid
from collections import defaultdict

from tests.broker.running import Client
from tests.faults import oracle
from tests.faults.checker import terms
from tests.faults.trial import Trial
from tests.faults.world import World
from tests.system.city import City, bytes_of
from tests.system.test_order import ROLLED, STORED, deliver, is_all_in, two_boots
from tests.wire.test_hostile import GOOD, HOSTILE
from titik_collector.store.database import Database
from titik_wire import topics

BATCH = 100
HOSTILE_ROUTER = "h-1"


def poison(trial: Trial) -> None:
    """`count` hostile messages of one router among the samples of honest ones."""
    with trial.world(2, hostile=(HOSTILE_ROUTER,)) as world:
        trial.plan(("poison",), (HOSTILE_ROUTER,), (0.0, 0.0), count=1)
        collector = world.city.collect()
        world.start_agents()
        world.until_taken(2)
        leaves = (topics.sample, topics.backlog, topics.status)
        with world.city.impostor(HOSTILE_ROUTER) as thief:
            for start in range(0, trial.count, BATCH):
                for number in range(start, start + BATCH):
                    leaf = leaves[number % 3](HOSTILE_ROUTER)
                    thief.send(leaf, _bad(trial.rand, number))
                for _ in range(BATCH):
                    thief.published()
            _until_read(world, thief)
        trial.figures |= {
            "messages": trial.count,
            "quarantined": world.city.number("SELECT count(*) FROM quarantine"),
            "cycles": trial.count,
        }
        if collector.is_over:
            trial.wrong.append("the collector ended")
        if not trial.figures["quarantined"]:
            trial.wrong.append("nothing was quarantined")
        trial.settle(world)


def _bad(rand: random.Random, number: int) -> bytes:
    """One of the list, or a good sample that a few bytes were changed of."""
    good = GOOD.replace(b"tirosa-1", HOSTILE_ROUTER.encode())
    if number % 2:
        payload = HOSTILE[number // 2 % len(HOSTILE)][1]
        return payload.replace(b"tirosa-1", HOSTILE_ROUTER.encode())
    data = bytearray(good)
    for _ in range(rand.randint(1, 6)):
        at = rand.randrange(len(data))
        data[at : at + rand.randint(0, 3)] = rand.randbytes(rand.randint(0, 3))
    return bytes(data)


def _until_read(world: World, thief: Client) -> None:
    """A last message is known to have been read, and so was all before it."""
    before = world.taken("r-1")
    assert thief.publish(topics.backlog(HOSTILE_ROUTER), b"the end") == "Success"
    world.until(lambda: world.taken("r-1") > before, "r-1 goes on")
    world.until_settled(("r-1",))  # its sample came after the last message


def replay(trial: Trial) -> None:
    """The whole history three times, shuffled, by `count` seeds: the same rows and rollups."""
    trial.plan(("shuffle",), ("history",), (0.0, 0.0), count=1)
    given = two_boots()
    orders = [given]
    for _ in range(trial.count):
        orders.append(3 * given)
        trial.rand.shuffle(orders[-1])
    digests = []
    for number, letters in enumerate(orders):
        folder = trial.folder / str(number)
        folder.mkdir()
        store = trial.engine.new_store()
        with City(folder, server=store) as city, city.impostor("tirosa-1") as router:
            city.collect()
            deliver(router, letters)
            city.until(lambda c=city: is_all_in(c), "all is stored", 120.0)  # type: ignore[misc]
            books = city.close_books()
            scopes = (("router", 1), ("site", 1), ("city", 0))
            rolled = [city.ask(ROLLED, *scope) for scope in scopes]
            output = repr((sorted(books.items()), city.ask(STORED), rolled)).encode()
            digests.append(hashlib.sha256(output).hexdigest())
            rows = len(rolled[0])
        trial.engine.drop(store)
    different = sum(one != digests[0] for one in digests)
    trial.figures |= {
        "cycles": trial.count,
        "messages": sum(len(one) for one in orders),
        "rollup_rows": rows,
        "digest": digests[0][:16],
        "different": different,
    }
    if different or not rows:
        trial.wrong.append(f"{different} of {trial.count} orders gave another store")


def counters(trial: Trial) -> None:
    """A router's uplink is made again, its counters wrap, it boots and its agent dies.

    What is rolled up is what the samples of each counter say, and no more than the kernel counted.
    """
    with trial.world(1) as world:
        kinds = ("re-create", "kill agent", "boot", "boot before a wrap")
        plan = trial.plan(kinds, world.routers, (2.0, 5.0))
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        passed = [0, 0]  # by interfaces that are gone
        for fault in plan:
            world.sleep(fault.after_s)
            world.until_taken(2)
            if fault.kind == "re-create":
                passed = [a + b for a, b in zip(passed, world.spaces.passed("r-1"), strict=True)]
                world.spaces.rewire("r-1")
                continue
            world.kill_agent("r-1")
            if fault.kind != "kill agent":
                # The kernel's own counter goes on: a real boot would have lost what was before.
                given: dict[str, object] = {"boot": str(uuid.uuid4())}
                if fault.kind == "boot before a wrap":
                    given["wraps_after"] = 3000
                world.lie("r-1").write_text(json.dumps(given))
            world.start_agent("r-1")
        verdict = trial.settle(world)
        passed = [a + b for a, b in zip(passed, world.spaces.passed("r-1"), strict=True)]
        with world.city.reader() as db:
            known, tokens = _known(world, db)
            _, _, down, up = bytes_of(db, "r-1")
            row = db.execute(
                "SELECT min(uplink_down_bytes), min(uplink_up_bytes) FROM rollup"
                " WHERE uplink_down_bytes IS NOT NULL"
            ).fetchone()
        least = None if row[0] is None else min(row)
        trial.figures |= {
            "counters": tokens,
            "known_bytes": known,
            "rolled_bytes": [down, up],
            "kernel_bytes": passed,
        }
        if verdict.merged == 0 and [down, up] != known:
            trial.wrong.append(f"rolled up {[down, up]}, the samples say {known}")
        if least is None or least < 0 or down > passed[0] or up > passed[1]:
            trial.wrong.append(f"least {least}, {[down, up]} of {passed} that passed")


def _known(world: World, db: Database) -> tuple[list[int], int]:
    """Down and up between successive samples of one counter; how many counters there were."""
    rows = defaultdict(list)
    for name, run in oracle.read(world.folder / "oracle").items():
        for one in (run[seq] for seq in terms(db, name)["stored"]):  # a kill tears some
            for net in one.payload.get("net", []):
                rows[net["since"]].append((one.true_ms, net["rx_bytes"], net["tx_bytes"]))
    known = [0, 0]
    for seen in rows.values():
        for before, after in itertools.pairwise(sorted(seen)):
            # One that fell wrapped while no agent looked: what it counted meanwhile is unknown.
            if after[1] >= before[1] and after[2] >= before[2]:
                known[0] += after[1] - before[1]
                known[1] += after[2] - before[2]
    return known, len(rows)
