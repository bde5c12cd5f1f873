"""The report that the page has posted, as `titik notify` reads it; nothing where there is none.

Rule: it never fails. What cannot be read is logged once, and what was last known stays.
"""

import logging
from collections.abc import Hashable
from contextlib import closing

import msgspec

from titik_collector.limits import MAX_POSTED_REPORTS
from titik_collector.reports import posted_report
from titik_collector.reports.posted_report import PostedReport
from titik_collector.store import desk_opening, desk_posted_reports
from titik_collector.store.database import StoreError
from titik_collector.store.opening import Where

log = logging.getLogger(__name__)


class ReportWatch:
    """Looks whether another one is there, and reads only then."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._seen: Hashable = None
        self._last: tuple[PostedReport, ...] = ()
        self._logged: str | None = None

    def look(self) -> tuple[PostedReport, ...]:
        """The newest that could be read."""
        try:
            self._read()
        except FileNotFoundError:
            self._seen, self._last = None, ()
        except (OSError, StoreError, ValueError, msgspec.DecodeError) as error:
            if str(error) != self._logged:
                log.warning("the posted report cannot be read reason=%s", error)
            self._logged = str(error)
            return self._last
        self._logged = None
        return self._last

    def _read(self) -> None:
        if self._where.path is None:
            self._read_table()
            return
        file = posted_report.file_of(self._where.path)
        found = file.stat()
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            with file.open("rb") as raw:
                self._last = posted_report.of_file(raw.read(MAX_POSTED_REPORTS))
            self._seen = seen

    def _read_table(self) -> None:
        with closing(desk_opening.open_for_collector(self._where)) as desk:
            if not desk.has_table("posted_report"):
                self._seen, self._last = None, ()
                return
            with desk.snapshot():
                seen = tuple(desk_posted_reports.keys(desk))
                if seen != self._seen:
                    rows = desk_posted_reports.all_of(desk)
                    self._last = tuple(posted_report.of_row(row) for row in rows)
                    self._seen = seen
