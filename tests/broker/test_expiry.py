"""What ends when, who says so in time, and what happens if nobody listens."""

import datetime as dt
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.running import PATIENCE_S, ROOT, RunningBroker
from titik_collector.cli import titik
from titik_collector.config.model import CERT_DAYS
from titik_collector.enrolment.authority import SERVER_RENEW_DAYS, Expiry
from titik_collector.enrolment.signing import EPOCH
from titik_collector.store.sqlite import open_writer

TRIES_S = 2.0  # a refused client learns of it at once
pytestmark = pytest.mark.system

ROUTER = "certificate of router tirosa-1"
# What the table of docs/operating.md calls each, and its remedy.
KINDS = {
    "certificate authority": ("the city's authority", "titik broker authority switch"),
    "server certificate": ("the broker's certificate", "titik broker renew"),
    "revocation list": ("the revocation list", "titik broker renew"),
    ROUTER: ("a router's certificate", "titik router renew tirosa-1"),
}


@pytest.fixture
def city(tmp_path: Path) -> City:
    """With one enrolled router and an empty store."""
    folder = tmp_path / "city"
    folder.mkdir()
    made = enrolled.made(folder)
    made.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    with closing(open_writer(folder / "titik.db")):
        return made


def ends(city: City, what: str) -> Expiry:
    """When it does."""
    (found,) = [one for one in city.broker.authority.expiries() if one.what == what]
    return found


def output() -> str:
    """The page that states lifetimes."""
    return " ".join((ROOT / "docs/operating.md").read_text().split())


def test_everything_that_ends_is_one_of_these(city: City) -> None:
    """So that what follows is of all of them."""
    assert set(KINDS) == {one.what for one in city.broker.authority.expiries()}


@pytest.mark.parametrize("what", KINDS)
def test_it_lives_as_long_as_the_page_says(city: City, what: str) -> None:
    """Years of 365 days from when it was made."""
    row = re.search(rf"\| {KINDS[what][0]} \| (\d+) years \|", output())
    assert row is not None
    assert int(row[1]) * 365 == (ends(city, what).until - now()).days + 1


def test_the_other_times_are_as_the_page_says() -> None:
    """When the broker's certificate is renewed, how early is warned, from when all is valid."""
    assert f"when less than {SERVER_RENEW_DAYS // 365} years are left" in output()
    assert f"warn {CERT_DAYS} days ahead" in output()
    assert f"valid from {EPOCH.year} on" in output()


@pytest.mark.parametrize("what", KINDS)
def test_status_warns_sixty_days_ahead(
    city: City, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each kind with its remedy, and not before."""
    until = ends(city, what).until
    line = f"warning: {what} expires in 59 days: {KINDS[what][1]}"
    for days, warns in ((61, False), (59.5, True)):
        at = until - dt.timedelta(days=days)
        monkeypatch.setattr("titik_collector.enrolment.signing.now", lambda at=at: at)
        output = " ".join(city.says("status", status=None).split())  # a long line is wrapped
        assert warns == (line in output)
        assert warns == (f"{what} expires" in output)


@pytest.fixture
def broker(city: City) -> Iterator[RunningBroker]:
    """That runs on the city's directory."""
    with RunningBroker(city.broker) as started:
        yield started


@pytest.fixture
def running(city: City, broker: RunningBroker) -> City:  # noqa: ARG001
    """With a broker that runs."""
    return city


def publisher(city: City, router: str) -> list[str]:
    """The command that publishes as this router; what follows says what."""
    keys = city.folder / router / "etc/titik"
    if not keys.exists():
        city.enrol(router, city.folder / router)
    return [
        "mosquitto_pub", "-V", "5", "-h", "localhost", "-p", str(city.broker.ports.router),
        "--cafile", f"{keys}/ca.crt", "--cert", f"{keys}/router.crt",
        "--key", f"{keys}/router.key", "-i", f"titik:{router}", "-q", "1",
        "-t", f"titik/v1/router/{router}/sample",
    ]  # fmt: skip


def lets_in(city: City, router: str) -> bool:
    """Whether a new connection of the router gets a message through."""
    command = [*publisher(city, router), "-m", "x"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRIES_S, check=False)
    except subprocess.TimeoutExpired:  # it tries again and again
        return False
    return done.returncode == 0


def let_the_list_expire(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after ten years in which no timer ran; the broker reads it."""
    with monkeypatch.context() as patch:
        patch.setattr("titik_collector.enrolment.signing.CRL_DAYS", -3)  # ended three days ago
        city.broker.authority.write_crl()
    city.broker.reload()


def until_let_in(city: City, let_in: bool, router: str = "tirosa-1") -> bool:
    """Whether it comes to that: the broker acts on a reload at its own time."""
    deadline = time.monotonic() + PATIENCE_S
    while lets_in(city, router) != let_in:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_an_expired_list_is_reported_and_renewing_lets_routers_in_again(
    running: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does keep them out; `status` and `broker check` say so, and one command mends it."""
    assert until_let_in(running, True)
    let_the_list_expire(running, monkeypatch)
    assert until_let_in(running, False)
    reported = "warning: revocation list expired 3 days ago: titik broker renew\n"
    assert reported in running.says("status", status=None)
    directory = str(running.folder / "broker")
    checked = CliRunner().invoke(titik, ["broker", "check", directory])
    assert checked.exit_code == 1
    assert reported in checked.output

    assert CliRunner().invoke(titik, ["broker", "renew", directory]).exit_code == 0
    assert until_let_in(running, True)
    assert "revocation list" not in running.says("status", status=None)


def test_a_list_that_expires_ends_no_session(
    running: City, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router that is connected goes on reporting; only new connections fail."""
    running.says("router", "add", "tirosa-2", "--site", "taman-tirosa")
    command = [*publisher(running, "tirosa-1"), "-l"]  # a line a message, on one connection
    with subprocess.Popen(command, stdin=subprocess.PIPE) as router:
        assert router.stdin is not None
        router.stdin.write(b"before\n")
        router.stdin.flush()
        deadline = time.monotonic() + PATIENCE_S
        while not any("u'tirosa-1'" in line for line in broker.output):  # it is in
            assert time.monotonic() < deadline
            time.sleep(0.02)
        let_the_list_expire(running, monkeypatch)
        assert until_let_in(running, False, "tirosa-2")
        router.communicate(b"after\n", PATIENCE_S)
    assert 0 == router.returncode


def test_an_expired_list_locks_no_engineer_out(
    running: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have passwords, so somebody sees that the routers are gone."""
    running.says("engineer", "add", "ina")
    let_the_list_expire(running, monkeypatch)
    assert until_let_in(running, False)
    done = subprocess.run(
        ["sh", str(running.folder / "broker/secrets/ina.sh"), "-C", "1", "-W", "60", "-t",
         "$SYS/broker/version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "mosquitto" in done.stdout


def now() -> dt.datetime:
    """As certificates have it."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
