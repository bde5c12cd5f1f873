"""What a thief, an engineer and an outsider try: forged samples in numbers, and the tests of each.

Rule: a group of tests without one that ran is as wrong as one that failed.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.trial import Trial
from tests.wire.examples import BARE_SAMPLE
from titik_wire import codec, topics

ROOT = Path(__file__).parents[2]
BROKER = "tests/broker/test_attacks.py::"
TESTS = {
    "12 wrong certificate, captive portal": (
        "tests/agent/test_link.py::test_a_certificate_that_does_not_fit_says_what_to_check",
        "tests/agent/test_link.py::test_plain_port_is_distinguished_from_tls",
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
THIEF = "h-1"
QUICK = "37"  # the group of the quick length; `make test-long` has them all


def attacks(trial: Trial) -> None:
    """`count` forged samples of one router by another, and every group of tests above."""
    _forge(trial)
    groups = [one for one in TESTS if trial.count >= 1000 or one.startswith(QUICK)]
    passed = _passed([node for one in groups for node in TESTS[one]], trial)
    many = {one: sum(_is_of(name, TESTS[one]) for name in passed) for one in groups}
    trial.figures |= {"passed": many, "cycles": trial.count}
    trial.wrong += [f"no test ran: {one}" for one in groups if not many[one]]


def _forge(trial: Trial) -> None:
    with trial.world(2, hostile=(THIEF,)) as world:
        trial.plan(("forged sample",), ("r-2",), (0.0, 0.0), count=1)
        world.city.collect()
        world.start_agents()
        world.until_taken(2)
        refused = 0
        with world.city.impostor(THIEF) as thief:
            for number in range(trial.count):
                run = trial.rand.randbytes(8).hex()
                sample = json.loads(codec.encode(BARE_SAMPLE))
                sample |= {"router": "r-2", "run": run, "first_seq": 1, "seq": 1, "spool": {}}
                leaf = (topics.sample, topics.backlog)[number % 2]
                # On r-2's topic the broker refuses it; on its own the collector does.
                named = "r-2" if number % 4 < 2 else THIEF
                answer = thief.publish(leaf(named), json.dumps(sample).encode())
                refused += answer == "Not authorized"
                if (answer == "Not authorized") != (named == "r-2"):
                    trial.wrong.append(f"{named}: {answer}")
        trial.figures |= {"forged": trial.count, "refused_by_the_broker": refused}
        trial.settle(world)
        rows = world.city.number("SELECT count(*) FROM v_sample WHERE router = ?", THIEF)
        if rows:
            trial.wrong.append(f"{rows} forged rows")


def _passed(nodes: Sequence[str], trial: Trial) -> list[str]:
    """Play tests, all in one process, which shares what they stand on; those that passed."""
    report = trial.folder / "report.xml"
    words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0")
    done = subprocess.run(
        (*words, f"--junitxml={report}", *nodes),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        trial.wrong.append(done.stdout[-3000:])
    cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
    return [f"{one.get('classname')}.{one.get('name')}" for one in cases if not len(one)]


def _is_of(name: str, nodes: Sequence[str]) -> bool:
    dotted = [one.replace(".py", "").replace("/", ".").replace("::", ".") for one in nodes]
    return any(name.startswith(one) for one in dotted)
