"""One run of one scenario: its seed, its schedule, and what it came to."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.checker import Verdict, judge
from tests.faults.engines import Engine, Sqlite
from tests.faults.nemesis import Fault, schedule
from tests.faults.world import World


@dataclass
class Trial:
    """One run of one scenario, and what it came to."""

    folder: Path
    rand: random.Random
    count: int
    faults: list[Fault] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    engine: Engine = field(default_factory=Sqlite)

    def world(self, routers: int, *, folder: Path | None = None, **more: Any) -> World:
        """One whose store is on the trial's engine."""
        return World(folder or self.folder, routers, engine=self.engine, **more)

    def plan(
        self,
        kinds: Sequence[str],
        targets: Sequence[str],
        after_s: tuple[float, float],
        lasts_s: tuple[float, float] = (0.0, 0.0),
        count: int | None = None,
    ) -> list[Fault]:
        """The schedule, by the trial's seed."""
        many = self.count if count is None else count
        self.faults = schedule(self.rand, many, kinds, targets, after_s, lasts_s)
        return self.faults

    def settle(self, world: World, declared: int = 0, late: bool = False) -> Verdict:
        """Heal, drain and judge."""
        world.heal()
        try:
            self.figures["drain_s"] = round(world.drain(), 1)
        except AssertionError as error:
            # What is missing then says more than that something is.
            self.wrong.append(str(error))
        self.figures["kills_of_agents"] = world.kills
        self.wrong += world.died
        self.verdict = judge(world)
        self.wrong += self.verdict.wrong(world.kills, declared, late)
        return self.verdict
