"""PDFs for whoever asks the page: drawn by a process of its own, one at a time, and kept.

Rule: what was drawn is kept by what it was drawn of, so a report that is frozen is drawn once. The
ones that nobody asked for longest go first.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable

from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_KEPT_PDFS
from titik_collector.reports import printing
from titik_collector.reports.printing import NoPdf
from titik_collector.web.city_view import Unanswered
from titik_collector.web.turns import Turns

PDF_S = 120.0  # that a process may take
NO_PDF = marked("The PDF cannot be made now")
BUSY = marked("others wait for a PDF before you; try again in a minute")


class KeptPdf:
    """That of one server."""

    def __init__(self) -> None:
        self._turns = Turns(NO_PDF, BUSY)
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0

    async def get(self, of: bytes, page: Callable[[], str]) -> bytes:
        """The PDF of what `of` names, else of the page that is then made; Unanswered."""
        key = hashlib.sha256(of).digest()
        if (kept := self._found(key)) is not None:
            return kept
        async with self._turns.turn():
            if (kept := self._found(key)) is None:  # who came before may have asked for it
                kept = await asyncio.to_thread(lambda: _printed(page()))
                self._keep(key, kept)
            return kept

    def _found(self, key: bytes) -> bytes | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def _keep(self, key: bytes, pdf: bytes) -> None:
        self._kept[key] = pdf
        self._bytes += len(pdf)
        while self._bytes > MAX_KEPT_PDFS:
            self._bytes -= len(self._kept.popitem(last=False)[1])


def _printed(page: str) -> bytes:
    """Unanswered, with what is missing."""
    try:
        return printing.apart(page, PDF_S)
    except NoPdf as error:
        raise Unanswered(str(error), NO_PDF) from error
