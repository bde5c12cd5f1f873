"""A second machine that misses the sign of life of the server."""

import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.collector.test_config import LEAST
from tests.notify.messages import composed
from tests.notify.programs import Program, serving
from tests.ports import free_port
from tests.until import until
from titik_collector.config import model
from titik_collector.notify import outside_watch
from titik_collector.notify.outside_watch import OutsideWatch
from titik_collector.notify.webhook import WebhookChannel

PATH = "/w8-tirosa-31"


@pytest.mark.thorough
def test_silence_is_reported_once_and_its_end_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever does not know the path gives no sign."""
    monkeypatch.setattr(outside_watch, "LOOK_S", 0.05)
    with serving(Program()) as program:
        tables = f'[[receiver]]\nname = "it"\ntype = "webhook"\nurl = "{program.url}"\n'
        settings = model.parse((LEAST + tables).encode(), tmp_path / "titik.toml")
        watch, port, stopped = OutsideWatch(settings, PATH, 0.5), free_port(), list[int]()
        listening = threading.Thread(
            target=outside_watch.run, args=(watch, "127.0.0.1", port, lambda: bool(stopped))
        )
        listening.start()
        assert 1 == until(lambda: len(program.bodies), 1)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        watch.silent_s = 60.0
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{PATH}", timeout=10) as answer:
            assert 204 == answer.status
        assert 2 == until(lambda: len(program.bodies), 2)
        stopped.append(1)
        listening.join()
    assert ["firing", "resolved"] == [one["what"] for one in program.bodies]
    assert {"collector-down"} == {one["kind"] for one in program.bodies}
    assert "the server is silent" in caplog.text


def test_a_message_is_tried_again_until_it_arrives(caplog: pytest.LogCaptureFixture) -> None:
    """With the same waits as at the server."""
    waited: list[float] = []
    with serving(Program([(500, {}, b""), (503, {}, b""), (200, {}, b"")])) as program:
        channel = WebhookChannel(program.url, None, None, None)
        assert outside_watch.deliver(channel, composed(), waited.append)
    assert ([10, 30], 2) == (waited, len(caplog.records))
