"""What one running agent loads: each module is memory on a 128 MB router."""

import os
import subprocess
import sys

import pytest

from tests.project.sources import PACKAGES, ROOT, files

LIBRARIES = ("paho.mqtt.client", "psutil", "click")
# A process of its own, never part of the agent's.
SEPARATE = ("titik_agent.probe.",)
# What our own code adds to what the three libraries load anyway.
OURS = {"copy", "dataclasses", "heapq", "json", "tomllib"}
HEAVY = (
    "asyncio", "concurrent", "ctypes", "decimal", "multiprocessing", "scapy", "sqlite3",
    "statistics", "titik_collector", "unittest", "xml",
)  # fmt: skip


def agent_modules() -> list[str]:
    """All that a running agent may load."""
    folder = PACKAGES["titik_agent"].parent
    paths = [file.relative_to(folder).with_suffix("") for file in files("titik_agent")]
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    return sorted(name for name in names if not name.startswith(SEPARATE))


def loaded_by(modules: list[str]) -> set[str]:
    """What a fresh interpreter holds after importing these, by whole names."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {', '.join(modules)}\nprint(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "agent")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def packages_loaded_by(modules: list[str]) -> set[str]:
    """The same, first parts only."""
    return {name.split(".")[0] for name in loaded_by(modules)}


@pytest.fixture(scope="module")
def agent() -> set[str]:
    """What a fresh interpreter holds with the whole agent in it."""
    return packages_loaded_by(agent_modules())


@pytest.mark.thorough
def test_what_the_configuration_does_not_ask_for_is_not_loaded() -> None:
    """A router with ubus never reads the code for control sockets, nor any that of `check`."""
    asked_for = (
        "check", "sampling.watchdog", "sources.hostapd_control", "sources.hostapd_ubus",
        "sources.reach", "sources.survey", "wishes", "looking.looker", "looking.concealing",
    )  # fmt: skip
    never = {*(f"titik_agent.{one}" for one in asked_for), "titik_wire.fleet_messages"}
    assert set() == never & loaded_by(["titik_agent.assemble"])


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_agent_never_loads(agent: set[str], heavy: str) -> None:
    """Nor does a library load it on the agent's behalf."""
    assert heavy not in agent


@pytest.mark.thorough
def test_the_agent_adds_little_to_its_libraries(agent: set[str]) -> None:
    """A new module is a decision, made by adding it to OURS."""
    added = (agent - packages_loaded_by(list(LIBRARIES))) & sys.stdlib_module_names
    assert {name for name in added if not name.startswith("_")} <= OURS
