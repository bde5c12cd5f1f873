"""Whatever a router's key sends, in any sequence: the collector lives, and no figure is absurd."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.collector.build import BOOT, OLD_RUN, RUN, T0, received, sample
from tests.collector.test_collect import ROUTER, SITE, Watched, collecting
from tests.collector.test_registry import HEAD
from tests.wire.examples import topic_of
from tests.wire.strategies import messages
from titik_collector.broker_link.connection import Link
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.figures.rates import WIRE_BPS
from titik_collector.ingest.items import to_item
from titik_collector.ingest.plausible import MIN_SPACING_MS, SPARE
from titik_collector.limits import MAX_CLIENTS, MAX_LEAP, MAX_RANGES, MAX_UPTIME_MS
from titik_collector.live.now import bps
from titik_collector.queries import status
from titik_collector.store import conservation
from titik_collector.timeline.server_clock import ServerClock
from titik_wire import codec, topics
from titik_wire.city_messages import Now
from titik_wire.errors import WireError
from titik_wire.kinds import Whole
from titik_wire.limits import MAX_WHOLE
from titik_wire.messages import Bss, Held, Sample, Status

RUNS = (RUN, OLD_RUN, "c" * 16)
BOOTS = (BOOT, "boot-2")
SEQS = st.one_of(st.integers(1, 40), st.sampled_from([8192, MAX_LEAP, 2**31, MAX_WHOLE - 1, 2**52]))
MOMENTS = st.one_of(
    st.integers(T0 - 60_000, T0 + 60_000),
    st.sampled_from([0, 2**31 * 1000, 253402300799999]),
)
UPTIMES = st.one_of(st.integers(0, 90_000_000), st.sampled_from([MAX_UPTIME_MS, MAX_WHOLE]))
# All that one sample can make anybody believe was taken: by its own seq, and of runs it names.
MOST_EACH = SPARE + MAX_UPTIME_MS // MIN_SPACING_MS + 4 * MAX_LEAP


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Any fields at all, of a few runs and boots, with numbers at their bounds."""
    one: Sample = draw(messages(Sample))
    seq = draw(SEQS)
    changed: dict[str, Any] = {
        field.name: draw(_bounds(field.type))
        for field in dataclasses.fields(Sample)
        if _whole(field.type) is not None and field.name not in ("first_seq", "seq")
    }
    held = draw(st.dictionaries(st.sampled_from(RUNS), st.none() | st.tuples(SEQS, SEQS)))
    low, high = sorted((changed.pop("clients_min", 0) or 0, changed.pop("clients_max", 0) or 0))
    return dataclasses.replace(
        one,
        **{**changed, "router": "park-1", "run": draw(st.sampled_from(RUNS)), "seq": seq,
           "first_seq": seq, "boot": draw(st.sampled_from(BOOTS)), "uptime_ms": draw(UPTIMES),
           "taken_at": draw(MOMENTS), "clients_min": low, "clients_max": high,
           "spool": tuple(Held(run, span and _sorted(span)) for run, span in held.items())},
    )  # fmt: skip


def _sorted(span: tuple[int, int]) -> tuple[int, int]:
    return min(span), max(span)


def _whole(annotation: Any) -> Whole | None:
    for part in getattr(annotation, "__metadata__", ()):
        if isinstance(part, Whole):
            return part
    for part in getattr(annotation, "__args__", ()):
        if (found := _whole(part)) is not None:
            return found
    return None


def _bounds(annotation: Any) -> st.SearchStrategy[int]:
    kind = _whole(annotation)
    assert kind is not None
    return st.sampled_from([kind.minimum, kind.maximum, min(kind.minimum + 7, kind.maximum)])


STATUSES = st.builds(
    Status,
    st.just("park-1"),
    st.sampled_from(["online", "offline", "stopping"]),
    st.sampled_from(RUNS),
    SEQS,
    st.sampled_from(BOOTS),
    st.just("0.1.0"),
)
SENT = st.lists(st.tuples(st.booleans(), st.one_of(samples(), STATUSES)), min_size=1, max_size=6)


@pytest.mark.thorough
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=SENT)
def test_no_message_has_a_consequence_that_is_absurd(
    caplog: pytest.LogCaptureFixture, sent: Sequence[tuple[bool, Sample | Status]]
) -> None:
    """After each: the books close, all that is published is of the contract and in its limits."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(Link, "connected", True)
        # As in a store that has run for days: else a sample of 1970 is years of rollups.
        patched.setattr(ServerClock, "forget_ms", T0)
        file = Path(folder) / "titik.toml"
        file.write_text(HEAD + SITE + ROUTER)
        with collecting(file) as (collector, db):
            collector.idle()  # seals
            for number, (live, message) in enumerate(sent, 1):
                _take(collector, message, live, T0 + number * 7000)
                for now in collector.now():
                    _judge(now)
                assert [] == conservation.findings(db)
                most = number * MOST_EACH
                assert all(0 <= term <= most for term in conservation.totals(db))
                ranges = "SELECT count(*) FROM settled GROUP BY run_id"
                assert all(count <= MAX_RANGES for (count,) in db.execute(ranges))
            status.gather(db, "kupang", T0 + 100_000)
    assert "ERROR" not in caplog.text


def _take(collector: Watched, message: Sample | Status, live: bool, now_ms: int) -> None:
    """As the collector's turn does, with the rollups to their end."""
    topic = topic_of(message)
    if isinstance(message, Sample) and not live:
        topic = topics.backlog(message.router)
    try:
        payload = codec.encode(message)
    except WireError:  # too large, or its fields do not fit together: no message
        return
    saved = collector.parts.batches.save([to_item(ReceivedMessage(topic, payload, (1, 1)), now_ms)])
    collector.take_in(saved)
    collector.roll()
    collector.publish_now()
    collector.publish_windows()
    collector.idle()


def _judge(now: Now) -> None:
    for people in (now.clients, now.active):
        assert people is None or people <= MAX_CLIENTS
    for rate in (now.wifi_down_bps, now.wifi_up_bps, now.uplink_down_bps, now.uplink_up_bps):
        assert rate is None or rate <= WIRE_BPS


def test_now_shows_no_rate_that_no_wire_carries() -> None:
    """As rollups: what cannot be is unknown, and the other figures stand."""

    def at(seq: int, tx_bytes: int) -> Sample:
        return sample(seq, bss=(Bss("phy0-ap0", since="x", rx_bytes=seq, tx_bytes=tx_bytes),))

    down, up, uplink_down, _ = bps(at(1, 0), at(2, 10**15))

    assert (None, 0) == (down, up)
    assert uplink_down is not None


def test_now_shows_no_clients_that_cannot_be(tmp_path: Path) -> None:
    """A million in one router would be the city's figure."""
    file = tmp_path / "titik.toml"
    file.write_text(HEAD + SITE + ROUTER)
    with collecting(file) as (collector, _):
        many = sample(1, router="park-1", clients=MAX_CLIENTS + 1, bss=None)
        online = Status("park-1", "online", RUN, 1, BOOT, "0.1.0")
        _take(collector, online, True, T0)
        saved = collector.parts.batches.save([to_item(received(many, live=True), T0)])
        collector.take_in(saved)
        collector.publish_now()

        assert [None] * 3 == [one.clients for one in collector.now()[-3:]]
