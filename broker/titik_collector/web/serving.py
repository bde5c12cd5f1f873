"""Serves the application on a socket, and bounds what a connection may take.

Rule: a connection has ten seconds to ask; a stream ends three seconds after a signal to stop.
"""

import asyncio
import ctypes
import errno
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from titik_collector.config.model import Config, ConfigError
from titik_collector.limits import MAX_BACKLOG, MAX_REQUEST_HEAD

HEAD_S = 10.0  # for the whole head of a request
IDLE_S = 5  # between two requests of a connection
GONE_MS = 60_000  # a reader that takes nothing for so long is gone
_MOST_ARENAS = -8  # M_ARENA_MAX of mallopt(3)
_OTHER_PORT = "end that program, or give another port: [web] port = NUMBER"
_ABOVE = "give one from 1024 on, or run it as who may listen there"
ROUNDS_TO_BE_THERE = 3  # of asyncio's loop, from a socket that was taken to its protocol
STOPPING_S = 3  # for what still runs when the server stops; streams never end by themselves


class HeadInTime(H11Protocol):
    """Closes a connection that has not asked within its time, byte by byte or not at all."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """It sent something, perhaps the end of a head."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._rest()
        elif self._timer is None:
            self._wait()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_S, self._too_late)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class HandshakeInTime(asyncio.SelectorEventLoop):
    """Ends a handshake that takes longer than a head may; asyncio gives it a minute."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """Uvicorn calls this, and hands over no time of its own."""
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = HEAD_S
        return await super().create_server(*args, **options)


class PageServer(uvicorn.Server):
    """Calls `listens` as soon as it does, and leaves no connection when it ends."""

    def __init__(self, config: uvicorn.Config, listens: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._listens = listens

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn calls this; it ends the process where it cannot listen."""
        await super().startup(sockets)
        if self.started:
            self._listens()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn calls this; it ends only who is there, and waits for slow readers for ever.

        So nobody more is taken before, and who was taken is there. What was cancelled gives its
        last answer, and then all are gone.
        """
        loop = asyncio.get_running_loop()
        for listening in self.servers:
            for one in listening.sockets:
                loop.remove_reader(one.fileno())
        for _ in range(ROUNDS_TO_BE_THERE):
            await asyncio.sleep(0)
        await super().shutdown(sockets)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=STOPPING_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def server(
    app: ASGIApp, config: Config, listens: Callable[[], None] = lambda: None
) -> uvicorn.Server:
    """The server of a city's page; ConfigError if its certificate or its port cannot be used."""
    web = config.web
    allow_connections()
    check_port(config.file, web.host, web.port)
    if web.tls_cert is not None:
        check_certificate(config.file, web.tls_cert, web.tls_key)
    return PageServer(settings(app, web.host, web.port, web.tls_cert, web.tls_key), listens)


def share_memory() -> None:
    """Of all threads that begin from now on: glibc would keep for each what it freed.

    They rarely allocate at the same time, because Python lets one of them run.
    """
    with suppress(AttributeError):  # musl has one for all anyway
        ctypes.CDLL(None).mallopt(_MOST_ARENAS, 1)


def allow_connections() -> None:
    """As many as the machine lets us have; a shell allows 1,024 unless it is asked for more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def settings(
    app: ASGIApp, host: str, port: int, cert: Path | None = None, key: Path | None = None
) -> uvicorn.Config:
    """How uvicorn serves."""
    tls: dict[str, Any] = {} if cert is None else {"ssl_certfile": cert, "ssl_keyfile": key}
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=HeadInTime,
        ws="none",
        loop=f"{__name__}:{HandshakeInTime.__name__}",
        lifespan="off",
        log_config=None,
        log_level="critical",  # what a client sends wrongly is its own; bugs we log ourselves
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=MAX_BACKLOG,
        h11_max_incomplete_event_size=MAX_REQUEST_HEAD,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=STOPPING_S,
        **tls,
    )


def check_port(file: Path, host: str, port: int) -> None:
    """ConfigError if another program listens there, or nobody may; uvicorn ends without a word."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                wrong = f"{port} of {host} is taken by another program"
                raise ConfigError(file, "web.port", wrong, _OTHER_PORT) from error
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                wrong = f"this machine has no address {host}"
                raise ConfigError(file, "web.host", wrong, "give one of `ip address`") from error
            raise ConfigError(file, "web.port", f"{port}: {error.strerror}", _ABOVE) from error


def check_certificate(file: Path, cert: Path, key: Path | None) -> None:
    """ConfigError if the two do not belong together or cannot be read."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except OSError as error:  # an SSLError is one
        raise ConfigError(
            file, "web.tls_cert", str(error), "give a certificate (PEM) and web.tls_key, its key"
        ) from error
