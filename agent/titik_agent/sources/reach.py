"""Whether the uplink carries traffic: DNS answers and TCP round trips to configured targets.

Rule: a thread of its own does the waiting; `read` gives what the last whole round found.
Rule: every wait has a deadline, and ends at once when the source is closed.
Rule: failures are counted for ever and times are of the last round, so a merged sample is right.
Rule: a round is answered where a host is. A name proves less, for the router may remember it, and
counts where no host is configured.
Rule: an answer that a name gets which cannot exist is a portal's. A name with the same address has
not been answered, and a connection to that address has met the portal.
"""

import errno
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from titik_agent.limits import MAX_DNS_ANSWER, MAX_SMALL_FILE
from titik_agent.sampling.source import SourceError
from titik_agent.sources import dns
from titik_wire.messages import Reach

log = logging.getLogger(__name__)

RESOLV_CONF = "/etc/resolv.conf"
# Reserved, so that no such name exists (RFC 6761). Unlike `.test` and `.invalid` it is asked of the
# provider, for OpenWrt's dnsmasq answers those itself. One question a round, which names no person.
NOWHERE = "*.example"
STALE_ROUNDS = 5  # with no round finished for so long, what the last one found is history


class Targets(NamedTuple):
    """What to reach.

    A name that starts with `*.` gets a random first label in every round. So no cache on the
    way can answer for a dead uplink.
    """

    names: tuple[str, ...] = ()  # to ask the resolver for, as are the hosts that are names
    hosts: tuple[tuple[str, int], ...] = ()  # to connect to: name or address, port


class _Answer(NamedTuple):
    """What a resolver answered to one name."""

    took_s: float  # until the first answer
    addresses: tuple[str, ...]


class Closed(Exception):
    """The source was closed while it waited."""


def system_servers() -> tuple[tuple[str, int], ...]:
    """The resolvers of this machine, looked up again, as DHCP may change them at any time."""
    try:
        with open(RESOLV_CONF, errors="replace") as file:
            text = file.read(MAX_SMALL_FILE)
    except OSError:
        text = ""
    return tuple([(server, 53) for server in dns.nameservers(text)])


