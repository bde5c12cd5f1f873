"""`titik top`: the status screen, live, that scrolls.

Rule: warnings, problems and the head of the table stay; only rows scroll. So no warning is ever
below the edge, however many routers there are.
"""

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from titik_collector.queries.status import CityStatus
from titik_collector.screens import status_screen
from titik_collector.store.database import StoreError

KEYS = {
    b"\x1b[A": -1,
    b"k": -1,
    b"\x1b[B": 1,
    b"j": 1,
    b"\x1b[5~": -10,
    b"b": -10,
    b"\x1b[6~": 10,
    b" ": 10,
    b"\x1b[H": -(10**6),
    b"g": -(10**6),
    b"\x1b[F": 10**6,
    b"G": 10**6,
}
QUIT = (b"q", b"Q", b"\x03", b"\x04")


class TopScreen:
    """What is shown: the newest answer, from the row that was scrolled to."""

    def __init__(self, city: CityStatus) -> None:
        self._city = city
        self._failure: str | None = None
        self._first = 0

    def update(self, gather: Callable[[], CityStatus]) -> None:
        """Ask again; what is shown stays when the store cannot be read, and the reason is added."""
        try:
            self._city, self._failure = gather(), None
        except StoreError as error:
            self._failure = str(error)

    def scroll(self, rows: int) -> None:
        """Move by so many rows; the edges are found when it is drawn."""
        self._first += rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        head = self._head(height)
        above = console.render_lines(Group(*head), options, pad=False) if head else []
        rows = status_screen.all_rows(self._city)
        room = max(1, height - len(above) - 2)  # the head of the table, and the last line
        self._first = max(0, min(self._first, len(rows) - room))
        shown = rows[self._first : self._first + room]  # drawing all of them takes half a second
        table = console.render_lines(status_screen.StatusTable(shown), options, pad=False)
        foot = console.render_lines(self._foot(len(shown), len(rows)), options, pad=False)
        yield from _lines([*above, *table, *foot])

    def _head(self, height: int) -> list[RenderableType]:
        head: list[RenderableType] = []
        if self._failure is not None:
            head.append(Text(f"critical: {self._failure}", status_screen.LEVELS["critical"]))
        head += status_screen.warnings(self._city.warnings)
        return head + status_screen.problems(self._city, max(1, height // 4))

    def _foot(self, shown: int, rows: int) -> Text:
        at = f"rows {self._first + 1} to {self._first + shown} of {rows:,}; " if rows else ""
        return Text(f"{at}arrows and Page Up/Down scroll, q ends", "dim", no_wrap=True)


def run(console: Console, gather: Callable[[], CityStatus], every_s: float) -> None:
    """Until q or Ctrl-C."""
    screen = TopScreen(gather())
    with (
        contextlib.suppress(KeyboardInterrupt),
        _raw_keys(),
        Live(screen, console=console, screen=True, auto_refresh=False) as live,
    ):
        while _wait(screen, live, every_s):
            screen.update(gather)
            live.refresh()


def _wait(screen: TopScreen, live: Live, every_s: float) -> bool:
    """Take keys until it is time to ask again; False: end."""
    until = time.monotonic() + every_s
    while (left := until - time.monotonic()) > 0:
        if not select.select([sys.stdin], [], [], left)[0]:
            continue
        key = os.read(sys.stdin.fileno(), 8)  # what a terminal sends for an arrow comes at once
        if key in QUIT or not key:
            return False
        if key in KEYS:
            screen.scroll(KEYS[key])
            live.refresh()
    return True


@contextlib.contextmanager
def _raw_keys() -> Iterator[None]:
    """Keys without Return, and not shown; Ctrl-C too, so that it never leaves half a screen."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        mode = termios.tcgetattr(sys.stdin)
        mode[3] &= ~termios.ISIG
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _lines(lines: Sequence[list[Segment]]) -> RenderResult:
    for number, line in enumerate(lines):
        if number:
            yield Segment.line()
        yield from line
