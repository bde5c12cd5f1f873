"""What `titik notify` reads of the store: by which time, and of a store of another version."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.collector.test_config import LEAST
from tests.notify.cities import City, city, now_ms, webhook
from tests.notify.messages import notification
from tests.notify.programs import Program, serving
from tests.until import until
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.notify import assembling, own_alerts
from titik_collector.notify.notifier import Notifier
from titik_collector.notify.store_watch import StoreWatch
from titik_collector.store import (
    beat_rows,
    identity,
    opening,
    outbox_rows,
    server_clock_row,
    sqlite,
)
from titik_collector.store.beat_rows import Beat
from titik_collector.store.server_clock_row import Known
from titik_collector.timeline import server_clock

HOUR_MS = 3_600_000


def settings_of(folder: Path) -> Config:
    """A city that nobody is to write to."""
    return model.parse(LEAST.encode(), folder / "titik.toml")


def collected(settings: Config, wrong_ms: int, boot: str | None = None) -> None:
    """A collector wrote a beat, and knows that the server's clock is so much ahead."""
    now = server_clock.wall_ms() - wrong_ms
    known = Known(
        boot or server_clock.boot_id(),
        now - server_clock.uptime_ms(),
        sure=True,
        unsure_ms=now,
        forget_ms=now,
        ahead_ms=wrong_ms,
        since_ms=now if wrong_ms else None,
    )
    with opening.writing(settings.store) as db:
        identity.opened(db)
        with db.transaction():
            server_clock_row.keep(db, known)
            beat_rows.write(db, beat_rows.COLLECTOR, Beat(now))
            outbox_rows.put(db, [notification(due_ms=now - 5000, incident=None)])


@pytest.mark.parametrize("wrong_ms", [0, 3 * HOUR_MS, -3 * HOUR_MS, 40 * 24 * HOUR_MS])
@pytest.mark.parametrize("boot", [None, "the one before"])
def test_time_is_the_collector_s(tmp_path: Path, wrong_ms: int, boot: str | None) -> None:
    """Its beat is fresh and what is due is read, however wrong the server's clock is."""
    settings = settings_of(tmp_path)
    collected(settings, wrong_ms, boot)
    watch = StoreWatch(settings)
    look, age_ms = watch.look(), watch.beat_age_ms()
    watch.close()
    assert look is not None
    assert age_ms is not None
    assert (1, True) == (len(look.messages), age_ms < 10_000)
    assert abs(watch.now_ms() - (server_clock.wall_ms() - wrong_ms)) < 10_000


def test_a_beat_that_changes_is_fresh_whatever_a_clock_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that jumps makes none old, and one that never changes is old in time."""
    settings = settings_of(tmp_path)
    collected(settings, 0)
    watch = StoreWatch(settings)
    watch.look()
    right = server_clock.wall_ms
    monkeypatch.setattr(server_clock, "wall_ms", lambda: right() + HOUR_MS)
    watch.look()
    age_ms = watch.beat_age_ms()
    assert age_ms is not None
    assert age_ms < 10_000
    watch._changed_at -= 3600
    assert (watch.beat_age_ms() or 0) >= HOUR_MS
    with opening.writing(settings.store) as db, db.transaction():
        beat_rows.write(db, beat_rows.COLLECTOR, Beat(right() - HOUR_MS))
    watch.look()
    changed_ms = watch.beat_age_ms()
    watch.close()
    assert changed_ms is not None
    assert changed_ms < HOUR_MS / 2


def older(settings: Config) -> None:
    """A store as the version before left it: its collector was stopped for an upgrade."""
    assert settings.store.path is not None
    newest = opening.newest(settings.store)
    settings.store.path.unlink()
    with closing(sqlite.open_writer(settings.store.path, newest - 1)) as db:
        identity.opened(db)


def newer(settings: Config) -> None:
    """A store that a later version has opened, and left an hour ago."""
    with opening.writing(settings.store) as db, db.transaction():
        beat_rows.write(db, beat_rows.COLLECTOR, Beat(now_ms() - HOUR_MS))
        db.execute("PRAGMA user_version = 999")


def never(settings: Config) -> None:
    """A store that a collector opened, and gave no beat."""
    with opening.writing(settings.store) as db:
        identity.opened(db)


def turned(one: City, count: Callable[[], int]) -> Notifier:
    """A notifier in this process, until there is something."""
    made = assembling.notifier(one.settings)

    def turn() -> int:
        made.turn(0.01)
        return count()

    try:
        assert 1 == until(turn, 1)
        made.finish(5.0)
    finally:
        made.close()
    return made


@pytest.mark.thorough
@pytest.mark.parametrize("left", [older, newer, never])
def test_a_collector_that_does_not_start_is_missed(
    left: Callable[[Config], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After an upgrade too, when this program does not read the store yet."""
    monkeypatch.setattr(own_alerts, "STALE_MS", 300)
    monkeypatch.setattr(own_alerts, "FOR_MS", 300)
    monkeypatch.setattr(assembling, "_listener", lambda *_: None)  # its thread would never end
    with (
        serving(Program()) as program,
        city(tmp_path, webhook(tmp_path, "desk", program.url)) as one,
    ):
        left(one.settings)
        turned(one, lambda: len(program.bodies))
    assert ["collector-down"] == [body["kind"] for body in program.bodies]
    is_other = left is not never
    assert is_other is ("this program reads" in caplog.text)


def test_a_store_that_is_upgraded_is_read_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the next look."""
    settings = settings_of(tmp_path)
    never(settings)
    older(settings)
    watch = StoreWatch(settings)
    before = watch.look()
    collected(settings, 0)
    after = watch.look()
    watch.close()
    assert before is not None
    assert after is not None
    assert (0, None, 1, True) == (
        len(before.messages),
        before.beat_ms,
        len(after.messages),
        after.beat_ms is not None,
    )
    assert before.known is not None
    assert "titik upgrade" in caplog.text


def test_a_store_that_is_damaged_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of it is known."""
    settings = settings_of(tmp_path)
    assert settings.store.path is not None
    with closing(sqlite3.connect(settings.store.path)) as raw:
        raw.execute("CREATE TABLE other (one)")
    watch = StoreWatch(settings)
    assert (None, None) == (watch.look(), watch.beat_age_ms())
    assert 1 == caplog.text.count("store cannot be read")
