"""One day, 10,000 visitors: nothing that names one leaves the router or is written anywhere.

A router takes 2,880 samples, with the agent's own code from the radio's socket and the lease file
to the spool and the connection; broker and collector are real, TLS is off, everything logs all it
can. In the morning hostapd is asked over ubus, in the afternoon over its control sockets. Before
noon the line is cut for hours, after it the collector is away, so that what is kept for bad times
is searched too. The day is four days old, so that the collector packs its minutes.
"""

import logging
import os
import random
import shutil
import sqlite3
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.agent.fake_hostapd import FakeBss, FakeHostapd
from tests.agent.fake_ubusd import FakeUbusd, answer, encode
from tests.agent.test_hostapd_ubus import Counters
from tests.system import leaks
from tests.system.city import City
from tests.system.leaks import Found
from tests.system.visitors import KINDS, VISITORS, patterns, visitors
from tests.system.wiretap import Wiretap
from titik_agent.broker_link.backoff import Backoff
from titik_agent.broker_link.connector import Connector
from titik_agent.broker_link.link import Link
from titik_agent.broker_link.publisher import Publisher
from titik_agent.sampling.loop import Loop
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import Schedule
from titik_agent.sampling.source import Source
from titik_agent.sampling.stations import Tracker
from titik_agent.sources.host import HostSource
from titik_agent.sources.hostapd_control import HostapdControl
from titik_agent.sources.hostapd_ubus import HostapdUbus
from titik_agent.sources.leases import LeasesSource
from titik_agent.sources.netdev import Interfaces
from titik_agent.sources.survey import Survey
from titik_agent.sources.visitors import Sketch
from titik_agent.spool.spool import Spool
from titik_collector.store import body
from titik_collector.store.sqlite import open_reader
from titik_mqtt.endpoint import Endpoint
from titik_wire import __version__, codec, topics
from titik_wire.messages import Sample, Status

pytestmark = [pytest.mark.system, pytest.mark.long]

ROUTER = "tirosa-1"
IFNAME = "phy0-ap0"
DAY_MS = 86_400_000
INTERVAL_S = 30
SAMPLES = DAY_MS // 1000 // INTERVAL_S
AGO_DAYS = 4  # the day is over, and its figures are kept
STAYS = 20  # samples that a visitor is there for
LEASED = 120  # and has a lease for
SPOOL_BYTES = 256 * 1024  # less than the hours without a line fill, so that samples are merged
LOGS_ALL = ("log_type error\nlog_type warning\nlog_type notice\n", "log_type all\n")

# Every column that holds bytes, and how they are read; a new one must be added here.
PACKED: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    ("body", "packed"): body.unpack,
    ("sample", "counters"): bytes,
    ("quarantine", "head"): bytes,
}


class DayClock:
    """A router's clock that the test moves."""

    boot = "5d0c5a36-0c4e-4f57-b6d5-4d2b6d1f7c11"

    def __init__(self) -> None:
        today_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
        self._start_ms = today_ms - AGO_DAYS * DAY_MS
        self.passed_ms = 0

    def monotonic(self) -> float:
        return self.uptime_ms() / 1000

    def uptime_ms(self) -> int:
        return 60_000 + self.passed_ms

    def wall_ms(self) -> int:
        return self._start_ms + self.passed_ms

    def quality(self) -> Literal["ntp", "guess"]:
        return "ntp"


