"""How long to wait before the next connection, so that a fleet never comes back in step.

Rule: one attempt in each period, at a random moment of it. The next period begins where the last
one ended, and is twice as long, up to a cap. Routers that were cut off together share the periods'
ends. So no second sees more of them than the first period allows, whichever attempt the broker's
return meets. (With full jitter a wait begins at the failure. Then second attempts would fall among
the first ones: half as many again.)
Rule: only a connection that held for a while makes the period small again. Otherwise two clients
that evict each other would be met at full speed for ever, and so would a broker that accepts and
drops.
Rule: whoever ends a good connection to begin another waits for a first period. More than a few in
a row count as failures.
"""

from titik_agent.chance import Chance

# With 30 s the mean is N/30 a second, and chance goes above it. With 34 s the fastest five seconds
# of a thousand routers still do in one loss of three, by up to 18 %. With 40 s they do in 2 of 600.
FIRST_S = 40.0
CAP_S = 150.0  # two attempts are at most two periods apart: 300 s
STABLE_S = 60.0  # a connection younger than this has proved nothing
REDIALS = 3  # that we may want one after the other: an authority that is new, in force and alone
# What only a person can correct (a wrong password, a name used twice) is tried this rarely. But a
# refused login is at first tried as soon as a broker that is gone: perhaps somebody is mending it.
SLOW_S = (150.0, 300.0)
# After a power cut a whole district boots in the same second. A router that is up for longer than
# this was restarted alone, by hand or by its watchdog.
BOOTING_S = 300.0


class Backoff:
    """The waits of one router."""

    def __init__(self, rand: Chance, *, first_s: float = FIRST_S, cap_s: float = CAP_S) -> None:
        self._rand = rand
        self._first_s = first_s
        self._cap_s = cap_s
        self._period_s = 0.0  # of the last attempt, 0 before any
        self._period_end = 0.0
        self._connected_at: float | None = None
        self._redials = 0  # since a connection was stable

    def at_start(self, uptime_s: float, now: float) -> float:
        """Seconds before the first connection of this run."""
        return self._wait_s(now) if uptime_s < BOOTING_S else 0.0

    def connected(self, now: float) -> None:
        """The broker accepted us."""
        self._connected_at = now

    def stable(self, now: float) -> bool:
        """The present connection, or the one that has just ended, held long enough to count."""
        return self._connected_at is not None and now - self._connected_at >= STABLE_S

    def failed(self, now: float, slow: bool = False) -> float:
        """Seconds to wait, now that a connection ended or could not be made."""
        if self.stable(now):
            self._period_s = 0.0
        was_in, self._connected_at = self._connected_at is not None, None
        if slow and (was_in or self._period_s >= self._cap_s):
            return self._rand.uniform(*SLOW_S)
        return self._wait_s(now)

    def redialled(self, now: float) -> float:
        """Seconds to wait where we ended the connection to begin another one.

        More than a few in a row count as failures: a broker that asks for it again and again is met
        ever more rarely.
        """
        self._redials = 1 if self.stable(now) else self._redials + 1
        if self._redials <= REDIALS:
            self._period_s = 0.0
        return self.failed(now)

    def _wait_s(self, now: float) -> float:
        """Seconds until a random moment of the next period."""
        begin = max(now, self._period_end) if self._period_s else now
        begin = min(begin, now + self._cap_s)  # if an error ended a wait before its attempt
        self._period_s = min(self._cap_s, 2 * self._period_s) or self._first_s
        self._period_end = begin + self._period_s
        return begin - now + self._rand.uniform(0, self._period_s)
