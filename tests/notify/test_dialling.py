"""A connection where a name has several addresses."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.notify.programs import HOST, silent
from titik_collector.notify import dialling
from titik_collector.notify.dialling import Deadline

NO_FAMILY = 9999  # as IPv6 with ipv6.disable=1


@pytest.fixture
def dead() -> Iterator[int]:
    """A port that drops who comes, as a firewall does: its queue is full."""
    with socket.socket() as listening, ExitStack() as waiting:
        listening.bind((HOST, 0))
        listening.listen(0)
        port = int(listening.getsockname()[1])
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex((HOST, port))
        yield port


def test_a_dead_address_leaves_time_for_the_next(dead: int) -> None:
    """Each has its share; the connection has the time that was left."""
    with silent() as port:
        addresses = [(socket.AF_INET, (HOST, dead)), (socket.AF_INET, (HOST, port))]
        with dialling.dial(addresses, Deadline(2.0)) as sock:
            assert (HOST, port) == sock.getpeername()


def test_a_family_that_the_kernel_has_not_is_passed_over() -> None:
    """And alone it is a failure like others."""
    with silent() as port:
        addresses = [(NO_FAMILY, (HOST, port)), (socket.AF_INET, (HOST, port))]
        with dialling.dial(addresses, Deadline(60.0)) as sock:
            assert (HOST, port) == sock.getpeername()
        with pytest.raises(OSError, match="not supported"):
            dialling.dial(addresses[:1], Deadline(60.0))
