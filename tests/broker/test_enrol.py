"""Certificates: what a router is given, and how long it is good for."""

import contextlib
import datetime as dt
import os
import ssl
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.broker.enrolled import CONFIG, SAMPLE, City, Router
from tests.broker.raw import plain, secure
from tests.broker.running import Client, RunningBroker, made
from tests.ports import free_ports
from tests.system.city import Process
from titik_agent.broker_link.backoff import SLOW_S
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_init import Request
from titik_collector.cli import titik
from titik_collector.enrolment.signing import CRL_DAYS
from titik_wire import codec, topics
from titik_wire.messages import Status

pytestmark = pytest.mark.system

BOOT = "6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11"


def test_a_bundle_lets_its_router_in(running: City, tmp_path: Path) -> None:
    """Everything it needs is in the one file, with the right modes; it may be run again."""
    keys = running.enrol("tirosa-1", tmp_path / "router")
    keys = running.enrol("tirosa-1", tmp_path / "router")
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in keys.iterdir()}
    assert {"ca.crt": 0o644, "router.crt": 0o644, "router.key": 0o600, "agent.toml": 0o600} == modes
    router = Router(keys, running.broker.ports.router)
    assert router.is_in()
    assert router.publish(SAMPLE)
    router.close()


def test_a_revoked_router_is_cut_off_and_stays_out(running: City, tmp_path: Path) -> None:
    """Its live session ends within ten seconds, and its next is refused."""
    keys = running.enrol("tirosa-1", tmp_path / "router")
    port = running.broker.ports.router
    router = Router(keys, port)
    assert router.is_in()

    assert "session is ended" in running.says("router", "revoke", "tirosa-1")
    assert router.is_cut(60)
    router.close()
    again = Router(keys, port)
    assert not again.is_in()
    again.close()
    assert "tirosa-1" not in running.broker.users()  # who took over is gone again


def test_a_revoked_router_is_offline_at_once(running: City, tmp_path: Path) -> None:
    """Its will is lost with its session; the retained status and `titik status` say it all the
    same."""
    router = Router(running.enrol("tirosa-1", tmp_path / "router"), running.broker.ports.router)
    assert router.is_in()
    online = Status("tirosa-1", "online", "9f2c41d07be35a68", 3, BOOT, "0.1.0")
    file = running.folder / "titik.toml"
    code = "from titik_collector.cli import main; main()"
    collector = Process(
        running.folder / "collector.log", "-c", code, "collect", "--config", str(file)
    )
    try:
        assert router.publish(topics.status("tirosa-1"), codec.encode(online), retain=True)
        assert _is_shown(running, "online")
        running.says("router", "revoke", "tirosa-1")
        assert _is_shown(running, "offline")
    finally:
        collector.stop()
    router.close()
    assert replace(online, state="offline") == _retained(running)


def test_a_router_that_is_taken_out_says_offline(running: City, tmp_path: Path) -> None:
    """Also while no collector is there to clear its topics."""
    router = Router(running.enrol("tirosa-1", tmp_path / "router"), running.broker.ports.router)
    assert router.is_in()
    online = Status("tirosa-1", "online", "9f2c41d07be35a68", 3, BOOT, "0.1.0")
    assert router.publish(topics.status("tirosa-1"), codec.encode(online), retain=True)
    running.says("router", "remove", "tirosa-1")
    assert router.is_cut(60)
    router.close()
    assert replace(online, state="offline") == _retained(running)


def _retained(city: City) -> object:
    """What the broker keeps of the router's status."""
    port, password = city.broker.ports.collector, city.broker.password("collector")
    with Client(port, "collector", password, f"{topics.CLIENT_ID}reader") as reader:
        assert "Success" == reader.answer()
        reader.subscribe(topics.status("tirosa-1"))
        return codec.decode(*reader.next())


