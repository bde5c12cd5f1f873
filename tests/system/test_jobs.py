"""Jobs that fail or take long, in a real collector at a real broker."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.broker.running import Client
from tests.mosquitto import Mosquitto
from tests.system.test_outputs import Router, broker, collecting, file, turn_until
from titik_collector.jobs import Jobs, Slot, Task
from titik_collector.store.database import is_of_the_store
from titik_collector.store.sqlite import open_writer

pytestmark = pytest.mark.system
__all__ = ["broker", "file"]  # fixtures


def bug() -> None:
    raise KeyError("park-1")


def test_an_ack_waits_for_no_job(file: Path, broker: Mosquitto) -> None:
    """It has left before the job begins, however long that takes."""
    with closing(open_writer(file.with_name("titik.db"))) as db, Client(broker.port) as client:
        collector = collecting(file, db, broker, ())
        router = Router(client)
        acked = []

        def wait_for_the_ack() -> None:
            """In the collector's thread: what has not left by now does not leave."""
            deadline = time.monotonic() + 20
            while router.hears()[0] < 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            acked.append(router.upto)

        stored = "SELECT count(*) FROM sample"
        job = Task(wait_for_the_ack, lambda: db.execute(stored).fetchone() == (1,) and not acked)
        collector.parts.jobs = Jobs([Slot(job)], time.monotonic, is_of_the_store)
        router.report(1)
        turn_until(collector, lambda: bool(acked))
        collector.close()

    assert [1] == acked


def test_a_job_with_a_bug_holds_up_no_sample(
    file: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is stored and acknowledged, `now` is published, and the bug is logged."""
    with closing(open_writer(file.with_name("titik.db"))) as db, Client(broker.port) as client:
        collector = collecting(file, db, broker, ())
        router = Router(client)
        slots = [Slot(Task(bug)), Slot(collector.parts.now)]
        collector.parts.jobs = Jobs(slots, time.monotonic, is_of_the_store)
        for seq in range(1, 4):
            router.report(seq)
            turn_until(collector, lambda seq=seq: router.hears() == (seq, seq))  # type: ignore[misc]
        collector.close()

    assert "a bug stops a job" in caplog.text
    assert "KeyError: 'park-1'" in caplog.text
