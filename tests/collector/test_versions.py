"""Which version a router can take as newer: as its helper, and the managers that it asks, say."""

import itertools
import re
import subprocess

import pytest

from tests.broker.running import ROOT
from titik_collector.wishes.versions import can_be_taken, is_version, may_be_newer

HELPER = ROOT / "deploy/openwrt/titik-agent/files/usr/libexec/titik-upgrade"
MODELS = ROOT / "tests/openwrt/root/bin"  # of apk and opkg
RELEASED = ("0.1.0-r1", "0.1.0-r2", "0.1.0-r10", "0.1.1-r1", "0.2.0-r1", "0.10.0-r1", "1.0.0-r1")
ODD = ("0.09.0", "0.2", "0.2.0~rc1", "0.2.0-rc1", "0.2.0+git1", "0.2.1", "1", "2.0a")


@pytest.mark.parametrize("text", ["0.2.0", "0.2.0-r2", "0.2.0_rc1", "0.2.0~rc1", "1"])
def test_what_a_router_looks_for_is_a_version(text: str) -> None:
    """Also one that no feed has."""
    assert is_version(text)


@pytest.mark.parametrize("text", ["", "abc", "v0.2.0", "0.2.0 ", "0.2 0", "٣.2", "1" * 33, "0/2"])
def test_what_a_router_refuses_is_none(text: str) -> None:
    """Its helper takes no other words."""
    assert not is_version(text)


@pytest.mark.parametrize(
    ("version", "running", "expected"),
    [
        ("0.0.9", ("0.1.0",), False),
        ("0.1.0", ("0.1.0",), False),
        ("0.1.0-r1", ("0.1.0",), False),
        ("0.1.0-r2", ("0.1.0",), True),  # no router reports its release
        ("0.10.0", ("0.9.0",), True),
        ("0.9.0", ("0.10.0",), False),
        ("0.1.0", ("0.0.9", "0.2.0"), True),
        ("0.1.0", ("0.1.1", "0.2.0"), False),
        ("0.0.1", (), True),  # nothing is known
        ("0.1.0~rc1", ("0.1.0",), True),  # theirs to say
        ("0.0.9~rc1", ("0.1.0",), False),
        ("0.1.0", ("0.09.0",), True),  # apk takes 0.09 for the older one
    ],
)
def test_one_router_that_may_run_an_older_one_is_enough(
    version: str, running: tuple[str, ...], expected: bool
) -> None:
    """Nobody could take it else."""
    assert expected == can_be_taken(version, running)


@pytest.mark.thorough
@pytest.mark.parametrize("manager", ["apk", "opkg"])
def test_released_versions_are_ordered_as_by_the_helper(manager: str) -> None:
    """Every two of them, by its own function."""
    (function,) = re.findall(r"^is_newer\(\) \{.*?^\}\n", HELPER.read_text(), re.M | re.S)
    pairs = list(itertools.product(RELEASED, repeat=2))
    asks = "".join(f"is_newer {one} {other}; echo $?\n" for one, other in pairs)
    done = subprocess.run(
        ["sh", "-c", f"MANAGER={manager}\n{function}{asks}"],
        env={"PATH": f"{MODELS}:/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    by_helper = dict(zip(pairs, [one == "0" for one in done.stdout.split()], strict=True))
    assert by_helper == {pair: may_be_newer(*pair) for pair in pairs}


@pytest.mark.thorough
def test_no_version_is_left_out_that_opkg_takes() -> None:
    """Its order is Debian's, also of the odd ones."""
    pairs = list(itertools.product((*RELEASED, *ODD), repeat=2))
    left_out = [pair for pair in pairs if not may_be_newer(*pair)]
    asks = "".join(
        f"dpkg --compare-versions {one} gt {other} && echo {one} {other}\n"
        for one, other in left_out
    )
    done = subprocess.run(["sh", "-c", f"{asks}true"], capture_output=True, text=True, check=True)
    assert "" == done.stdout + done.stderr
    assert len(left_out) > len(pairs) // 3
