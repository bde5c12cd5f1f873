"""Clients that ask wrongly, slowly, hugely or by the thousand, on real sockets."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.ports import free_port
from tests.until import PATIENCE_S, until
from tests.web.conftest import serving_at
from tests.web.loops import run
from tests.web.people import PASSWORD, add_user, form_token, log_in
from titik_collector.accounts import slowing
from titik_collector.config.model import Config
from titik_collector.limits import MAX_REQUEST_HEAD
from titik_collector.web import app, desk, forms, serving
from titik_collector.web.city_view import CityView, watching

pytestmark = pytest.mark.thorough
CROWD = 200
IDLE = 10_000
# In a process of their own: one process may not have the files of both sides.
IDLERS = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, number = map(int, sys.argv[1:])
idle = [socket.create_connection(("127.0.0.1", port), timeout=100) for _ in range(number)]
print(len(idle), "open", flush=True)
sys.stdin.readline()
print(sum(one.recv(1) == b"" for one in idle), "closed", flush=True)
"""


@pytest.fixture
def address(config: Config) -> Iterator[str]:
    """The page on a socket of its own."""
    with watching(config) as view, serving_at(view) as found:
        yield found


def connect(address: str) -> socket.socket:
    """One connection that says nothing yet."""
    url = urlsplit(address)
    assert url.port is not None
    return socket.create_connection((url.hostname or "", url.port), timeout=60)


def asked(address: str, head: bytes) -> bytes:
    """Everything that the page answers to these bytes, until it closes."""
    with connect(address) as raw:
        raw.sendall(head)
        found = b""
        while part := received(raw):
            found += part
        return found


