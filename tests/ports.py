"""Free ports of this machine, for what tests start.

Rule: they lie below those that the kernel gives to connections, so that none takes a port between
its choice and its use. Each of pytest's workers has a range of its own, or would be given one that
another has chosen and not used yet. Who is no worker begins anywhere in the last range.
"""

import os
import random
import socket

WORKERS, NUMBER = 4, 2_400
_worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
LOWEST = 20_000 + NUMBER * (int(_worker) % WORKERS if _worker else WORKERS)
_given = random.Random(os.getpid()).randrange(NUMBER)


def free_port() -> int:
    """A port that nothing holds now, on any address."""
    global _given
    for _ in range(NUMBER):
        _given += 1
        port = LOWEST + _given % NUMBER
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if _binds(tried, port):
                return port
    raise OSError("every port is held")


def free_ports(number: int) -> list[int]:
    """As many."""
    return [free_port() for _ in range(number)]


def _binds(tried: socket.socket, port: int) -> bool:
    try:
        tried.bind(("", port))
    except OSError:
        return False
    return True
