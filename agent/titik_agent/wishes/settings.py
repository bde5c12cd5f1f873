"""The settings that the city wishes of this router: applied at once, taken back if they do harm.

Rule: what a wish leaves out is as the router's own file says. They live in memory, so a restart
begins with the file, and the broker sends the wish again.
Rule: a wish is on trial until a collector acknowledges a sample that was published since. Where it
could end the flow of samples, a trial without an ack ends with what worked before. So does one in
which the agent died.
Rule: what was rolled back is not tried again until its number rises, or it says something else.
Rule: what the broker retains is the wish, whatever its number: a store that was lost and restored
counts from lower ones. The same settings under another number are not applied again.
Rule: wishes are applied at a pace, however many come; the newest counts.
"""

import logging
import math
import re
from dataclasses import replace
from typing import Any, NamedTuple, get_args

from titik_agent.config import Reach
from titik_agent.wishes.kept_settings import KeptSettings, SettingsMark
from titik_agent.wishes.kept_settings import State as KeptState
from titik_agent.wishes.levers import AgentSetup, Levers
from titik_agent.wishes.wish_handler import BUG, WishDesk, WishHandler
from titik_wire.fleet_messages import DnsName, InForce, RouterSettings, Running, Target
from titik_wire.kinds import Text
from titik_wire.limits import MAX_REMOTE_TARGETS

log = logging.getLogger(__name__)

ROUND_S = 60  # the shortest time between rounds to targets that the city names
DIED = "the agent died while it tried them"


class SettingsPace(NamedTuple):
    """How fast, and for how long; tests shorten it."""

    apply_s: float = 10.0  # between two changes
    trial_s: float = 180.0  # with a collector online: a sample within 30 s, and sent again once
    trial_lives: int = 3  # connections that end without an ack while a collector was online
    withdrawn_s: float = 60.0  # a broker sends what it retains at once, and a collector all it has


class SettingsTrial:
    """Of the settings that are in force."""

    def __init__(self, seq: int, is_timed: bool) -> None:
        self.seq = seq  # the newest sample that was published before
        self.is_timed = is_timed  # they could end the flow of samples
        self.spent_s = 0.0  # with a collector online
        self.lives = 0
        self.since: float | None = None  # when it was looked at, with a collector online

    def spend(self, now: float, is_collected: bool) -> None:
        """Count the time since the last look, if an ack could have come in it."""
        if self.since is not None:
            self.spent_s += now - self.since
        self.since = now if is_collected else None


