"""What an output raises is logged and ends there.

Rule: an output that fails gets what comes next all the same, so it is back when its cause is gone.
Rule: a failure is logged once, again when its reason changes, and when it has worked for STEADY_S.
"""

import logging
import traceback
from collections.abc import Callable

from titik_collector.outputs.output import Output

log = logging.getLogger(__name__)

STEADY_S = 60.0  # also between two lines about one output
MAX_REASON = 200  # characters of an error's text

Call = Callable[[Output], None]  # one of the four things, ready to be reported


class Guard:
    """Calls one output."""

    def __init__(self, output: Output, monotonic: Callable[[], float]) -> None:
        self._output = output
        self._monotonic = monotonic
        self._reason: str | None = None  # of the failure that was logged last; None: it works
        self._failed_at = self._logged_at = 0.0
        self._lost = 0

    @property
    def name(self) -> str:
        """The output's."""
        return self._output.name

    def call(self, call: Call) -> None:
        """Report one thing; it is lost to this output if that fails."""
        try:
            call(self._output)
        except BaseException as error:
            # An error's own text may raise; this never does.
            reason = "".join(traceback.format_exception_only(error)).strip()
            self._failed(reason[:MAX_REASON], error)
        else:
            self._worked()

    def _failed(self, reason: str, error: BaseException) -> None:
        now = self._failed_at = self._monotonic()
        self._lost += 1
        is_new = self._reason is None or now - self._logged_at >= STEADY_S
        if reason != self._reason and is_new:
            self._reason, self._logged_at = reason, now
            log.error("output fails output=%s reason=%s", self.name, reason, exc_info=error)

    def _worked(self) -> None:
        if self._reason is not None and self._monotonic() - self._failed_at >= STEADY_S:
            log.info("output works again output=%s lost=%d", self.name, self._lost)
            self._reason, self._lost = None, 0
