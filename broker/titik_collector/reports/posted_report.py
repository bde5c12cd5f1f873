"""The report of the last month as the page posts it, and as `titik notify` reads it; data.

The desk's file is the page's alone. So beside it lies `posted_reports.json`, which the group of the
store may read. On a server both have the page's role, and read the table.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from titik_collector.reports import freezing
from titik_collector.reports.report import Report
from titik_collector.store import desk_opening
from titik_collector.store.desk_posted_reports import PostedRow

FILE = "posted_reports.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PostedReport:
    """One, in one language."""

    report: Report
    language: str
    pdf: bytes | None  # None: none could be made


@dataclass(frozen=True, slots=True)
class PostedFile:
    """What the file has."""

    version: int
    rows: tuple[PostedRow, ...]


def file_of(store: Path) -> Path:
    """Where it lies."""
    return desk_opening.folder_of(store) / FILE


def to_file(rows: list[PostedRow]) -> bytes:
    """As it is written."""
    return msgspec.json.encode(PostedFile(VERSION, tuple(rows)))


def of_file(raw: bytes) -> tuple[PostedReport, ...]:
    """The inverse; ValueError if it is none, or of a later version."""
    found = msgspec.json.decode(raw, type=PostedFile)
    if found.version != VERSION:
        raise ValueError(f"version {found.version}, this program reads {VERSION}")
    return tuple(of_row(row) for row in found.rows)


def of_row(row: PostedRow) -> PostedReport:
    """Of the table."""
    return PostedReport(freezing.decode(row.body), row.language, row.pdf)