class Hotspot:
    """Who is there, as the router's Wi-Fi and its DHCP server report it."""

    def __init__(self, folder: Path) -> None:
        self.leases = folder / "dhcp.leases"
        self.ubus = str(folder / "ubus.sock")
        self.control = str(folder / "hostapd")
        self.present = range(0)
        self.leased = range(0)
        self._ubusd = FakeUbusd(self.ubus)
        self._hostapd = FakeHostapd(self.control, FakeBss(IFNAME))

    def turn(self, at: int) -> None:
        """The half minute before a sample."""
        before, self.present, self.leased = self.present, _here(at, STAYS), _here(at, LEASED)
        for number in range(max(before.stop, self.present.start), self.present.stop):
            self._hostapd.join(IFNAME, visitors()[number].mac)
            self._notify("sta-authorized", visitors()[number].mac)
        for number in range(before.start, min(before.stop, self.present.start)):
            self._hostapd.leave(IFNAME, visitors()[number].mac)
            self._notify("disassoc", visitors()[number].mac)
        rows = [visitors()[number] for number in self.leased]
        text = "".join(f"0 {one.mac} {one.ip} {one.host} 01:{one.mac}\n" for one in rows)
        self.leases.write_text(text)

    def _notify(self, event: str, mac: str) -> None:
        self._ubusd.notify(f"hostapd.{IFNAME}", event, {"address": mac})

    def _clients(self) -> bytes:
        clients = {
            visitors()[number].mac: {
                "authorized": True,
                "assoc": True,
                "aid": number % 2007 + 1,
                "bytes": {"rx": number, "tx": number},
                "packets": {"rx": number, "tx": number},
                "signal": -50 - number % 40,
            }
            for number in self.present
        }
        return encode({"freq": 2437, "clients": clients})

    def __enter__(self) -> "Hotspot":
        status = {"ssid": "Kota", "freq": 2437, "channel": 6, "phy": "phy0"}
        self._hostapd.start()
        self._ubusd.start()
        self._ubusd.add(
            f"hostapd.{IFNAME}", {"get_clients": self._clients, "get_status": answer(status)}
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._ubusd.stop()
        self._hostapd.stop()


def _here(at: int, samples: int) -> range:
    """Who came since so many samples before this one; everybody comes once in the day."""
    first = max(0, at + 1 - samples)
    return range(first * VISITORS // SAMPLES, (at + 1) * VISITORS // SAMPLES)


class Noting(Spool):
    """A spool that notes what each sample counted: clients, leases, visitors."""

    counted: list[tuple[int | None, int | None, int | None]]

    def append(self, run: str, seq: int, payload: bytes) -> None:
        """As the router does, and note it."""
        sample = codec.decode(topics.sample(ROUTER), payload)
        assert isinstance(sample, Sample)
        seen = sample.visitors.count if sample.visitors else None
        self.counted.append((sample.clients, sample.leases, seen))
        super().append(run, seq, payload)


class Agent:
    """One run of the router's own code, from the radio to the connection."""

    def __init__(
        self, folder: Path, hotspot: Hotspot, clock: DayClock, target: Endpoint, over_ubus: bool
    ) -> None:
        run = os.urandom(8).hex()
        self.spool = Noting(
            str(folder / "spool"), SPOOL_BYTES, str(folder / "flash"), monotonic=clock.monotonic
        )
        self.spool.counted = []
        about = Status(ROUTER, "online", run, 1, clock.boot, __version__, "Test router")
        # Not packed, so that what is looked for could be found.
        publisher = Publisher(about, self.spool, time.monotonic, compress=False)
        self.connector = Connector(
            publisher,
            lambda will, events: Link(target, will, events),
            Backoff(random.Random(), first_s=0.2, cap_s=0.5),
        )
        sketch, counters = Sketch(clock), Counters(phy0_ap0=("boot/12", 11, 22))
        self._hostapd: HostapdUbus | HostapdControl = (
            HostapdUbus(counters, Tracker(), sketch, (hotspot.ubus,))
            if over_ubus
            else HostapdControl(counters, Tracker(), sketch, hotspot.control)
        )
        sources: tuple[Source, ...] = (
            self._hostapd,
            *((Survey(self._hostapd),) if isinstance(self._hostapd, HostapdUbus) else ()),
            Interfaces("lo", (), clock.boot),
            HostSource(clock),
            LeasesSource(clock, (str(hotspot.leases),)),
            sketch,
        )
        sampler = Sampler(ROUTER, run, clock, self.spool, sources, lambda: publisher.unacked.acked)
        schedule = Schedule(INTERVAL_S, clock.monotonic() - INTERVAL_S, random.Random())
        self._loop = Loop(
            sampler, schedule, self.spool, [self._hostapd], clock.monotonic, self.connector.wake
        )
        self.connector.start()

    def turn(self) -> None:
        """Hear who came and went, and take a sample."""
        self._loop.turn(0)

    def stop(self) -> None:
        """As on SIGTERM."""
        self.spool.close()
        assert self.connector.stop()
        self._hostapd.close()


class Story:
    """The day as it goes, and everything that is written in it."""

    def __init__(self, city: City, hotspot: Hotspot, line: Wiretap) -> None:
        self.texts: dict[str, bytes] = {}
        self.truth: list[tuple[int, int]] = []
        self.counted: list[tuple[int | None, int | None, int | None]] = []
        self._city, self._hotspot, self._line, self._clock = city, hotspot, line, DayClock()
        password = city.directory.password(ROUTER)
        self._target = Endpoint("127.0.0.1", line.port, ROUTER, password)

    def agent(self, over_ubus: bool) -> Agent:
        """The agent starts."""
        folder = self._city.folder / "router"
        made = Agent(folder, self._hotspot, self._clock, self._target, over_ubus)
        made.spool.counted = self.counted
        return made

    def go_on(self, agent: Agent, until: int) -> None:
        """Take samples up to that one."""
        for at in range(len(self.truth), until):
            self._clock.passed_ms = at * 1000 * INTERVAL_S
            self._hotspot.turn(at)
            agent.turn()
            self.truth.append((len(self._hotspot.present), len(self._hotspot.leased)))
            assert len(self.counted) == len(self.truth)

    def until_stored(self, agent: Agent) -> None:
        """All that was taken is."""
        self._city.until(lambda: agent.spool.spooled == 0, "the spool is empty")

    def keep(self, moment: str, *names: str) -> None:
        """Copies of files (a database has several), and of all in folders, below the city's."""
        for name in names:
            whole = self._city.folder / name
            found = whole.rglob("*") if whole.is_dir() else whole.parent.glob(f"{name}*")
            for file in sorted(one for one in found if one.is_file()):
                data = file.read_bytes()
                if file.suffix == ".kept":
                    data = zlib.decompress(data)
                self.texts[f"{moment}: {file.relative_to(self._city.folder)}"] = data


def live(city: City, lines: dict[str, Wiretap], hotspot: Hotspot) -> Story:
    """The day of the story."""
    story = Story(city, hotspot, lines["router"])
    city.collect(debug=True)
    agent = story.agent(over_ubus=True)
    story.go_on(agent, SAMPLES // 4)
    story.until_stored(agent)
    lines["router"].is_cut = True
    story.go_on(agent, SAMPLES // 2)
    assert agent.spool.merged > 0
    agent.stop()
    story.keep("noon", "router")

    lines["router"].is_cut = False
    agent = story.agent(over_ubus=False)
    story.until_stored(agent)
    story.keep("one o'clock", "titik.db")
    assert city.collector is not None
    assert 0 == city.collector.stop()
    story.go_on(agent, SAMPLES * 3 // 4)
    city.broker.stop()
    story.keep("six o'clock", "broker/data", "router")

    city.broker.start()
    city.collect(debug=True)
    story.go_on(agent, SAMPLES)
    story.until_stored(agent)
    agent.stop()
    story.keep("midnight", "router")
    return story


def close(city: City, story: Story, lines: dict[str, Wiretap]) -> None:
    """When all is counted, end everything and keep what it leaves."""
    left = "SELECT count(*) FROM (SELECT from_ms FROM dirty UNION ALL SELECT from_ms FROM stale)"
    yesterday_ms = time.time_ns() // 1_000_000 - DAY_MS  # of the day, not of this minute
    city.until(
        lambda: city.number(f"{left} WHERE from_ms < ?", yesterday_ms) == 0, "all is computed"
    )
    for words in (("status",), ("export", "--window", "1m", "--since", "7d"), ("events",)):
        status, output = city.titik(*words, "--config", str(city.file))
        assert 0 == status, output
        story.texts[f"titik {words[0]}"] = output.encode()
    assert city.collector is not None
    assert 0 == city.collector.stop()
    city.broker.stop()
    story.keep("the end", "titik.db", "broker/data", "collector.log", "agent.log")
    story.texts["mosquitto's log"] = "\n".join(city.broker.output).encode()
    for name, line in lines.items():
        story.texts |= {f"line: {name} {n}": one for n, one in enumerate(line.streams())}
    story.texts["unpacked"] = b"\n".join(unpacked(city.store))


@contextmanager
def universal_time() -> Iterator[None]:
    """The router's day is that of UTC, wherever this runs: visitors are counted by the day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@contextmanager
def all_logged(file: Path) -> Iterator[None]:
    """Every log line of this process, which is the agent's."""
    root, handler = logging.getLogger(), logging.FileHandler(file)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield
    root.setLevel(level)
    root.removeHandler(handler)
    handler.close()


def unpacked(store: Path) -> Iterator[bytes]:
    """The bytes that the store keeps in a form of its own, as they were."""
    with closing(open_reader(store)) as db:
        for (table, column), read in PACKED.items():
            for (blob,) in db.execute(f"SELECT {column} FROM {table}"):
                yield read(blob)


@dataclass(frozen=True)
class Day:
    """What is known of it at its end."""

    story: Story
    books: list[tuple[int, int, int, int, int]]
    blobs: set[tuple[str, str]]  # columns of the store
    store: Path
    limits: dict[str, int]
    planted: dict[str, set[int]]  # by kind, in a text of that name
    found: Found


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """One for all tests here."""
    folder = tmp_path_factory.mktemp("day")
    with City(folder, ROUTER, conf=[LOGS_ALL]) as city, ExitStack() as stack:
        stack.enter_context(universal_time())
        stack.enter_context(all_logged(folder / "agent.log"))
        ports = asdict(city.directory.ports)
        lines = {name: stack.enter_context(Wiretap(port)) for name, port in ports.items()}
        since = time.strftime("%Y-%m-%d", time.gmtime(time.time() - (AGO_DAYS + 2) * 86_400))
        city.write([(ROUTER, "taman-tirosa", since)])
        text = city.file.read_text()
        city.file.write_text(
            text.replace("[collector]", f"port = {lines['collector'].port}\n[collector]")
        )
        stack.enter_context(city.engineer("titik/#", port=lines["engineer"].port))
        story = live(city, lines, stack.enter_context(Hotspot(folder)))
        close(city, story, lines)
        books, store = list(city.books().values()), city.store
    limits = leaks.limits(story.texts.values())
    planted, texts = planting(limits)
    found = leaks.search(story.texts | texts)
    return Day(story, books, blobs(store), store, limits, planted, found)


def planting(limits: dict[str, int]) -> tuple[dict[str, set[int]], dict[str, bytes]]:
    """Of each kind a text with just enough of it, in all its forms, and the people behind it."""
    planted: dict[str, set[int]] = {}
    texts: dict[str, bytes] = {}
    for kind in KINDS:
        forms = sum(one == kind for one, _ in patterns(visitors()[0]))
        planted[kind] = set(range(max(forms, limits[kind] + 1)))
        chosen = [
            [pattern for one, pattern in patterns(visitors()[number]) if one == kind]
            for number in sorted(planted[kind])
        ]
        texts[kind] = b'{"v":1,"clients":'.join(
            each[number % len(each)] for number, each in enumerate(chosen)
        )
    return planted, texts


def blobs(store: Path) -> set[tuple[str, str]]:
    """The columns that hold bytes."""
    with closing(open_reader(store)) as db:
        return set(
            db.execute(
                "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c"
                " WHERE m.type = 'table' AND c.type = 'BLOB'"
            )
        )


def test_nothing_of_a_visitor_leaves_the_router_or_is_written(day: Day) -> None:
    """Not in what is sent, stored, spooled or logged; plain, spelled otherwise, cut or hashed."""
    places: dict[str, dict[str, int]] = defaultdict(dict)
    seen: dict[str, set[int]] = defaultdict(set)
    for (text, kind), who in day.found.items():
        if text in day.story.texts:
            places[kind][text] = len(who)
            seen[kind] |= who
    assert {} == {kind: places[kind] for kind in seen if len(seen[kind]) > day.limits[kind]}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_is_found(day: Day, kind: str) -> None:
    """In each form of each kind: one visitor, or as many more as chance could give."""
    assert day.limits[kind] < VISITORS // 4
    assert day.planted[kind] <= day.found[kind, kind]
    assert day.limits[kind] < len(day.found[kind, kind])


def test_the_router_counted_everybody(day: Day) -> None:
    """So it did see them: in each sample, and over the two halves of the day."""
    assert day.story.truth == [one[:2] for one in day.story.counted]
    for last in (SAMPLES // 2 - 1, SAMPLES - 1):
        assert VISITORS // 2 == pytest.approx(day.story.counted[last][2], rel=0.1)


def test_every_sample_was_stored(day: Day) -> None:
    """The day went the whole way: nothing was lost, refused or left."""
    assert [(SAMPLES // 2, SAMPLES // 2, 0, 0, 0)] * 2 == day.books


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("noon: router/spool/", b'"client_ms":'),
        ("noon: router/flash/", b'"client_ms":'),
        ("six o'clock: router/spool/", b'"client_ms":'),
        ("six o'clock: router/flash/", b'"client_ms":'),
        ("six o'clock: broker/data/mosquitto.db", b'"client_ms":'),
        ("line: router", b'"client_ms":'),
        ("line: collector", b'"client_ms":'),
        ("line: engineer", b'"clients_mean":'),
        ("unpacked", b'"client_ms":'),
        ("one o'clock: titik.db", b"taman-tirosa"),
        ("the end: titik.db", b"taman-tirosa"),
        ("the end: agent.log", b"broker unreachable"),
        ("the end: collector.log", b"broker connected"),
        ("mosquitto's log", b"Received PUBLISH from tirosa-1"),
        ("titik status", b"tirosa-1"),
        ("titik export", b"taman-tirosa"),
    ],
)
def test_what_is_searched_is_not_empty(day: Day, place: str, content: bytes) -> None:
    """Each place has in it what it is for."""
    texts = [text for name, text in day.story.texts.items() if name.startswith(place)]
    assert content in b"\n".join(texts)


def test_all_that_the_store_packs_is_unpacked(day: Day) -> None:
    """A column of bytes that nobody reads here could hide anything."""
    assert set(PACKED) == day.blobs


def test_what_a_packed_message_says_is_found(day: Day, tmp_path: Path) -> None:
    """In a copy of the store, with one visitor's address in a message."""
    copy = tmp_path / "copy.db"
    shutil.copy(day.store, copy)
    with closing(sqlite3.connect(copy)) as db, db:
        message = b'{"ssid":"%b"}' % visitors()[0].mac.encode()
        db.execute("UPDATE body SET packed = ? WHERE id = 9", (body.pack(message),))
    found = leaks.search({"copy": b"\n".join(unpacked(copy))})
    assert {0} == found["copy", "MAC, 3 octets or more"]
