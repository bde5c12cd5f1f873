"""What was found before holds until something changes, whatever it is: real interfaces and routes.

Two readers look at one network while it changes at random. One looks each time, the other only
when the kernel says that something changed. Both must report the same.
"""

import os
import subprocess
import sys

import pytest

from tests.system.netns import AGENT

PLAY = """
import random, subprocess, sys, time
from titik_agent.sources.rtnetlink import RouteChanges
from titik_agent.sources.netdev import Interfaces

def ip(words):
    subprocess.run(("ip", *words.split()), capture_output=True)

def found(reader):
    return [(net.ifname, net.role, net.up) for net in reader.net()]

# No address of a link's own, that the kernel publishes later, and hides what it did not.
with open("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "w") as file:
    file.write("1")
for one in range(4):
    ip(f"link add e{one} type veth peer name p{one}")
    ip(f"link set e{one} up")
    ip(f"link set p{one} up")
for one in ("lo", "br-lan", "br-guest"):
    ip(f"link add {one} type bridge")
    ip(f"link set {one} up")
ip("link set e1 master br-lan")
rand, changes = random.Random(int(sys.argv[1])), RouteChanges()
lazy, eager = (Interfaces(None, None, "b0", changed=one) for one in (changes.any, lambda: True))
answers = set()
for turn in range(150):
    ip(rand.choice(STEPS))  # one, as another would report it too
    deadline = time.monotonic() + 60  # the kernel publishes a carrier when it has time
    while found(lazy) != found(eager) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert found(lazy) == found(eager), (turn, found(lazy), found(eager))
    answers.add(tuple(found(lazy)))
changes.close()
print(len(answers))
"""
STEPS = """
link set e0 down
link set e0 up
link set p0 down
link set p0 up
link set e0 name wan
link set wan name e0
link set e1 nomaster
link set e1 master br-lan
link del e3
link add e3 type veth peer name p3
link set e3 up
link set br-guest down
link set br-guest up
address add 198.51.100.2/24 dev e0
address del 198.51.100.2/24 dev e0
address add 192.0.2.1/24 dev br-lan
address del 192.0.2.1/24 dev br-lan
route add default via 198.51.100.1
route add default via 198.51.100.1 metric 5 table 100
route add default via 192.0.2.254 metric 7
route add default dev e3 metric 9
route del default
rule add fwmark 1 table 100
rule del fwmark 1 table 100
-6 route add default dev e3
-6 route del default dev e3
"""


@pytest.mark.system
@pytest.mark.parametrize("seed", range(3))
def test_a_reader_that_waits_for_changes_misses_none(seed: int) -> None:
    """Links, ports of bridges, addresses, routes and rules come, go and get other names."""
    done = subprocess.run(
        ("unshare", "--net", "--mount", "sh", "-c", 'mount -t sysfs sysfs /sys && exec "$@"', "sh",
         sys.executable, "-c", f"STEPS = {STEPS.strip().splitlines()}\n{PLAY}", str(seed)),
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(AGENT), *sys.path))},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "" == done.stderr
    assert int(done.stdout) > 5
