"""A second machine that misses the sign of life of the server."""

import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.collector.test_config import LEAST
from tests.notify.programs import Program, serving
from tests.ports import free_port
from tests.until import until
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.notify import assembling, choosing, outside_watch
from titik_collector.notify.outside_watch import OutsideWatch

PATH = "/w8-tirosa-31"


def settings_of(folder: Path, program: Program, store: str = "titik.db") -> Config:
    """A second machine with one receiver."""
    tables = f'[[receiver]]\nname = "it"\ntype = "webhook"\nurl = "{program.url}"\n'
    text = LEAST.replace('path = "titik.db"', f'path = "{store}"') + tables
    assert store in text
    return model.parse(text.encode(), folder / "titik.toml")


def watch_of(settings: Config) -> OutsideWatch:
    """One that needs half a second of silence."""
    return assembling.watch(settings, PATH, 0.5)


def turns(watch: OutsideWatch, program: Program, *whats: str) -> None:
    """Until the program got these."""

    def got() -> list[str]:
        watch.turn(0.02)
        return [body["what"] for body in program.bodies]

    assert list(whats) == until(got, list(whats))


@pytest.mark.thorough
def test_silence_is_reported_once_and_its_end_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever does not know the path gives no sign."""
    monkeypatch.setattr(outside_watch, "LOOK_S", 0.05)
    with serving(Program()) as program:
        settings, port, stopped = settings_of(tmp_path, program), free_port(), list[int]()
        watches: list[OutsideWatch] = []

        def listen() -> None:
            watches.append(watch_of(settings))
            outside_watch.run(watches[0], "127.0.0.1", port, lambda: bool(stopped))

        listening = threading.Thread(target=listen)
        listening.start()
        assert 1 == until(lambda: len(program.bodies), 1)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        watches[0].silent_s = 60.0
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{PATH}", timeout=10) as answer:
            assert 204 == answer.status
        assert 2 == until(lambda: len(program.bodies), 2)
        stopped.append(1)
        listening.join()
    assert ["firing", "resolved"] == [one["what"] for one in program.bodies]
    assert {"collector-down"} == {one["kind"] for one in program.bodies}
    assert "the server is silent" in caplog.text


@pytest.mark.thorough
def test_that_it_is_back_comes_after_that_it_was_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first try failed, and the sign was back before the next."""
    monkeypatch.setattr(choosing, "RETRIES_S", (1,))
    with serving(Program([(500, {}, b""), (200, {}, b"")])) as program:
        watch = watch_of(settings_of(tmp_path, program))
        turns(watch, program, "firing")
        watch.silent_s = 60.0
        watch.hear(PATH)
        turns(watch, program, "firing", "firing", "resolved")
        watch.close()
    assert "not delivered" in caplog.text


def test_the_end_is_that_of_the_sign_that_ended_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody looks while it is heard."""

    def looked_at(watch: OutsideWatch, name: str, value: object) -> None:
        object.__setattr__(watch, name, value)
        if name.startswith("_heard"):
            watch._look()

    with serving(Program()) as program:
        watch = watch_of(settings_of(tmp_path, program))
        watch.hear(PATH)
        turns(watch, program, "firing")
        watch.silent_s = 60.0
        with monkeypatch.context() as looking:
            looking.setattr(OutsideWatch, "__setattr__", looked_at)
            watch.hear(PATH)
        turns(watch, program, "firing", "resolved")
        end = watch.lanes.ledger.own[-1].message
        watch.close()
    assert end.to_ms is not None
    assert end.to_ms - end.from_ms >= 400
    assert "heard again" in caplog.text


@pytest.mark.thorough
def test_a_restart_reports_nothing_twice_and_loses_no_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was reported lies beside the store that nobody opens."""
    with serving(Program()) as program:
        settings = settings_of(tmp_path, program)
        watch = watch_of(settings)
        turns(watch, program, "firing")
        watch.close()
        again = watch_of(settings)
        began = time.monotonic()

        def is_silent() -> bool:
            again.turn(0.02)
            return time.monotonic() - began > 2 * again.silent_s

        assert until(is_silent, True)
        turns(again, program, "firing")
        again.silent_s = 60.0
        again.hear(PATH)
        turns(again, program, "firing", "resolved")
        again.close()
    first, last = program.bodies
    assert first["since"] == last["since"]
    assert ["the server is silent", "the server is heard again"] == [
        one.getMessage() for one in caplog.records
    ]


@pytest.mark.thorough
def test_a_place_that_cannot_be_written_stops_no_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the rest is as ever."""
    (tmp_path / "file").write_text("")
    with serving(Program()) as program:
        watch = watch_of(settings_of(tmp_path, program, "file/titik.db"))
        turns(watch, program, "firing")
        watch.silent_s = 60.0
        watch.hear(PATH)
        turns(watch, program, "firing", "resolved")
        watch.close()
    assert "deliveries cannot be written" in caplog.text
