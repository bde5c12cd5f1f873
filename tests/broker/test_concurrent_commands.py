"""Commands that are typed at the same time: each does its work, and none undoes another's."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from tests.broker.enrolled import City, Router
from titik_collector.config import model

pytestmark = pytest.mark.system

# Loaded first, and started together: what is to meet takes less time than loading differs by.
CODE = """
import sys
from titik_collector import commands
from titik_collector.config import edit
from titik_collector.enrolment import authority
from titik_collector.cli import main
print("ready", flush=True)
sys.stdin.readline()
main()
"""


def at_once(city: City, *commands: Sequence[str]) -> list[str]:
    """Run `titik` so often, each in its own process; what those that failed printed."""
    file = str(city.folder / "titik.toml")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, *words, *(["--config", file] * (words[0] != "broker"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for words in commands
    ]
    for one in running:
        assert one.stdout is not None
        assert "ready\n" == one.stdout.readline()
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    output = [one.communicate(timeout=60)[0] for one in running]
    return [text for one, text in zip(running, output, strict=True) if one.returncode]


def add(name: str) -> tuple[str, ...]:
    return ("router", "add", name, "--site", "taman-tirosa")


def names(city: City) -> set[str]:
    """Of the routers in the file."""
    return {one.name for one in model.load(city.folder / "titik.toml").router}


def on_the_list(city: City) -> set[int]:
    """Serials that the broker refuses."""
    pem = (city.folder / "broker/tls/crl.pem").read_bytes()
    return {one.serial_number for one in x509.load_pem_x509_crl(pem)}


def test_routers_added_at_once_are_all_there(city: City) -> None:
    """In the file, each with a certificate and the script that brings it."""
    new = {f"new-{number}" for number in range(8)}
    assert [] == at_once(city, *map(add, sorted(new)))
    assert new == names(city)
    assert new == {one.router for one in city.broker.authority.issued()}
    assert new == {one.stem for one in (city.folder / "broker/secrets").glob("new-*.sh")}


def test_what_is_revoked_at_once_stays_revoked(city: City) -> None:
    """While routers come and go, and the weekly timer writes the list again."""
    old, gone = {f"old-{number}" for number in range(4)}, {"gone-0", "gone-1"}
    for name in old | gone:
        city.says(*add(name))
    revoked = {one.serial for one in city.broker.authority.issued()}
    failed = at_once(
        city,
        add("new-0"),
        *(("router", "revoke", name) for name in old),
        ("broker", "renew", str(city.folder / "broker")),
        *(("router", "remove", name) for name in gone),
        add("new-1"),
    )
    assert [] == failed
    assert old | {"new-0", "new-1"} == names(city)
    assert revoked == on_the_list(city)
    assert revoked == {one.serial for one in city.broker.authority.issued() if one.revoked}


def test_sessions_are_ended_at_once(running: City, tmp_path: Path) -> None:
    """Of routers that are connected, while another is added."""
    revoked = ["tirosa-1", "old-0", "old-1"]
    for name in revoked[1:]:
        running.says(*add(name))
    port = running.broker.ports.router
    routers = [Router(running.enrol(one, tmp_path / one), port, one) for one in revoked]
    assert all(one.is_in() for one in routers)
    failed = at_once(running, *(("router", "revoke", name) for name in revoked), add("new-0"))
    assert [] == failed
    assert all(one.is_cut(60) for one in routers)
    for one in routers:
        one.close()
    assert {"collector", "engineer", "new-0"} == set(running.broker.users())


def test_certificates_are_read_again_by_the_end_of_each_command(
    running: City, tmp_path: Path
) -> None:
    """Though mosquitto forgets a signal that comes while it reads for another: of eight routers
    whose older key is revoked, none gets in with it."""
    several = [f"old-{number}" for number in range(8)]
    keys = {}
    for name in several:
        running.says(*add(name))
        keys[name] = running.enrol(name, tmp_path / name)
        running.says("router", "rotate", name)
    assert [] == at_once(running, *(("router", "revoke", name, "--old") for name in several))
    for name in several:
        router = Router(keys[name], running.broker.ports.router, name)
        assert not router.is_in()
        router.close()


def test_engineers_added_at_once_may_all_read(city: City) -> None:
    """Each is in the settings and known to the broker; who was taken out is neither."""
    city.says("engineer", "add", "old")
    new = {f"new-{number}" for number in range(5)}
    failed = at_once(
        city, *(("engineer", "add", name) for name in new), ("engineer", "remove", "old")
    )
    assert [] == failed
    assert {"engineer", *new} == set(city.broker.settings.engineers)
    assert {"collector", "engineer", *new} == set(city.broker.users())
