"""Who may import what: the contract nothing, the router little, the server no router."""

import ast
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.project.sources import PACKAGES, files, imports, nodes, tops, who_imports

# What OpenWrt's python3-light holds and the agent uses; each further module costs memory, and the
# ones missing here (datetime, pathlib, asyncio, subprocess, ...) are missing on purpose.
PYTHON3_LIGHT = {
    "__future__", "_blake2", "array",
    "base64", "binascii", "bisect", "collections", "contextlib", "copy",
    "dataclasses", "difflib", "enum", "errno", "fcntl", "functools", "gc", "hashlib", "heapq",
    "hmac", "importlib", "io", "ipaddress", "itertools", "json",
    "math", "operator", "os", "platform", "pwd", "queue", "random", "re", "resource", "secrets",
    "select", "selectors", "signal", "socket", "stat", "struct", "sys", "tempfile", "threading",
    "time", "tomllib", "types", "typing", "zlib",
}  # fmt: skip
# Packages of their own that ours depends on: python3-logging, -urllib, -openssl, -uuid, -codecs.
SPLITS = {"logging", "urllib", "ssl", "uuid", "codecs", "encodings", "unicodedata"}
ROUTER_STDLIB = PYTHON3_LIGHT | SPLITS
ROUTER_LIBRARIES = {"psutil", "click", "scapy"}
SERVER_LIBRARIES = {
    "apprise", "babel", "click", "cryptography", "h11", "jinja2", "msgspec", "paho",
    "prometheus_client", "psutil", "psycopg", "pyrage", "rich", "starlette", "uvicorn",
}  # fmt: skip

# The floors of each half, lowest first: a room, or a file beside the rooms, imports only what
# stands below it. Rooms of one floor know nothing of each other.
FLOORS = {
    "titik_agent": (
        {"lazy_imports", "limits"},
        {"chance", "clock", "config", "hostapd", "looking", "shared_files"},
        {"kept_trust", "spool"},
        {"sampling"},
        {"sources", "broker_link"},
        {"check", "probe", "state_file"},
        {"wishes"},
        {"assemble"},
        {"commands"},
        {"__main__"},
    ),
    "titik_collector": (
        {"limits"},
        {"alerts", "figures", "files", "jobs", "languages", "own_state", "received", "wording"},
        {"backups", "config", "store"},
        {"accounts", "broker_link", "enrolment", "feed", "registry", "timeline", "units"},
        {"access", "desk", "outputs", "rollups", "wishes"},
        {"broker_setup", "live"},
        {"backup", "ingest", "queries"},
        {"backup_check", "metrics", "reports"},
        {"assemble", "notify", "screens", "web"},
        {"collect", "public"},
        {"serve", "simulation"},
        {"commands"},
        {"cli"},
        {"__main__"},
    ),
}
HALVES = [pytest.param(package, id=package) for package in FLOORS]


@pytest.mark.parametrize("package", HALVES)
def test_a_room_imports_only_rooms_below_it(package: str) -> None:
    """So there is no circle, and what a room may need can be read from its floor."""
    below: set[str] = set()
    allowed: dict[str, set[str]] = {}
    for floor in FLOORS[package]:
        allowed |= {room: below | {room} for room in floor}
        below |= floor
    assert not {
        (str(file.relative_to(PACKAGES[package])), room)
        for file in files(package)
        for room in rooms_used(file)
        if room not in allowed.get(room_of(file), set())
    }


@pytest.mark.parametrize("package", HALVES)
def test_every_room_stands_on_a_floor(package: str) -> None:
    """A new room is a decision: it gets a floor here and a sentence in its `__init__`."""
    assert set().union(*FLOORS[package]) == {room_of(file) for file in files(package)} - {""}


@pytest.mark.parametrize("package", HALVES)
def test_every_room_says_in_one_sentence_what_it_is(package: str) -> None:
    """Whoever opens the folder reads it first."""
    for folder in {file.parent for file in files(package)}:
        output = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        assert len(output) > 20, folder
        assert output.split("\n")[0].endswith("."), folder


@pytest.mark.parametrize("package", HALVES)
def test_a_file_s_name_stands_in_one_room(package: str) -> None:
    """Two would leave open which one is meant; a file of `commands` is called as its command."""
    found = Counter(
        file.name
        for file in files(package)
        if file.name != "__init__.py" and room_of(file) != "commands"
    )
    assert [] == [name for name, times in found.items() if times > 1]