def _is_shown(city: City, state: str) -> bool:
    """`titik status` says so of the router in the end."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        output = city.says("status", status=None).splitlines()
        if any(one.startswith("tirosa-1 ") and state in one.split() for one in output):
            return True
        time.sleep(0.2)
    return False


def test_a_trials_password_opens_nothing_with_tls(tmp_path: Path) -> None:
    """On no listener; nor does an init that lists a router which is revoked make it another."""
    trial = made(tmp_path / "broker", "tirosa-1")
    password = trial.password("tirosa-1")
    engineer, router = free_ports(2)
    request = Request(
        host="localhost", listen="127.0.0.1", engineer_listen="127.0.0.1",
        router_port=router, engineer_port=engineer, routers=("tirosa-1",),
    )  # fmt: skip
    broker_init.init(trial.path, request)
    (tmp_path / "titik.toml").write_text(CONFIG)
    city = City(tmp_path)
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    with RunningBroker(city.broker):
        assert [] == _opened(city, "tirosa-1", password)
        city.says("router", "revoke", "tirosa-1")
        city.says("broker", "init", str(trial.path))
        secret = city.broker.password_file("tirosa-1")
        assert [] == _opened(city, "tirosa-1", secret.read_text() if secret.exists() else password)
        ports = city.broker.ports  # so a right password would have been let in
        reader = city.broker.password("engineer")
        assert [ports.collector, ports.engineer] == _opened(city, "engineer", reader)


def _opened(city: City, user: str, password: str) -> list[int]:
    """The listeners that let somebody in by password."""
    ports, opened = city.broker.ports, []
    for port in (ports.collector, ports.router, ports.engineer):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            wire = plain(port) if port == ports.collector else secure(city, port)
            with wire:
                if wire.connect(f"titik:{user}", user, password.strip()) == 0:
                    opened.append(port)
    return opened


def test_a_rotated_key_replaces_the_old_without_a_gap(running: City, tmp_path: Path) -> None:
    """Both are good until the old one is revoked."""
    port = running.broker.ports.router
    old = running.enrol("tirosa-1", tmp_path / "old")
    running.says("router", "rotate", "tirosa-1")
    new = running.enrol("tirosa-1", tmp_path / "new")
    for keys in (old, new):
        router = Router(keys, port)
        assert router.is_in()
        router.close()
    revoked = running.says("router", "revoke", "tirosa-1", "--old")
    assert "1 certificate revoked" in revoked
    # An agent takes its time where an administrator ended its session.
    assert f"is away for up to {SLOW_S[1] / 60:.0f} minutes, and comes back by itself" in revoked
    for keys, good in ((old, False), (new, True)):
        router = Router(keys, port)
        assert good == router.is_in()
        router.close()
    shown = running.says("router", "show", "tirosa-1").splitlines()
    assert ["revoked", "until"] == [line.split()[2] for line in shown[1:]]


def test_a_routers_certificate_writes_its_own_topics_alone(running: City, tmp_path: Path) -> None:
    """Another's topic is refused, whatever user and client id it claims."""
    running.says("router", "add", "tirosa-2", "--site", "taman-tirosa")
    keys = running.enrol("tirosa-2", tmp_path / "two")
    thief = Router(keys, running.broker.ports.router, name="tirosa-1")
    assert thief.is_in()
    output: list[str] = []
    thief._paho.on_publish = lambda *got: output.append(str(got[3]))
    for topic in (SAMPLE, "titik/v1/router/tirosa-2/sample"):
        thief._paho.publish(topic, b"x", 1).wait_for_publish(60)
    deadline = time.monotonic() + 60
    while len(output) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    thief.close()
    assert ["Not authorized", "No matching subscribers"] == output


