"""The stream of `/events`: each trap of streams over HTTP/1.1, against the real server."""

import contextlib
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.until import until
from tests.web import cities, people
from tests.web.conftest import serving_at
from titik_collector.accounts import tokens, users
from titik_collector.limits import MAX_STREAM_QUEUE
from titik_collector.store import desk_opening
from titik_collector.web import live, serving
from titik_collector.web.city_view import CityView
from titik_collector.web.live import RESYNC, Stream

PATIENCE_S = 30
GOES_ON = 20  # beats of a second each


class Reader:
    """A browser's EventSource, as far as these tests need one."""

    def __init__(self, address: str, path: str = "/events", **headers: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._http = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
        self._http.request("GET", path, headers=headers)
        self.answer = self._http.getresponse()

    def next(self, kind: str) -> dict[str, Any]:
        """The data of the next event of a kind."""
        found = ""
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream ended"
            if line.startswith("event: "):
                found = line.removeprefix("event: ").strip()
            if line.startswith("data: ") and found == kind:
                data: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return data

    def ends(self) -> bool:
        """Read to the end; a stream that goes on fails by its patience."""
        with contextlib.suppress(http.client.HTTPException, ConnectionError):
            while self.answer.readline():
                pass
        return True

    def beats_until_the_end(self, most: int) -> int:
        """How many more there are; `most` of a stream that goes on."""
        beats = 0
        while beats < most and (line := self.answer.readline()):
            beats += line == b"event: health\n"
        return beats

    def close(self) -> None:
        """Leave."""
        self._http.close()


@contextlib.contextmanager
def reading(address: str, path: str = "/events", **headers: str) -> Iterator[Reader]:
    """An open stream."""
    with contextlib.closing(Reader(address, path, **headers)) as reader:
        yield reader


def test_a_stream_begins_with_all_and_goes_on_with_what_changed(
    served: str, city: cities.City
) -> None:
    """A row is one subject's; its columns are lists of equal length."""
    with reading(served) as stream:
        first = stream.next("snapshot")
        assert "city/kupang" == first["subjects"][0]
        assert 11 == len(first["subjects"]) == len(first["clients"]) == len(first["state"])
        stream.next("health")
        city.hear("tirosa-1", clients=77)
        changed: dict[str, Any] = {"subjects": []}
        while "site/taman-tirosa" not in changed["subjects"]:
            changed = stream.next("now")
        assert 77 == changed["clients"][changed["subjects"].index("site/taman-tirosa")]


def test_a_stream_says_each_second_that_it_lives(served: str) -> None:
    """Without it a page could not see that its network is gone."""
    with reading(served) as stream:
        beats = [stream.next("health") for _ in range(3)]
    assert beats[0]["at"] < beats[1]["at"] < beats[2]["at"]
    assert not beats[-1]["blind"]


def test_a_stream_is_not_compressed_and_not_kept(served: str) -> None:
    """What compresses waits for more, and a reader would see nothing for minutes."""
    with reading(served, **{"Accept-Encoding": "gzip"}) as stream:
        headers = stream.answer.headers
        assert "text/event-stream; charset=utf-8" == headers["content-type"]
        assert headers["content-encoding"] is None
        assert ("no-store", "no") == (headers["cache-control"], headers["x-accel-buffering"])


def test_a_page_of_one_place_gets_its_routers(served: str) -> None:
    """And nothing of others."""
    with reading(served, "/events?of=site/taman-tirosa") as stream:
        assert ["site/taman-tirosa", "router/tirosa-1"] == stream.next("snapshot")["subjects"]


def test_a_reader_that_takes_nothing_is_sent_away() -> None:
    """Its queue never grows; it comes again and begins with a snapshot."""
    stream = Stream("sites")
    for number in range(MAX_STREAM_QUEUE * 3):
        stream.put(b"%d" % number)
    assert [RESYNC] == [stream._waiting.get_nowait()]
    assert stream._waiting.empty()


def test_a_stream_that_is_closed_is_forgotten(served: str, view: CityView) -> None:
    """The server does not go on to write for who has left."""
    streams: live.Streams = view_streams(view)
    with reading(served) as stream:
        stream.next("snapshot")
        assert 1 == len(streams)
    assert 0 == until(lambda: len(streams), 0)


@pytest.mark.thorough
def test_a_stream_ends_with_the_access_of_its_reader(served: str, city: cities.City) -> None:
    """Within seconds, and nobody else's; each beat is a second."""
    config, names = city.config, ("removed", "changed", "ended", "out", "stays")
    secret = people.add_token(config)
    with contextlib.ExitStack() as stack:
        pages = {
            name: stack.enter_context(httpx.Client(base_url=served, timeout=60)) for name in names
        }
        for name, page in pages.items():
            people.add_user(config, name)
            people.log_in(page, name)
        heads = {name: {"Cookie": f"titik={page.cookies['titik']}"} for name, page in pages.items()}
        heads["token"] = {"Authorization": f"Bearer {secret}"}
        streams = {
            name: stack.enter_context(reading(served, **head)) for name, head in heads.items()
        }
        for stream in streams.values():
            stream.next("snapshot")

        people.remove_user(config, "removed")
        with desk_opening.opened(config.page_store) as db:
            changed, ended = (users.find(db, name) for name in ("changed", "ended"))
            users.change(db, changed._replace(password="another"), people.actor())
            users.change(db, ended._replace(end_ms=1), people.actor())
            tokens.revoke(db, "wall", people.actor())
        people.log_out(pages["out"])

        over = [name for name in streams if streams[name].beats_until_the_end(GOES_ON) < GOES_ON]
        assert ["removed", "changed", "ended", "out", "token"] == over


def test_above_the_most_a_page_asks_again_and_again(
    served: str, view: CityView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes again later, and gets the same snapshot without a stream."""
    monkeypatch.setattr(live, "MAX_STREAMS", 2)
    with reading(served) as first, reading(served) as second:
        first.next("snapshot")
        second.next("snapshot")
        with reading(served) as third:
            assert (503, "30") == (third.answer.status, third.answer.headers["retry-after"])
        with reading(served, "/events?once") as once:
            answer = json.loads(once.answer.read())
            assert 11 == len(answer["snapshot"]["subjects"])
            assert not answer["health"]["blind"]
    assert 0 == until(lambda: len(view_streams(view)), 0)


def test_the_server_stops_while_streams_are_open(view: CityView) -> None:
    """They never end by themselves, and nobody waits for them longer than three seconds."""
    with contextlib.ExitStack() as stack:
        serving_ = stack.enter_context(contextlib.ExitStack())
        address = serving_.enter_context(serving_at(view))
        streams = [stack.enter_context(reading(address)) for _ in range(3)]
        for one in streams:
            one.next("snapshot")
        serving_.close()
        ended = [one.ends() for one in streams]
    assert [True] * 3 == ended


@pytest.mark.usefixtures("caplog")  # it is logged
def test_a_store_that_is_gone_makes_every_place_unknown(
    served: str, city: cities.City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page reports it at once, instead of showing what was, also who loads it only then."""
    monkeypatch.setattr(live, "BEAT_S", 3600.0)
    assert city.config.store.path is not None
    with reading(served) as stream:
        stream.next("snapshot")
        assert not stream.next("health")["blind"]
        assert "0" != working(served)
        moved = city.config.store.path.rename(city.config.store.path.with_name("away"))
        assert stream.next("health")["blind"]
        changed = stream.next("now")
        assert {"unknown"} == set(changed["state"])
        assert "0" == working(served)
        moved.rename(city.config.store.path)
        assert not stream.next("health")["blind"]


def working(served: str) -> str:
    """How many places work, as the first page has it without a script."""
    with reading(served, "/") as page:
        found = re.search(r'data-count="up">(\d+)<', page.answer.read().decode())
    assert found
    return found[1]


def test_a_connection_that_asks_too_slowly_is_closed(
    served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it sends nothing, or one byte after the other."""
    monkeypatch.setattr(serving, "HEAD_S", 0.3)
    host, _, port = served.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as idle:
        assert b"" == idle.recv(1)
    with socket.create_connection((host, int(port)), PATIENCE_S) as slow:
        slow.sendall(b"GET / HT")
        assert b"" == slow.recv(1)


def test_a_second_request_has_its_time_too(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was served once is not free to be slow."""
    monkeypatch.setattr(serving, "HEAD_S", 2.0)
    host, _, port = served.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(12).startswith(b"HTTP/1.1 200")
        kept.sendall(b"GET / HT")
        begun = time.monotonic()
        while kept.recv(4096):
            assert time.monotonic() - begun < PATIENCE_S


def view_streams(view: CityView) -> live.Streams:
    """Those of the application that was built last over the city."""
    (heard,) = view._listeners
    streams = getattr(heard, "__self__", None)
    assert isinstance(streams, live.Streams)
    return streams
