"""`titik serve`, with real processes that are killed and stopped."""

import contextlib
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.ports import free_ports
from tests.system.city import COLLECTOR, PATIENCE_S, City, Process

pytestmark = [pytest.mark.system, pytest.mark.thorough]


# Where a collector takes long to make the store, the page and the notifier wait longer.
SERVE = (
    "-c",
    "from titik_collector import serve; serve.STORE_S = 60.0;"
    " from titik_collector.cli import main; main()",
)


@contextlib.contextmanager
def serving(city: City) -> Iterator[tuple[Process, str]]:
    """The process, and the address of the page; both parts are there."""
    (port,) = free_ports(1)
    city.file.write_text(city.file.read_text() + f"\n[web]\nport = {port}\n")
    address = f"http://127.0.0.1:{port}/healthz"
    served = Process(city.folder / "serve.log", *SERVE, "serve", "--config", str(city.file))
    try:
        city.until(lambda: answers(address) and "broker connected" in served.output(), "both run")
        yield served, address
    finally:
        if not served.is_over:
            served.stop()


def answers(address: str) -> bool:
    """The page is there."""
    try:
        with urllib.request.urlopen(address, timeout=2.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def part(served: Process, name: str) -> psutil.Process | None:
    """The process of a part, if it runs."""
    for one in psutil.Process(served.popen.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now; a zombie is one too
            if name in one.cmdline():
                return one
    return None


def goes_on(one: psutil.Process) -> bool:
    """It is there, and no zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended between two looks
        return one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    return False


def pid(served: Process, name: str) -> int:
    """Of a part that runs."""
    found = part(served, name)
    assert found is not None
    return found.pid


def is_other(served: Process, name: str, before: int) -> bool:
    """A part runs in another process than before."""
    found = part(served, name)
    return found is not None and found.pid != before


def until(holds: Callable[[], bool]) -> None:
    """Wait, and not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_killed_is_started_again(tmp_path: Path) -> None:
    """The collector goes on with what routers kept, the page is there again."""
    with City(tmp_path) as city, serving(city) as (served, address):
        node = city.node()
        city.until_taken(node, 5)
        collector, page = pid(served, "collect"), pid(served, "web")
        os.kill(collector, signal.SIGKILL)
        city.until(lambda: is_other(served, "collect", collector), "another collector")
        assert page == pid(served, "web")
        city.until_taken(node, 10)
        city.until_acked()
        os.kill(page, signal.SIGKILL)
        city.until(lambda: is_other(served, "web", page) and answers(address), "another page")
        assert "process ended, started again name=collect status=-9" in served.output()
        assert "process ended, started again name=web status=-9" in served.output()
        # A new city's page and notifier waited for its store.
        assert "store cannot be read" not in served.output()
        assert 2 == served.output().count(f"the page is at {address.removesuffix('healthz')}")
        assert 0 == served.stop()
        city.close_books()


def test_a_page_whose_port_is_taken_says_so_and_names_no_address(tmp_path: Path) -> None:
    """What takes the port is no page of this city; the collector works on."""
    with City(tmp_path) as city, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        city.file.write_text(city.file.read_text() + f"\n[web]\nport = {port}\n")
        served = Process(city.folder / "serve.log", *COLLECTOR, "serve", "--config", str(city.file))
        try:
            city.until(lambda: "started again name=web" in served.output(), "the page ended")
            wrong = f"web.port: {port} of 127.0.0.1 is taken by another program; end that program"
            assert wrong in served.output()
            assert "the page is at" not in served.output()
        finally:
            served.stop()


def test_a_page_that_hangs_delays_no_acknowledgement(tmp_path: Path) -> None:
    """It is stopped in the middle of its work, and samples are stored and acknowledged."""
    with City(tmp_path) as city, serving(city) as (served, address):
        page = pid(served, "web")
        os.kill(page, signal.SIGSTOP)
        try:
            node = city.node()
            city.until_taken(node, 10)
            city.until_acked()
            assert not answers(address)
        finally:
            os.kill(page, signal.SIGCONT)
        city.until(lambda: answers(address), "the page goes on")


def test_a_public_page_is_written_where_one_is_configured(tmp_path: Path) -> None:
    """By a fourth process; without `public.directory` there are three."""
    with City(tmp_path) as city:
        city.file.write_text(
            city.file.read_text() + f'\n[public]\ndirectory = "{tmp_path}/public"\n'
        )
        with serving(city):
            city.until((tmp_path / "public" / "index.html").exists, "the public page is there")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_end_is_the_end_of_all(tmp_path: Path, how: signal.Signals) -> None:
    """Of a service, of a terminal, and of a process that is killed; nothing stays behind."""
    with City(tmp_path) as city, serving(city) as (served, _):
        parts = psutil.Process(served.popen.pid).children()
        assert 3 == len(parts)
        served.popen.send_signal(how)
        status = served.popen.wait(PATIENCE_S)
        assert status == (-9 if how is signal.SIGKILL else 0)
        until(lambda: not any(map(goes_on, parts)))
