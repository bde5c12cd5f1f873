"""When to take a sample; pure.

Rule: every interval on the monotonic clock, the first at a random offset.
Rule: soon after a client joined or left too, but at most one such extra sample per 5 s.
"""

from titik_agent.chance import Chance

# A join is a burst of events and the count must be steady first; the promise is one second.
STEADY_S = 0.2
EXTRA_EVERY_S = 5.0
# A city sets many routers at once, and each is to show soon that it works, but not all at once.
RETIMED_S = 30.0


class Schedule:
    """`now` is the monotonic clock's, in seconds."""

    def __init__(self, interval_s: float, now: float, rand: Chance) -> None:
        self._interval_s = interval_s
        self._rand = rand
        # Another interval, that another thread asks for; each wish is an object of its own.
        self._wished = self._followed = [interval_s]
        self._next = now + rand.uniform(0, interval_s)
        self._extra: float | None = None
        self._earliest_extra = now

    def retime(self, interval_s: float) -> None:
        """Another interval, from any thread; the next sample comes within RETIMED_S."""
        self._wished = [interval_s]

    def changed(self, now: float) -> None:
        """A client joined or left."""
        if self._extra is None:
            self._extra = max(now + STEADY_S, self._earliest_extra)

    def wait_s(self, now: float) -> float:
        """Seconds until `take` will be true."""
        self._follow(now)
        due = self._next if self._extra is None else min(self._next, self._extra)
        return max(0.0, due - now)

    def take(self, now: float) -> bool:
        """True when a sample is due; it then counts as taken."""
        self._follow(now)
        if self._extra is not None and now >= self._extra:
            self._extra = None
            self._earliest_extra = now + EXTRA_EVERY_S
            return True
        if now < self._next:
            return False
        # Missed ones are skipped: a router that was suspended must not catch up in a burst.
        self._next += self._interval_s * (1 + (now - self._next) // self._interval_s)
        self._extra = None
        return True

    def _follow(self, now: float) -> None:
        wished = self._wished  # read once: a newer wish is followed at the next look
        if wished is not self._followed:
            self._followed = wished
            (wished_s,) = wished
            self._interval_s = wished_s
            soon = now + self._rand.uniform(0, min(wished_s, RETIMED_S))
            self._next = min(self._next, soon)