class ReachSource:
    """What the last round found, in a sample. `start` it, or call `round` yourself.

    ValueError: a name that no host can have.
    """

    name = "reach"
    field = "reach"

    def __init__(
        self,
        targets: Targets,
        every_s: float,
        timeout_s: float = 3.0,
        *,
        after: "ReachSource | None" = None,
        servers: Callable[[], tuple[tuple[str, int], ...]] = system_servers,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`after`: one of this run with other targets, whose counts go on here."""
        self._wanted = {host for host, _ in targets.hosts if not dns.is_address(host)}
        hosts = (host for host, _ in targets.hosts if host in self._wanted)
        self._names = tuple(dict.fromkeys((*targets.names, *hosts)))
        self._hosts = targets.hosts
        for name in self._names:
            dns.encode_query(0, full_name(name))
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._servers = servers
        self._monotonic = monotonic
        self._addresses: dict[str, str] = {}  # last known, so that TCP outlives a dead resolver
        self._attempts = self._answered = self._dns_failures = self._tcp_failures = 0
        if after is not None:
            self._attempts, self._answered = after._attempts, after._answered
            self._dns_failures, self._tcp_failures = after._dns_failures, after._tcp_failures
        self._reached = True
        # The one thing both threads touch, replaced whole: when the last round ended, its result.
        self._last: tuple[float, Reach] | None = None
        self._thread: threading.Thread | None = None
        self._wake, self._close = socket.socketpair()

    def start(self) -> None:
        """Make a round now and every `every_s` from now on, in a thread."""
        self._thread = threading.Thread(target=self._run, name="reach", daemon=True)
        self._thread.start()

    def read(self) -> Reach | None:
        """What the last round found; None before the first has ended. Never waits."""
        if self._thread is not None and not self._thread.is_alive():
            raise SourceError("its thread has ended")
        if self._last is None:
            return None
        ended, reach = self._last
        longest = self._every_s + self._timeout_s * (len(self._names) + len(self._hosts) + 1)
        if self._thread is not None and self._monotonic() - ended > STALE_ROUNDS * longest:
            raise SourceError("its thread hangs")
        return reach

    def round(self) -> Reach:
        """Ask for every name and connect to every host, once; waits. Closed: it was closed."""
        answers = self._answers()
        for name, answer in answers.items():
            if answer.addresses:
                self._addresses[name] = answer.addresses[0]
        connected = [
            self._connect(host, port) for host, port in self._hosts if self._is_due(host, answers)
        ]
        named, met = bool(answers), any(took is not None for took in connected)
        self._attempts += 1
        self._answered += met if self._hosts else named
        self._dns_failures += len(self._names) - len(answers)
        self._tcp_failures += connected.count(None)
        reach = Reach(
            dns_ms=median_ms([answer.took_s for answer in answers.values()]),
            dns_failures=self._dns_failures if self._names else None,
            tcp_ms=median_ms(connected),
            tcp_failures=self._tcp_failures if self._hosts else None,
            attempts=self._attempts,
            answered=self._answered,
        )
        self._log(named or met)
        self._last = self._monotonic(), reach
        return reach

    def close(self) -> None:
        """End the thread, if there is one, whatever it waits for."""
        self._close.close()
        if self._thread is not None:
            self._thread.join(self._timeout_s)
        self._wake.close()

    def _run(self) -> None:
        try:
            while True:
                due = self._monotonic() + self._every_s
                self.round()
                self._wait(None, 0, due)
        except Closed:
            return

    def _log(self, reached: bool) -> None:
        if self._reached and not reached:
            log.warning("uplink carries no traffic")
        elif reached and not self._reached:
            log.info("uplink carries traffic again")
        self._reached = reached

    def _answers(self) -> "dict[str, _Answer]":
        """What was answered, and not by a portal."""
        asked = {name: self._ask(name) for name in self._names}
        found = {name: answer for name, answer in asked.items() if answer is not None}
        if not any(answer.addresses for answer in found.values()):
            return found
        nowhere = self._ask(NOWHERE)
        if nowhere is None or not nowhere.addresses:
            return found
        portal = set(nowhere.addresses)
        real = {
            name: answer for name, answer in found.items() if portal.isdisjoint(answer.addresses)
        }
        # Some providers answer for names that do not exist, with a page of their own, and carry all
        # else. Then a name that is made up in every round has been answered as it should.
        if any(answer.addresses for answer in real.values()):
            real |= {name: answer for name, answer in found.items() if name.startswith("*.")}
        return real

    def _is_due(self, host: str, answers: "dict[str, _Answer]") -> bool:
        """A host whose name was not answered, and never before, is a DNS failure, not one of TCP.

        One that has no address at all cannot be reached.
        """
        return host not in self._wanted or host in self._addresses or host in answers

    def _ask(self, name: str) -> "_Answer | None":
        """None: no resolver answered in time."""
        servers = self._servers()
        for server in servers:
            started = self._monotonic()
            deadline = started + self._timeout_s / len(servers)
            try:
                answered, addresses = self._exchange(server, full_name(name), dns.A, deadline)
                took_s = self._monotonic() - started
            except OSError:
                continue  # unreachable, refused, or no answer in time
            if answered and not addresses and name in self._wanted:
                with suppress(OSError):  # a host without an address of IPv4 may have one of IPv6
                    _, addresses = self._exchange(server, name, dns.AAAA, deadline)
            if answered:
                return _Answer(took_s, addresses)
        return None

    def _exchange(
        self, server: tuple[str, int], name: str, record: int, deadline: float
    ) -> tuple[bool, tuple[str, ...]]:
        query = dns.encode_query(int.from_bytes(os.urandom(2), "big"), name, record)
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        with socket.socket(dns.family(server[0]), kind) as sock:
            sock.connect(server)  # so that only this server's datagrams come in
            sock.send(query)
            while self._wait(sock, select.POLLIN, deadline):
                answer = dns.decode_answer(query, sock.recv(MAX_DNS_ANSWER))
                if answer is not None:
                    return answer
        raise TimeoutError

    def _connect(self, host: str, port: int) -> float | None:
        """Seconds until a TCP connection stood; None: it did not in time, or has no address.

        A host that refuses has answered: the packets went there and back.
        """
        address = self._addresses.get(host, host)
        if not dns.is_address(address):
            return None
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        started = self._monotonic()
        try:
            with socket.socket(dns.family(address), kind) as sock:
                error = sock.connect_ex((address, port))
                if error == errno.EINPROGRESS:
                    if not self._wait(sock, select.POLLOUT, started + self._timeout_s):
                        return None
                    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError:
            return None
        return self._monotonic() - started if error in (0, errno.ECONNREFUSED) else None

    def _wait(self, sock: socket.socket | None, event: int, deadline: float) -> bool:
        """Whether the socket is ready before the deadline; Closed: `close` was called."""
        if self._close.fileno() < 0:
            raise Closed
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if sock is not None:
            poll.register(sock, event)
        ready = poll.poll(max(0.0, deadline - self._monotonic()) * 1000)
        if any(fd == self._wake.fileno() for fd, _ in ready):
            raise Closed
        return bool(ready)


def full_name(name: str) -> str:
    """The name to ask for: `*.` becomes a label that was never asked for before."""
    return os.urandom(6).hex() + name[1:] if name.startswith("*.") else name


def median_ms(took_s: list[float | None]) -> float | None:
    """Of those that answered, in milliseconds."""
    ranked = sorted(took for took in took_s if took is not None)
    if not ranked:
        return None
    middle = len(ranked) // 2
    return round(500 * (ranked[middle] + ranked[-middle - 1]), 3)
