"""Many readers of `/events`, as `python -m bench.stream_readers PORT`, until its input ends.

Sessions come as one line of cookies; `open` is printed when each has its first snapshot, and how
many events all of them got at the end.
"""

import contextlib
import selectors
import socket
import sys
from threading import Event, Thread

PATIENCE_S = 60.0
FIRST = b"event: snapshot"


def main() -> None:
    """Open them, and read all that comes."""
    port, secrets = int(sys.argv[1]), sys.stdin.readline().split()
    over = Event()
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for secret in secrets:
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
            head = (
                f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: titik={secret}\r\n\r\n"
            )
            raw.sendall(head.encode())
            _read_first(raw)
            selector.register(raw, selectors.EVENT_READ)
        print("open", flush=True)
        Thread(target=_end_with_input, args=(over,), daemon=True).start()
        print(_read(selector, over), flush=True)


def _end_with_input(over: Event) -> None:
    sys.stdin.read()
    over.set()


def _read_first(raw: socket.socket) -> None:
    """All of its beginning; a stream that is refused has none."""
    found = b""
    while FIRST not in found:
        part = raw.recv(65_536)
        assert part, f"no stream: {found[:200]!r}"
        found += part


def _read(selector: selectors.BaseSelector, over: Event) -> int:
    events = 0
    while not over.is_set():
        for key, _ in selector.select(0.1):
            assert isinstance(key.fileobj, socket.socket)
            part = key.fileobj.recv(65_536)
            assert part, "a stream ended"
            events += part.count(b"event: ")
    return events


if __name__ == "__main__":
    main()
