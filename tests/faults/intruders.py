"""What a thief, an engineer and a stranger try: forged samples in numbers, and the tests of each.

Rule: a group of tests of which none ran is as wrong as one that failed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.faults.trial import Trial
from tests.faults.world import World
from tests.wire.examples import BARE_SAMPLE
from titik_wire import codec, topics

ROOT = Path(__file__).parents[2]
BROKER = "tests/broker/test_attacks.py::"
TESTS = {
    "12 wrong certificate, captive portal": (
        "tests/agent/test_link.py::test_a_certificate_that_does_not_fit_says_what_to_check",
        "tests/agent/test_link.py::test_plain_port_is_told_from_tls",
        "tests/broker/test_intruders.py::test_a_certificate_of_another_authority_is_refused",
        "tests/broker/test_intruders.py::test_an_expired_certificate_is_refused",
    ),
    "36 spoofed topic": (
        f"{BROKER}test_a_router_forges_nothing_outside_its_three_topics",
        f"{BROKER}test_who_says_anothers_name_under_its_own_is_found_out",
        f"{BROKER}test_a_last_will_forges_nothing",
    ),
    "37 client id hijack": (
        f"{BROKER}test_a_router_takes_over_nobodys_session",
        f"{BROKER}test_an_engineer_takes_over_nobodys_session",
    ),
    "39 crafted topics": (
        f"{BROKER}test_a_crafted_topic_reaches_nobody",
        f"{BROKER}test_a_malformed_packet_cuts_its_sender_off",
    ),
    "41 revoked credential": (
        "tests/broker/test_enrol.py::test_a_revoked_router_is_cut_off_and_stays_out",
        "tests/broker/test_intruders.py::test_a_revoked_certificate_is_refused",
    ),
    "48 nothing of a visitor": ("tests/system/test_privacy_day.py",),
}
HEAVY = "48"  # a simulated day: not in the quick length, `make test` plays it anyway


def attacks(trial: Trial) -> None:
    """`count` forged samples of one router by another, and every group of tests above."""
    _forge(trial)
    full = trial.count >= 1000
    passed = {}
    for name, nodes in TESTS.items():
        if full or not name.startswith(HEAVY):
            passed[name] = _passed(nodes, trial)
    trial.figures |= {"passed": passed, "cycles": trial.count}
    for name, many in passed.items():
        if not many:
            trial.wrong.append(f"no test ran: {name}")


def _forge(trial: Trial) -> None:
    with World(trial.folder, 2) as world:
        trial.plan(("forged sample",), ("r-2",), (0.0, 0.0), count=1)
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        refused = 0
        with world.city.impostor("r-1") as thief:
            for number in range(trial.count):
                run = trial.rand.randbytes(8).hex()
                sample = json.loads(codec.encode(BARE_SAMPLE))
                sample |= {"router": "r-2", "run": run, "first_seq": 1, "seq": 1, "spool": {}}
                leaf = (topics.sample, topics.backlog)[number % 2]
                # On r-2's topic the broker refuses it; on its own the collector does.
                victim = "r-2" if number % 4 < 2 else "r-1"
                answer = thief.publish(leaf(victim), json.dumps(sample).encode())
                refused += answer == "Not authorized"
                if (answer == "Not authorized") != (victim == "r-2"):
                    trial.wrong.append(f"{victim}: {answer}")
        trial.figures |= {"forged": trial.count, "refused_by_the_broker": refused}
        trial.settle(world)


def _passed(nodes: tuple[str, ...], trial: Trial) -> int:
    words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *nodes)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        trial.wrong.append(done.stdout[-2000:])
    found = re.search(r"(\d+) passed", done.stdout)
    return int(found[1]) if found else 0
