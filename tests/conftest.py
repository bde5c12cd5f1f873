"""What holds for every test: how long hypothesis searches, and that warnings are asked for."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVERYWHERE = settings(
    deadline=None,  # a busy machine is no failure
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=True,  # the same commit gives the same verdict
)
settings.register_profile("quick", EVERYWHERE, max_examples=5)
settings.register_profile("matrix", EVERYWHERE, max_examples=20)
settings.register_profile("thorough", EVERYWHERE, max_examples=200)
settings.load_profile("quick")  # `make test` asks for --hypothesis-profile=thorough
SQLITE3_CONNECT: Callable[..., sqlite3.Connection] = sqlite3.connect
# Minutes on the air, of brokers, and of a server that is cut off.
LONGEST = (
    *("tests/system/test_evening", "tests/system/test_lab"),
    *("tests/broker/", "tests/system/test_server_faults"),
)
TOGETHER = ("tests/broker", "tests/openwrt")  # take a broker's own ports; build packages once


def pytest_configure() -> None:
    """What the place where the tests run has to offer."""
    # A job in the background of a shell ignores SIGINT, and so does all that tests would start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _need_loopback()


def _need_loopback() -> None:
    """Without loopback every test that plays a broker would wait for its whole patience."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("127.0.0.1", 9))  # asks for the way there and sends nothing
        except OSError as error:
            raise pytest.UsageError("the loopback is down: ip link set lo up") from error


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for brokers and machines go first, the longest before them."""
    waiting = {item.path for item in items if item.get_closest_marker("system")}
    items.sort(key=lambda item: (not item.nodeid.startswith(LONGEST), item.path not in waiting))


@pytest.hookimpl(optionalhook=True)  # the environments of the matrix have no xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadscope` a file's tests run one after the other, beside another file's.

    So do those of a folder whose files are not to meet.
    """
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    config.option.loadscopereorder = False  # in the order of their collection
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _file_or_folder
    return scheduler


def _file_or_folder(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    return folder if folder in TOGETHER else file


class Loudest(logging.Handler):
    """Keeps what is logged at WARNING and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember one line."""
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


@pytest.fixture(scope="session", autouse=True)
def _files_need_not_outlast_a_power_cut() -> Iterator[None]:
    """A disk takes milliseconds for each; programs that tests start write as ever."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(sqlite3, "connect", _connect)
        yield


def _connect(database: str | Path, *args: Any, **options: Any) -> sqlite3.Connection:
    """As sqlite3 does; a new file is not waited for until somebody asks for that."""
    is_new = not options.get("uri") and not os.path.exists(database)
    db = SQLITE3_CONNECT(database, *args, **options)
    if is_new:
        db.execute("PRAGMA synchronous = OFF")
    return db


@pytest.fixture(autouse=True)
def _nothing_logged_unasked(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that causes a warning says so by taking `caplog`; any other one fails with it.

    A command that a test runs in this process sets up logging; the next test gets it as it was.
    """
    loudest, root = Loudest(), logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    root.addHandler(loudest)
    yield
    root.setLevel(level)
    root.handlers[:] = [one for one in root.handlers if one in handlers]
    if "caplog" not in request.fixturenames:
        assert loudest.lines == []


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium, started once for all tests: Playwright has no second one in a process."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_S * 1000)
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with contextlib.closing(started):
            yield started
