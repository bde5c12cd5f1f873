"""A web server for the folder of a public page, as a city may have one of its own."""

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


class Files(SimpleHTTPRequestHandler):
    """A web server whose clock a test sets."""

    ahead_s: ClassVar[float] = 0.0

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Its `Date` header; a given time is that of a file."""
        at = time.time() + self.ahead_s if timestamp is None else timestamp
        return super().date_time_string(int(at))

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextlib.contextmanager
def files_of(folder: Path) -> Iterator[str]:
    """The address of a server of this folder."""
    handler = partial(Files, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