class SettingsHandler(WishHandler):
    """Applies settings with `levers`; `kept` outlasts a restart of the agent in this `boot`."""

    def __init__(
        self,
        desk: WishDesk,
        levers: Levers,
        kept: KeptSettings,
        boot: str,
        pace: SettingsPace | None = None,
    ) -> None:
        super().__init__(desk)
        self._levers = levers
        self._kept = kept
        self._boot = boot
        self._pace = pace or SettingsPace()
        self._file = levers.now
        self._in_force: RouterSettings | None = None  # None: the file alone
        self._good: RouterSettings | None = None  # the last that worked
        self._trouble: str | None = None  # why not all of what is in force
        self._trial: SettingsTrial | None = None
        self._bad: RouterSettings | None = None  # what was rolled back
        self._why_bad: str | None = None
        self._next: RouterSettings | None = None  # to be applied, if `_is_next`
        self._is_next = False
        self._apply_at = -math.inf
        self._is_heard = True  # a wish came in this connection; not the first one, which made us
        self._hears_since = math.inf
        self._remember()

    def received(self, message: RouterSettings) -> None:
        """Note them; `step` applies them."""
        self._is_heard = True
        if self._is_bad(message):
            self._bad = message
            self._drop_next()
            self.becomes(message.revision, "rolled-back", self._why_bad)
            return
        if self._in_force is not None and same(message, self._in_force):
            self._drop_next()
            self._rename(message)
            return
        self._next, self._is_next = message, True

    def refused(self, revision: int | None, reason: str) -> None:
        """What is in force stays."""
        self._is_heard = True
        self._drop_next()
        super().refused(revision, reason)

    def withdrawn(self) -> None:
        """Back to the file."""
        self._is_heard = True
        self._next, self._is_next = None, self._in_force is not None or self.outcome is not None

    def connected(self) -> None:
        """What is retained comes now."""
        self._is_heard = False
        self._hears_since = self.desk.monotonic()

    def disconnected(self) -> None:
        """Settings under which no connection lasts until an ack do harm."""
        self._hears_since = math.inf
        trial = self._trial
        if trial is None or not trial.is_timed or trial.since is None:
            return
        trial.spend(self.desk.monotonic(), is_collected=False)
        trial.lives += 1
        if trial.lives >= self._pace.trial_lives:
            self._roll_back(f"{trial.lives} connections ended without an ack")

    def acked(self, seq: int) -> None:
        """The settings in force work, if the sample was published since."""
        wish, outcome = self._in_force, self.outcome
        if wish is None or self._trial is None or seq <= self._trial.seq:
            return
        self._works()
        if outcome is not None and outcome.revision == wish.revision:
            self._report(wish)

    def step(self, now: float) -> float:
        """Apply what is next, and end a trial that lasted too long."""
        self._notice_withdrawal(now)
        if self._is_next and now >= self._apply_at:
            self._apply_at = now + self._pace.apply_s
            self._apply()
        trial = self._trial
        if trial is not None and trial.is_timed:
            trial.spend(now, self.desk.is_collected())
            if trial.spent_s >= self._pace.trial_s:
                self._roll_back(f"no ack in {self._pace.trial_s:.0f} s")
        return self._due(now)

    def report(self, running: Running) -> Running:
        """The outcome, and what the router runs with."""
        if self.outcome is None:
            return running
        return replace(running, settings=self.outcome, in_force=in_force(self._levers.now))

    def close(self) -> None:
        """A trial that an operator ends is no failure."""
        if self._bad is None:
            self._kept.remove()
        else:
            self._keep("rolled-back", self._bad, self._why_bad)

    def _is_bad(self, wish: RouterSettings) -> bool:
        bad = self._bad
        return bad is not None and same(wish, bad) and wish.revision <= bad.revision

    def _due(self, now: float) -> float:
        due = [self._apply_at] if self._is_next else []
        trial = self._trial
        if trial is not None and trial.is_timed and trial.since is not None:
            due.append(now + self._pace.trial_s - trial.spent_s)
        if self._may_be_withdrawn():
            due.append(self._hears_since + self._pace.withdrawn_s)
        return min(due, default=math.inf)

    def _remember(self) -> None:
        """What an agent before this one left."""
        left = self._kept.read()
        if left is None or left.state == "applied":
            return
        if left.state == "trying":
            if left.boot != self._boot:
                return
            log.warning("settings rolled back revision=%d reason=%s", left.settings.revision, DIED)
            self._keep("rolled-back", left.settings, DIED)
        self._bad = left.settings
        self._why_bad = DIED if left.state == "trying" else left.reason

    def _may_be_withdrawn(self) -> bool:
        return not self._is_heard and (self._in_force is not None or self.outcome is not None)

    def _notice_withdrawal(self, now: float) -> None:
        """A wish that was cleared while we were away does not come.

        Nor does one that the broker lost, before a collector is there to publish it again.
        """
        if not self._may_be_withdrawn():
            return
        if not self.desk.is_collected():
            self._hears_since = now
        elif now >= self._hears_since + self._pace.withdrawn_s:
            self.withdrawn()

    def _drop_next(self) -> None:
        self._next, self._is_next = None, False

    def _apply(self) -> None:
        wish = self._next
        self._drop_next()
        wanted = self._file if wish is None else over(self._file, wish)
        before = self._levers.now
        if wish is not None and wanted != before:
            self._keep("trying", wish)
        self._trial = None
        try:
            self._trouble = self._levers.move(wanted)
        except Exception:  # a bug, which whoever called us logs
            if wish is not None:
                self.becomes(wish.revision, "refused", BUG)
            raise
        self._in_force = wish
        if wish is None:
            self._forget()
            return
        log.info("settings applied revision=%d", wish.revision)
        # As long as nothing else was shown to work, a change of other keys takes no clock away.
        is_timed = wanted.compress != self._worked().compress
        if wanted != before or is_timed:
            self._trial = SettingsTrial(self.desk.newest_seq(), is_timed)
        else:
            self._works()
        self._report(wish)

    def _forget(self) -> None:
        """No wish: nothing to report, but what was rolled back is still not to be tried again."""
        log.info("no settings from a distance any more, the file counts")
        self._good = self.outcome = None
        if self._bad is None:
            self._kept.remove()
        self.desk.changed()

    def _works(self) -> None:
        self._trial = None
        self._good = self._in_force
        if self._in_force is not None:
            self._bad = self._why_bad = None
            self._keep("applied", self._in_force)

    def _worked(self) -> AgentSetup:
        return self._file if self._good is None else over(self._file, self._good)

    def _rename(self, message: RouterSettings) -> None:
        """The same settings, under another number."""
        if self._good is self._in_force:
            self._good = message
        self._in_force = message
        if self._trial is None and self._bad is None:
            self._keep("applied", message)
        self._report(message)

    def _report(self, wish: RouterSettings) -> None:
        if self._trouble is not None:
            self.becomes(wish.revision, "refused", f"{self._trouble}; the rest is applied")
        else:
            self.becomes(wish.revision, "trying" if self._trial else "applied")

    def _roll_back(self, reason: str) -> None:
        self._trial = None
        bad, self._in_force = self._in_force, self._good
        if bad is None:
            return
        log.warning("settings rolled back revision=%d reason=%s", bad.revision, reason)
        self._bad, self._why_bad = bad, reason
        self._levers.move(self._worked())
        self._keep("rolled-back", bad, reason)
        self.becomes(bad.revision, "rolled-back", reason)

    def _keep(self, state: KeptState, settings: RouterSettings, reason: str | None = None) -> None:
        self._kept.write(SettingsMark(state, settings, self._boot, reason))


