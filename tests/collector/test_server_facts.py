"""What the collector knows of its own machine, and since when."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PosixPath

import pytest

from tests.collector.build import T0, opened
from tests.until import until
from titik_collector.alerts.facts import LiveServer
from titik_collector.backups import verified
from titik_collector.backups.verified import Verified
from titik_collector.broker_link import remedies
from titik_collector.broker_link.remedies import CollectorRemedies
from titik_collector.config.alert_tables import Outside
from titik_collector.live import server_facts
from titik_collector.live.outside_line import EVERY_MS, PATIENCE_MS, OutsideLine
from titik_collector.live.server_facts import MachineSettings, ServerFacts
from titik_collector.store import settings, unknown_routers
from titik_collector.store.database import Database
from titik_mqtt import failures

MINUTE = 60_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    with opened(tmp_path / "titik.db", ()) as empty:
        yield empty


class Machine:
    """One whose state the test sets."""

    def __init__(self, db: Database, folder: Path, backups: Path | None = None) -> None:
        self.connected = self.storing = True
        self.days: int | None = 300
        settings = MachineSettings(folder=folder, backups=backups, outside=())
        self.facts = ServerFacts(
            "main",
            db,
            lambda: self.connected,
            lambda: self.storing,
            lambda _: self.days,
            settings,
            T0,
        )

    def look(self, at_ms: int = T0) -> LiveServer:
        return self.facts.look(at_ms)

    def searched(self, at_ms: int = T0) -> LiveServer:
        """What is so once the look for backups that this begins is over."""
        self.look(at_ms)
        assert self.facts._searching is not None
        self.facts._searching.join()
        return self.look(at_ms)


def test_connected_or_not_since_then(db: Database, tmp_path: Path) -> None:
    """Before the first connection since the start; a failed try changes nothing."""
    machine = Machine(db, tmp_path)
    machine.connected = False
    machine.facts.lost(T0 + 500, taken_over=False)
    assert (None, T0) == times(machine.look())
    machine.connected = True
    machine.facts.connected(T0 + 1000)
    assert (T0 + 1000, None) == times(machine.look())
    machine.connected = False
    for at_ms in (5000, 9000):
        machine.facts.lost(T0 + at_ms, taken_over=False)
    assert (None, T0 + 5000) == times(machine.look())


def times(found: LiveServer) -> tuple[int | None, int | None]:
    return found.connected_since_ms, found.disconnected_since_ms


def test_a_copy_is_noticed_until_a_connection_lasts(db: Database, tmp_path: Path) -> None:
    """Two collectors take the session from each other again and again."""
    machine = Machine(db, tmp_path)
    machine.facts.connected(T0)
    assert not machine.look().is_copy
    machine.facts.lost(T0 + 1000, taken_over=True)
    machine.facts.connected(T0 + 2000)
    assert machine.look(T0 + 60_000).is_copy
    assert not machine.look(T0 + 62_000).is_copy


def test_what_a_broker_says_of_a_taken_session_is_recognized() -> None:
    """In the words that the log has; other ends are no copy."""
    assert remedies.was_taken_over(failures.reason(0x8E, CollectorRemedies))
    assert not remedies.was_taken_over(failures.reason(0x8B, CollectorRemedies))
    assert not remedies.was_taken_over("the broker does not answer")


def test_a_store_fails_since_it_was_noticed(db: Database, tmp_path: Path) -> None:
    """Until it works again."""
    machine = Machine(db, tmp_path)
    machine.storing = False
    machine.look(T0 + 5)
    assert (False, T0 + 5) == (machine.look(T0 + 9).storing, machine.look(T0 + 9).store_failed_ms)
    machine.storing = True
    assert machine.look(T0 + 10).store_failed_ms is None


def test_room_is_what_the_collector_may_use(db: Database, tmp_path: Path) -> None:
    """As `df` has it; of a folder that is gone it is not known."""
    found = Machine(db, tmp_path).look()
    usage = shutil.disk_usage(tmp_path)
    assert found.disk_free_ratio == pytest.approx(usage.free / (usage.used + usage.free), abs=0.05)
    assert found.disk_free_bytes == pytest.approx(usage.free, abs=2e9)
    assert server_facts.disk(tmp_path / "gone") is None


def test_the_newest_whole_backup_counts(db: Database, tmp_path: Path) -> None:
    """One that lacks something is none."""
    backups = tmp_path / "backups"
    backups.mkdir()
    machine = Machine(db, tmp_path, backups)
    assert (True, None) == wanted(machine.searched())
    for name, at_s in (("titik-1.tar.gz", 100), ("titik-2.tar.gz", 300), ("x-part.tar.gz", 900)):
        (backups / name).touch()
        os.utime(backups / name, (at_s, at_s))
    assert (True, 300_000) == wanted(machine.searched(T0 + 6 * MINUTE))
    assert (False, None) == wanted(Machine(db, tmp_path).look())


def test_one_that_goes_at_this_moment_hides_no_other(db: Database, tmp_path: Path) -> None:
    """The oldest goes each night; the link is there, and what it names is not."""
    (tmp_path / "titik-1.tar.gz").symlink_to(tmp_path / "gone")
    (tmp_path / "titik-2.tar.gz").touch()
    os.utime(tmp_path / "titik-2.tar.gz", (300, 300))
    assert (True, 300_000) == wanted(Machine(db, tmp_path, tmp_path).searched())


def test_a_folder_that_is_not_there_yet_has_no_backup(db: Database, tmp_path: Path) -> None:
    """The first night makes it."""
    assert (True, None) == wanted(Machine(db, tmp_path, tmp_path / "later").searched())


def test_what_the_last_look_into_a_backup_found_is_known(db: Database, tmp_path: Path) -> None:
    """By the file that it left beside them."""
    settings.keep(db, "collected_ms", 7)
    machine = Machine(db, tmp_path, tmp_path)
    assert (None, True, 7) == looked_into(machine.searched())
    verified.write(tmp_path, Verified(at_ms=8, backup="titik-1.tar.gz"))
    assert (8, True, 7) == looked_into(machine.searched(T0 + 6 * MINUTE))
    verified.write(tmp_path, Verified(at_ms=9, backup="titik-1.tar.gz", problem="is damaged"))
    assert (9, False, 7) == looked_into(machine.searched(T0 + 12 * MINUTE))
    (tmp_path / verified.FILE).write_text("{")
    assert (None, True, 7) == looked_into(machine.searched(T0 + 18 * MINUTE))


def looked_into(found: LiveServer) -> tuple[int | None, bool, int | None]:
    return found.verified_ms, found.verified_well, found.collected_ms


def wanted(found: LiveServer) -> tuple[bool | None, int | None]:
    return found.backup_wanted, found.backup_ms


def test_backups_that_cannot_be_looked_at_are_not_called_old(
    db: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the remedy, once."""
    (tmp_path / "gone").write_text("no folder")
    machine = Machine(db, tmp_path, tmp_path / "gone")
    for minutes in (0, 6, 12):
        assert (None, None) == wanted(machine.searched(T0 + minutes * MINUTE))
    (line,) = [one.getMessage() for one in caplog.records]
    assert line.startswith("backups cannot be looked at, so none is called old reason=")
    assert line.endswith(f"remedy=as root: chmod 755 {tmp_path / 'gone'}")


