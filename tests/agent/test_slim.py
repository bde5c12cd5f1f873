"""What the agent loads, and that it works without the rest."""

import json
import os
import subprocess
import sys

import pytest

from titik_agent.__main__ import _plain_run

HEAVY = {
    "click", "dns.message", "email.parser", "http.client", "random", "scapy", "urllib.request",
    "uuid",
}  # fmt: skip

# They import what is put off, or are rooms of ours, which import them.
IMPORTERS = {
    "dataclasses", "logging", "paho", "psutil", "socket", "ssl", "typing",
    "titik_agent", "titik_mqtt", "titik_wire",
}  # fmt: skip


def modules_after(code: str) -> set[str]:
    """Names that a fresh process has in `sys.modules`."""
    end = "; import json, sys; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run(
        [sys.executable, "-c", code + end],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert "" == found.stderr
    return set(json.loads(found.stdout))


@pytest.mark.thorough
def test_the_agent_carries_nothing_that_it_does_not_use() -> None:
    """Neither click, nor what paho's websockets and proxies would need; nor a stand-in of it."""
    assert set() == HEAVY & modules_after("import titik_agent.assemble")


@pytest.mark.thorough
def test_the_agent_never_loads_what_only_collectors_publish() -> None:
    """Its own messages are written and read without: it keeps what it once loaded for years."""
    code = "import titik_agent.assemble; from titik_wire import codec"
    code += "; codec.decode('titik/v1/router/r/ack', b'{\"v\":1,\"runs\":{}}')"
    loaded = {one for one in modules_after(code) if one.startswith("titik_wire.")}
    assert {"titik_wire.codec", "titik_wire.messages"} <= loaded
    assert "titik_wire.city_messages" not in loaded


@pytest.mark.thorough
def test_what_is_loaded_already_is_left_alone() -> None:
    """A program that uses uuid keeps the true one, and so does whoever imports it later."""
    code = "import uuid, titik_agent.broker_link.link, urllib.request, base64; uuid.uuid4()"
    code += "; urllib.request.Request; base64.b64encode(b'')"
    assert {"uuid", "urllib.request", "base64"} <= modules_after(code)


@pytest.mark.parametrize("first", ["titik_agent.__main__", "titik_agent.assemble"])
def test_nothing_is_imported_before_what_is_put_off(first: str) -> None:
    """One of these before it, or a room of ours, would take a megabyte with what it imports."""
    code = "import sys; started = set(sys.modules)"
    code += f"; import {first}, json; print(json.dumps([*sys.modules]))"
    code += "; assert not started & {'dataclasses', 'logging', 'socket'}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    order: list[str] = json.loads(done.stdout)  # as they were finished
    earlier = order[: order.index("titik_agent.lazy_imports.later")]
    assert ["titik_agent", "titik_agent.lazy_imports"] == [
        one for one in earlier if one.split(".")[0] in IMPORTERS
    ]


@pytest.mark.parametrize(
    ("args", "plain"),
    [
        (["run"], (None, None)),
        (["run", "--config", "a.toml"], ("a.toml", None)),
        (["run", "--router", "r", "--config", "a.toml"], ("a.toml", "r")),
        ([], None),
        (["once"], None),
        (["run", "--help"], None),
        (["run", "--config"], None),
        (["run", "--config", "--router"], None),
        (["run", "--config", "a", "--config", "b"], None),
        (["run", "--confg", "a"], None),
        (["run", "a.toml"], None),
    ],
)
def test_run_is_read_without_click_if_it_is_plain(
    args: list[str], plain: tuple[str | None, str | None] | None
) -> None:
    """Everything else is click's, with its help and its errors."""
    found = _plain_run(args)
    assert plain == (found and (found["file"], found["router"]))