def test_the_servers_certificate_renews_under_routers(running: City, tmp_path: Path) -> None:
    """A reload is enough; the router trusts the authority, not the certificate."""
    keys = running.enrol("tirosa-1", tmp_path / "router")
    port = running.broker.ports.router
    before = ssl.get_server_certificate(("localhost", port), ca_certs=str(keys / "ca.crt"))
    running.broker.authority.certify_server("localhost")
    running.broker.reload()
    deadline = time.monotonic() + 60
    while before == ssl.get_server_certificate(("localhost", port), ca_certs=str(keys / "ca.crt")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    router = Router(keys, port)
    assert router.is_in()
    router.close()


def test_what_ends_soon_is_reported(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the remedy, 60 days ahead; renewing ends it."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    directory = str(city.folder / "broker")
    assert "warning" not in CliRunner().invoke(titik, ["broker", "check", directory]).output
    later = dt.datetime.now() + dt.timedelta(days=CRL_DAYS - 30)
    assert any("revocation list" in one for one in city.broker.authority.warnings(later))
    monkeypatch.setattr("titik_collector.enrolment.signing.CRL_DAYS", 30)
    city.broker.authority.write_crl()
    reported = CliRunner().invoke(titik, ["broker", "check", directory])
    assert (1, True) == (reported.exit_code, "revocation list expires in" in reported.output)
    monkeypatch.undo()
    assert CliRunner().invoke(titik, ["broker", "renew", directory]).exit_code == 0
    assert "warning" not in CliRunner().invoke(titik, ["broker", "check", directory]).output


def renewed(city: City) -> str:
    """What the timer's command prints."""
    command = ["broker", "renew", "--due", str(city.folder / "broker")]
    done = CliRunner().invoke(titik, command)
    assert 0 == done.exit_code
    return done.output


def test_the_timer_renews_what_is_due_alone(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """mosquitto reads nothing again for it: while a router is away, 2.0.11 crashes on that."""
    list_ = city.folder / "broker/tls/crl.pem"
    before = list_.read_bytes()
    assert "nothing is due\n" == renewed(city)
    assert before == list_.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("titik_collector.enrolment.signing.CRL_DAYS", 9 * 365 - 2)
        city.broker.authority.write_crl()
    for damage in (None, before[:40], b""):
        if damage is not None:
            list_.write_bytes(damage)
        assert "revocation list renewed" in renewed(city)
        assert "nothing is due\n" == renewed(city)
    (city.folder / "broker/ca/revoked").write_text("1 2026-01-01T00:00:00\n")
    assert "revocation list renewed" in renewed(city)


def test_keys_are_their_owners_alone(city: City) -> None:
    """The authority's, the broker's, and every bundle."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    for name in ("ca/ca.key", "tls/server.key", "secrets/tirosa-1.sh"):
        assert 0o600 == stat.S_IMODE((city.folder / "broker" / name).stat().st_mode)
    assert 0o700 == stat.S_IMODE((city.folder / "broker/ca").stat().st_mode)


def test_a_key_is_its_owners_from_its_first_byte(city: City, tmp_path: Path) -> None:
    """On the router too: before anybody set a mode, it had the right one."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    programs = tmp_path / "programs"
    programs.mkdir()
    watching = programs / "chmod"
    watching.write_text(
        f'#!/bin/sh\nstat -c "%a %n" "$2" >>{tmp_path}/seen\nexec /bin/chmod "$@"\n'
    )
    watching.chmod(0o755)
    subprocess.run(
        ["sh", str(city.folder / "broker/secrets/tirosa-1.sh")], umask=0, check=True,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "TITIK_ROOT": str(tmp_path / "root")},
        capture_output=True,
    )  # fmt: skip
    seen = dict(line.split()[::-1] for line in (tmp_path / "seen").read_text().splitlines())
    assert "600" == seen[f"{tmp_path}/root/etc/titik/.router.key.new"]


def test_certificates_are_as_small_routers_can_bear(city: City, tmp_path: Path) -> None:
    """P-256 throughout, good for a router whose clock is years behind, made out for a name."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    router = city.enrol("tirosa-1", tmp_path / "router") / "router.crt"
    tls = city.folder / "broker/tls"
    for file, name in ((tls / "ca.crt", None), (tls / "server.crt", "localhost"), (router, None)):
        one = x509.load_pem_x509_certificate(file.read_bytes())
        key = one.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert "secp256r1" == key.curve.name
        done = subprocess.run(
            ["openssl", "x509", "-in", str(file), "-noout", "-startdate"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "notBefore=Jan  1 00:00:00 2020 GMT\n" == done.stdout
        if name is not None:
            names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert [name] == names.get_values_for_type(x509.DNSName)
