"""What of a running agent the city's settings move, and how.

Rule: a value is replaced whole, and the thread that uses it sees it at its next turn.
Rule: what cannot be done stays as it was, and is reported.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from titik_agent.broker_link.publisher import Publisher
from titik_agent.config import Config, ConfigError, Reach
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import Schedule
from titik_agent.sources.reach import ReachSource
from titik_wire.fleet_messages import LogLevel

# A source of these settings, not started; None: there is nothing to reach. It goes on counting
# where the one before was. ConfigError: a name that no host can have.
MakeReach = Callable[[Reach, ReachSource | None], ReachSource | None]


class AgentSetup(NamedTuple):
    """All that settings can move."""

    interval_s: int  # seconds between samples
    reach: Reach
    probe: bool = True
    compress: bool | None = None
    log_level: LogLevel = "info"


def of_file(config: Config) -> AgentSetup:
    """What the router's own file says."""
    return AgentSetup(config.interval_s, config.reach, True, config.broker.compress)


class Levers:
    """Of one agent that runs with `now`."""

    def __init__(
        self,
        now: AgentSetup,
        schedule: Schedule,
        sampler: Sampler,
        publisher: Publisher,
        make_reach: MakeReach,
        *,
        wake: Callable[[], None] = lambda: None,
        log_from: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`wake`: the sampling thread looks at its schedule. `log_from`: sets the level."""
        self.now = now
        self._schedule = schedule
        self._sampler = sampler
        self._publisher = publisher
        self._make_reach = make_reach
        self._wake = wake
        self._log_from = log_from
        self._sources = tuple(sampler.sources)
        self._reach = next((one for one in self._sources if isinstance(one, ReachSource)), None)
        self._counted = self._reach  # where the next one goes on

    def move(self, to: AgentSetup) -> str | None:
        """Run with these; why not with all of them, if so."""
        trouble = None
        if to.reach != self.now.reach:
            try:
                self._replace_reach(to.reach)
            except ConfigError as error:
                trouble = f"reach is left as it was: {error}"
                to = to._replace(reach=self.now.reach)
        self._publisher.compress = to.compress
        self._log_from(logging.getLevelNamesMapping()[to.log_level.upper()])
        self._use_sources(to.probe)
        self._schedule.retime(to.interval_s)
        self.now = to
        self._wake()
        return trouble

    def _replace_reach(self, wanted: Reach) -> None:
        made = self._make_reach(wanted, self._counted)
        before, self._reach = self._reach, made
        if before is not None:
            before.close()
        if made is not None:
            self._counted = made
            made.start()

    def _use_sources(self, probe: bool) -> None:
        kept = [
            one
            for one in self._sources
            if not isinstance(one, ReachSource) and (probe or one.name != "probe")
        ]
        self._sampler.sources = (*kept, *([] if self._reach is None else [self._reach]))