def room_of(file: Path) -> str:
    """The folder below the package, or the name of a file that stands beside the rooms."""
    package = next(path for path in PACKAGES.values() if file.is_relative_to(path))
    first = file.relative_to(package).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def rooms_used(file: Path) -> set[str]:
    """The rooms of its own half that a file imports, its own included."""
    package = next(name for name, path in PACKAGES.items() if file.is_relative_to(path))
    parts = [name.split(".") for name in imports(file)]
    return {one[1] for one in parts if one[0] == package and len(one) > 1} & rooms(package)


@cache
def rooms(package: str) -> set[str]:
    """Every room of a half."""
    return {room_of(file) for file in files(package)}


def test_the_contract_imports_only_the_standard_library() -> None:
    """titik_wire is a leaf: it knows neither router nor server, and a router can hold it."""
    assert not {
        (file.name, name)
        for file in files("titik_wire")
        for name in tops(file) - ROUTER_STDLIB - {"titik_wire"}
    }


def test_the_way_to_a_broker_imports_only_the_standard_library_and_paho() -> None:
    """titik_mqtt is a leaf too: neither half, nor the contract."""
    allowed = ROUTER_STDLIB | {"paho", "titik_mqtt"}
    assert not {(file.name, name) for file in files("titik_mqtt") for name in tops(file) - allowed}


def test_the_agent_imports_only_what_the_router_has() -> None:
    """Anything else would need another OpenWrt package, or memory that a router lacks."""
    allowed = ROUTER_STDLIB | ROUTER_LIBRARIES | {"titik_agent", "titik_mqtt", "titik_wire"}
    assert not {(file.name, name) for file in files("titik_agent") for name in tops(file) - allowed}


def test_one_file_of_the_way_to_a_broker_knows_paho() -> None:
    """Every trap of the MQTT library is dealt with in one place, and the agent knows none."""
    assert {"paho_client.py"} == who_imports("titik_mqtt", "paho")
    assert set() == who_imports("titik_agent", "paho")


def test_one_file_of_the_agent_knows_scapy() -> None:
    """Its 50 MB belong to a process of their own."""
    assert {"probe/round.py"} == who_imports("titik_agent", "scapy")


def test_the_probe_is_no_part_of_the_agent_s_process() -> None:
    """Only the command line loads it, when asked to run it."""
    importers = {room_of(file) for file in files("titik_agent") if "probe" in rooms_used(file)}
    assert {"assemble", "probe"} == importers


SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|CREATE|ALTER|DROP|PRAGMA|BEGIN|VACUUM)\b"
)
EXECUTE = {"execute", "executemany", "executescript"}


def test_only_the_store_holds_sql() -> None:
    """A second engine changes one room: all others ask by name for what they need."""
    assert not {
        (str(file.relative_to(PACKAGES["titik_collector"])), node.lineno)
        for file in files("titik_collector")
        if room_of(file) != "store"
        for node in nodes(file)
        if isinstance(node, ast.expr) and _is_sql(node)
    }


def _is_sql(node: ast.expr) -> bool:
    """The text of a statement, or a call that executes one."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and SQL.match(node.value) is not None
    return isinstance(node, ast.Attribute) and node.attr in EXECUTE


def test_only_the_store_knows_the_database_s_library() -> None:
    """Its errors leave the room as a StoreError, with a remedy."""
    importers = who_imports("titik_collector", "sqlite3") | who_imports(
        "titik_collector", "psycopg"
    )
    assert {"store"} == {file.partition("/")[0] for file in importers}


def test_the_server_half_never_imports_the_router_half() -> None:
    """Except where it runs real agents on purpose."""
    expected = {"simulation/demo.py", "simulation/fleet.py", "simulation/simulated_look.py"}
    assert expected == who_imports("titik_collector", "titik_agent")


def test_the_server_half_imports_only_what_it_declares() -> None:
    """The standard library and the extra `collector`."""
    ours = {"titik_wire", "titik_mqtt", "titik_collector", "titik_agent"}
    allowed = sys.stdlib_module_names | SERVER_LIBRARIES | ours
    assert not {
        (file.name, name) for file in files("titik_collector") for name in tops(file) - allowed
    }


def test_every_package_is_looked_at() -> None:
    """A moved folder would make these tests pass on nothing."""
    assert all(len(files(package)) > 3 for package in PACKAGES)