def received(raw: socket.socket) -> bytes:
    """What came; empty at the end, however it ended."""
    try:
        return raw.recv(65536)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../etc/passwd", "/static/..%2f..%2f..%2fetc/passwd", "/static/%2e%2e/x",
        "/../etc/passwd", "//etc/passwd", "/static/....//etc/passwd", "/%00", "/static/x%00.css",
        "http://evil.example/etc/passwd", "/static/\\..\\..\\etc\\passwd", "/static//etc/passwd",
    ],
)  # fmt: skip
def test_no_path_leaves_the_page(address: str, path: str) -> None:
    """Files are served by their names in a list, and by nothing else."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    with connect(address) as raw:
        raw.sendall(head.encode())
        answer = received(raw)
    assert answer.split()[1] in (b"404", b"401", b"400"), answer
    assert b"root:" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET /\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (MAX_REQUEST_HEAD + 10) + b"\r\n\r\n",
        b"GET /" + b"x" * (MAX_REQUEST_HEAD + 10) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_a_head_that_cannot_be_ends_the_connection(address: str, head: bytes) -> None:
    """Two hosts, two lengths, none, TLS, or more than a head may have."""
    answer = asked(address, head)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")), answer
    assert 200 == httpx.get(address, timeout=PATIENCE_S).status_code


def test_a_huge_body_is_not_read(address: str, config: Config) -> None:
    """A gigabyte that is announced, and some of it sent."""
    add_user(config)
    with connect(address) as raw:
        raw.sendall(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 1000000000\r\n\r\n" + b"x" * 100_000
        )
        answer = received(raw)
        assert answer.startswith(b"HTTP/1.1 413 ")
        raw.settimeout(60)
        while received(raw):
            pass  # it is closed, though we would send more


def test_a_form_that_is_not_whole_in_time_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its connection ends."""
    monkeypatch.setattr(forms, "BODY_S", 0.5)
    head = "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
    answer = asked(address, f"{head}Content-Length: 100\r\n\r\nx".encode())
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_head_that_is_not_whole_in_time_ends_the_connection(
    address: str, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a byte comes now and then."""
    monkeypatch.setattr(serving, "HEAD_S", 0.5)
    with connect(address) as raw:
        raw.sendall(sent)
        raw.settimeout(0.1)
        until(lambda: is_ended(raw), True)
        assert is_ended(raw)
        assert 200 == httpx.get(address, timeout=PATIENCE_S).status_code


def is_ended(raw: socket.socket) -> bool:
    """A byte more is sent; whether the other side is gone."""
    try:
        raw.sendall(b"x")
        return raw.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_the_time_for_a_head_is_ten_seconds() -> None:
    """As the specification has it."""
    assert 10.0 == serving.HEAD_S


def test_two_hundred_behind_one_address_all_log_in(
    address: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and each sees the city: a town's own Wi-Fi is one address."""
    monkeypatch.setattr(desk, "DEADLINE_S", 120.0)  # all share one interpreter with the page
    for number in range(CROWD):
        add_user(config, f"user{number}")
    seen: list[int] = []

    def one(name: str) -> None:
        with httpx.Client(base_url=address, timeout=120, verify=False) as browser:
            first = log_in(browser, name).status_code
            seen.append(first if first != 303 else browser.get("/").status_code)

    threads = [threading.Thread(target=one, args=(f"user{n}",)) for n in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [200] * CROWD == seen


def test_who_guesses_keeps_nobody_out(
    address: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither others behind the address, nor the name itself after a while."""
    monkeypatch.setattr(slowing, "PATIENCE_S", 4.0)
    add_user(config)
    add_user(config, "ina")
    with httpx.Client(base_url=address, timeout=120) as guesser:
        token = form_token(guesser.get("/login"))
        fields = {"name": "budi", "password": "a wrong password", "form": token}
        statuses = []

        def guess() -> None:
            answer = guesser.post("/login", data=fields, headers={"Origin": address})
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=guess) for _ in range(20)]
        for thread in threads:
            thread.start()
        with httpx.Client(base_url=address, timeout=120) as ina:
            assert 303 == log_in(ina, "ina").status_code
        for thread in threads:
            thread.join()
    assert {401, 429} == set(statuses)
    with httpx.Client(base_url=address, timeout=120) as budi:
        assert 303 == until(lambda: log_in(budi, "budi", PASSWORD).status_code, 303)


@pytest.mark.parametrize("rounds", range(5))
def test_who_comes_while_the_server_stops_is_sent_away(untouched: CityView, rounds: int) -> None:
    """However far asyncio's loop had come with the new socket."""
    with socket.socket() as client:

        async def stop(_server: serving.PageServer, address: tuple[str, int]) -> None:
            client.connect(address)
            for _ in range(rounds):
                await asyncio.sleep(0)

        assert set() == connections_after(app.build(untouched), stop)
        client.setblocking(False)
        assert b"" == received(client)


def test_who_takes_nothing_is_left_when_the_server_stops() -> None:
    """Its answer would wait for it for ever."""

    async def huge(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": bytes(50_000_000)})

    with socket.socket() as client:

        async def ask(server: serving.PageServer, address: tuple[str, int]) -> None:
            client.connect(address)
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not server.server_state.total_requests:
                await asyncio.sleep(0.01)

        assert set() == connections_after(huge, ask)


def connections_after(
    page: ASGIApp,
    meanwhile: Callable[[serving.PageServer, tuple[str, int]], Awaitable[None]],
) -> set[Any]:
    """What a server has left that stops as soon as that happened to it."""
    settings = serving.settings(page, "127.0.0.1", 0)
    server = serving.PageServer(settings)

    async def live(listener: socket.socket) -> None:
        settings.load()
        server.lifespan = settings.lifespan_class(settings)
        await server.startup([listener])
        await meanwhile(server, listener.getsockname())
        await server.shutdown([listener])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(live(listener))
    return set(server.server_state.connections)


@pytest.mark.system
def test_ten_thousand_idle_sockets_keep_nobody_out(address: str) -> None:
    """The page answers in between, and ends all of them."""
    serving.allow_connections()
    port = str(urlsplit(address).port)
    idlers = subprocess.Popen(
        [sys.executable, "-c", IDLERS, port, str(IDLE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert idlers.stdout is not None
    assert f"{IDLE} open\n" == idlers.stdout.readline()
    assert 200 == httpx.get(address, timeout=60).status_code
    output, _ = idlers.communicate("\n", timeout=120)
    assert f"{IDLE} closed\n" == output
    assert 200 == httpx.get(address, timeout=60).status_code


@pytest.mark.system
def test_a_handshake_that_is_not_whole_in_time_ends_the_connection(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS the time of a head begins only after it."""
    monkeypatch.setattr(serving, "HEAD_S", 2.0)
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    files = ("-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run([*made, *files], cwd=tmp_path, check=True, capture_output=True)
    port = free_port()
    tls = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem", "port": port}
    config = replace(config, web=replace(config.web, **tls))  # type: ignore[arg-type]
    with watching(config) as view:
        server = serving.server(app.build(view), config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert until(lambda: server.started, True)
            with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
                assert b"" == received(raw)
            answer = httpx.get(f"https://127.0.0.1:{port}/", verify=False, timeout=PATIENCE_S)
            assert 200 == answer.status_code
        finally:
            server.should_exit = True
            thread.join()
