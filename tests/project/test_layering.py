"""Who may import what: the contract nothing, the router little, the server no router."""

import sys

from tests.project.sources import PACKAGES, files, imports, tops, who_imports

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
ROUTER_LIBRARIES = {"paho", "psutil", "click", "scapy"}
SERVER_LIBRARIES = {"paho", "psutil", "click", "cryptography", "rich", "msgspec"}


def test_the_contract_imports_only_the_standard_library() -> None:
    """titik_wire is a leaf: it knows neither router nor server, and a router can hold it."""
    assert not {
        (file.name, name)
        for file in files("titik_wire")
        for name in tops(file) - ROUTER_STDLIB - {"titik_wire"}
    }


def test_the_agent_imports_only_what_the_router_has() -> None:
    """Anything else would need another OpenWrt package, or memory that a router lacks."""
    allowed = ROUTER_STDLIB | ROUTER_LIBRARIES | {"titik_agent", "titik_wire"}
    assert not {(file.name, name) for file in files("titik_agent") for name in tops(file) - allowed}


def test_one_file_of_the_agent_knows_paho() -> None:
    """Every trap of the MQTT library is dealt with in one place."""
    assert who_imports("titik_agent", "paho") == {"link.py"}


def test_one_file_of_the_agent_knows_scapy() -> None:
    """Its 50 MB belong to a process of their own."""
    assert who_imports("titik_agent", "scapy") == {"probe_round.py"}


def test_the_probe_is_no_part_of_the_agent_s_process() -> None:
    """Only the command line loads it, when asked to run it."""
    importers = {
        file.name
        for file in files("titik_agent")
        if any(name.startswith("titik_agent.probe.process") for name in imports(file))
    }
    assert importers == {"cli.py", "probe.py", "probe_round.py"}


def test_the_server_half_never_imports_the_router_half() -> None:
    """Except where it runs real agents on purpose."""
    assert who_imports("titik_collector", "titik_agent") <= {"simulate.py", "demo.py"}


def test_the_server_half_imports_only_what_it_declares() -> None:
    """The standard library and the extra `collector`."""
    ours = {"titik_wire", "titik_collector", "titik_agent"}
    allowed = sys.stdlib_module_names | SERVER_LIBRARIES | ours
    assert not {
        (file.name, name) for file in files("titik_collector") for name in tops(file) - allowed
    }


def test_every_package_is_looked_at() -> None:
    """A moved folder would make these tests pass on nothing."""
    assert all(len(files(package)) > 3 for package in PACKAGES)