def same(one: RouterSettings, other: RouterSettings) -> bool:
    """They say the same, whatever their numbers."""
    return replace(one, revision=other.revision) == other


def over(file: AgentSetup, wish: RouterSettings) -> AgentSetup:
    """The file's with the wish over them, key by key."""
    reach = file.reach
    targets = reach.targets if wish.reach_targets is None else wish.reach_targets
    names = reach.names if wish.reach_names is None else wish.reach_names
    every_s = wish.reach_every_s or reach.every_s
    if (targets, names) != (reach.targets, reach.names):
        every_s = max(every_s, ROUND_S)
    return AgentSetup(
        wish.interval_s or file.interval_s,
        Reach(targets, names, every_s),
        file.probe if wish.probe is None else wish.probe,
        file.compress if wish.compress is None else wish.compress,
        wish.log_level or file.log_level,
    )


def in_force(now: AgentSetup) -> InForce:
    """As it is reported; a target that the contract has no room for is left out."""
    reach = now.reach
    is_on = bool(reach.targets or reach.names)
    return InForce(
        interval_s=now.interval_s,
        reach_targets=_first(reach.targets, Target),
        reach_names=_first(reach.names, DnsName),
        reach_every_s=reach.every_s if is_on else None,
        probe=now.probe,
        compress=now.compress,
        log_level=now.log_level,
    )


def _first(texts: tuple[str, ...], kind: Any) -> tuple[str, ...]:
    rule: Text = get_args(kind)[1]
    fitting = [
        one
        for one in texts
        if len(one) <= rule.max_chars and re.fullmatch(rule.pattern or ".*", one) is not None
    ]
    return tuple(fitting[:MAX_REMOTE_TARGETS])