class SlowFolder(PosixPath):
    """One on another machine, which does not answer before it may."""

    asked = 0
    answers = threading.Event()

    def __fspath__(self) -> str:
        type(self).asked += 1
        self.answers.wait(30)
        return super().__fspath__()


def test_a_folder_of_backups_that_does_not_answer_holds_nothing_up(
    db: Database, tmp_path: Path
) -> None:
    """It is asked once, until it answers; another folder does not wait for it."""
    (tmp_path / "titik-1.tar.gz").touch()
    os.utime(tmp_path / "titik-1.tar.gz", (100, 100))
    machine = Machine(db, tmp_path, SlowFolder(tmp_path))
    for minutes in (0, 6, 12):
        assert (None, None) == wanted(machine.look(T0 + minutes * MINUTE))
    assert 1 == until(lambda: SlowFolder.asked, 1)
    slow = machine.facts._searching
    (tmp_path / "empty").mkdir()
    empty = MachineSettings(folder=tmp_path, backups=tmp_path / "empty", outside=())
    machine.facts.watch(empty)
    assert (True, None) == wanted(machine.searched())
    SlowFolder.answers.set()
    assert slow is not None
    slow.join()
    assert (True, None) == wanted(machine.look())


def test_unknown_routers_are_those_of_a_day(db: Database, tmp_path: Path) -> None:
    """Each once."""
    with db.transaction():
        unknown_routers.hear(db, [("a", T0 - 25 * 60 * MINUTE), ("b", T0), ("b", T0)])
    assert 1 == Machine(db, tmp_path).look().unknown_routers


def test_certificates_are_asked_for_aside(db: Database, tmp_path: Path) -> None:
    """A city has thousands; the look does not wait."""
    machine = Machine(db, tmp_path)
    assert until(lambda: machine.look().certificate_days == 300, True)


@pytest.fixture
def outside() -> Iterator[socket.socket]:
    """A server that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def here(server: socket.socket) -> Outside:
    return Outside(*server.getsockname())


@pytest.fixture
def silent() -> Iterator[Outside]:
    """A server that lets nobody in: its queue is full. Some networks answer for any address."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield here(server)


def test_a_line_works_while_somebody_outside_answers(
    outside: socket.socket, silent: Outside
) -> None:
    """One of several is enough, and a refusal is an answer too."""
    line = OutsideLine([silent, here(outside)])
    assert line.look(T0) is None
    assert until(lambda: line.look(T0 + 5000) is None and not line._open, True)
    port = outside.getsockname()[1]
    outside.close()
    refused = OutsideLine([Outside("127.0.0.1", port)])
    for at_ms in (0, 5000, 25_000):
        assert refused.look(T0 + at_ms) is None
    line.close()
    refused.close()


@pytest.mark.parametrize("way", [True, False])
def test_a_line_is_down_since_the_first_try_that_nobody_answered(
    silent: Outside, way: bool
) -> None:
    """Also where there is no way there at all."""
    line = OutsideLine([silent if way else Outside("255.255.255.255", 9)])
    tries = [T0 + n * 5000 for n in range(2 + PATIENCE_MS // 5000)]
    for at_ms in tries:
        found = line.look(at_ms)
    assert T0 == found
    assert T0 == line.look(T0 + EVERY_MS + 5000)
    line.close()


def test_a_line_that_is_not_tested_is_not_down() -> None:
    """Nothing is configured."""
    assert OutsideLine([]).look(T0) is None


def test_another_address_begins_again(outside: socket.socket, silent: Outside) -> None:
    """As an edit of the configuration does."""
    line = OutsideLine([silent])
    for at_ms in range(T0, T0 + 20_000, 5000):
        line.look(at_ms)
    assert T0 == line.look(T0 + 25_000)
    line.change([here(outside)])
    assert line.look(T0 + 30_000) is None
    line.close()
