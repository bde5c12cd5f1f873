"""What time it is when the server's clock, a router's or both are wrong."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.cases import few
from titik_collector.store.server_clock_row import Known
from titik_collector.timeline.server_clock import Jump, ServerClock

T0 = 1_795_400_000_000  # 2026-11-23
BOOTED = T0 - 5_000_000
S, HOUR, DAY = 1000, 3_600_000, 86_400_000
YEARS = 12 * 365 * DAY
EPOCH = -T0  # the clock of a server that begins in 1970
IN_2039 = 2_177_452_800_000 - T0
STEPS = [
    *(sign * ms for ms in (S, HOUR, DAY, 40 * DAY, YEARS) for sign in (1, -1)),
    EPOCH,
    IN_2039,
]


@dataclass
class World:
    """True time, and how wrong each clock is."""

    now: int = T0
    server: int = 0
    routers: dict[int, int] = field(default_factory=dict)
    boot: str = "a"
    booted: int = BOOTED

    def clock(self, known: Known | None = None, heard_ms: int | None = None) -> ServerClock:
        return ServerClock(
            known, heard_ms, lambda: self.now + self.server, lambda: self.now - self.booted,
            self.boot,
        )  # fmt: skip

    def reboot(self) -> None:
        self.boot, self.booted = self.boot + "a", self.now - 20 * S

    def live(self, clock: ServerClock, seconds: int) -> Iterator[Jump]:
        """The clock settles now and then; every 30 s each router is heard."""
        tick = 1 if seconds < 100 else 10 if seconds < 10_000 else 30
        for second in range(tick, seconds + 1, tick):
            self.now += tick * S
            if second % 30 == 0:
                for router_id, wrong in self.routers.items():
                    clock.hear(router_id, self.now + wrong - clock.now_ms())
            jump = clock.decide()
            if jump is not None:
                yield jump


def run(world: World, clock: ServerClock, seconds: int) -> list[Jump]:
    return list(world.live(clock, seconds))


def error(world: World, clock: ServerClock) -> int:
    return abs(clock.now_ms() - world.now)


def warnings(caplog: pytest.LogCaptureFixture) -> int:
    return sum(one.levelname == "WARNING" for one in caplog.records)


def some(count: int) -> World:
    return World(routers=dict.fromkeys(range(count), 0))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("routers", [1, 2, 20])
@pytest.mark.parametrize("lasts_s", few(1, [60, 7200]))
def test_a_step_of_the_server_while_it_runs_moves_nothing(
    step: int, routers: int, lasts_s: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Routers and the uptime say what time it is, for as long as it lasts."""
    world = some(routers)
    clock = world.clock()
    assert [] == run(world, clock, 120)
    world.server = step
    assert [] == run(world, clock, lasts_s)
    assert error(world, clock) <= S
    assert warnings(caplog) == (abs(step) > S)
    assert (abs(step) > S) == (clock.known.since_ms is not None)
    assert clock.known.ahead_ms == (step if abs(step) > S else 0)
    world.server = 0
    assert [] == run(world, clock, 120)
    assert error(world, clock) <= S
    assert clock.known.since_ms is None


@pytest.mark.parametrize("step", few(3, STEPS))
@pytest.mark.parametrize("routers", few(1, [2, 20]))
@pytest.mark.parametrize("restored", [False, True])
def test_a_server_that_starts_with_a_wrong_clock_is_set_right(
    step: int, routers: int, restored: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """By routers that agree, within two samples; also one that knows of an earlier time."""
    world = some(routers)
    known = None
    if restored:
        clock = world.clock()
        run(world, clock, 120)
        known = clock.known
        world.now += 3 * DAY
        world.reboot()
    world.server = step
    clock = world.clock(known)
    jumps = run(world, clock, 61)
    assert error(world, clock) <= S
    assert len(jumps) <= 1
    assert warnings(caplog) == (abs(step) > S)
    world.server = 0
    assert [] == run(world, clock, 7200)
    assert error(world, clock) <= S


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("routers", [0, 1])
def test_a_server_that_is_set_right_later_moves_what_it_stamped(
    step: int, routers: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Where too few routers could contradict it: by what it was wrong, since it started."""
    world = some(routers)
    world.server = step
    clock = world.clock()
    began = clock.now_ms()
    run(world, clock, 61)
    world.server = 0
    jumps = run(world, clock, 61)
    assert error(world, clock) <= S
    assert warnings(caplog) == (abs(step) > S)
    if abs(step) > S:
        ((since_ms, by_ms),) = jumps
        assert abs(by_ms + step) <= 2 * S
        assert abs(since_ms - began) <= 2 * S


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize("step", [step for step in STEPS if step > 0])
def test_stamps_that_routers_agreed_to_are_not_moved(step: int) -> None:
    """A machine that slept gains time afterwards, not before."""
    world = some(3)
    clock = world.clock()
    run(world, clock, 3600)
    agreed = world.now
    world.now += step
    world.booted += step  # its uptime stood still
    jumps = run(world, clock, 61)
    assert error(world, clock) <= S
    if step > S:
        ((since_ms, _),) = jumps
        assert abs(since_ms - agreed) <= 30 * S


@pytest.mark.usefixtures("caplog")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at_start", [False, True])
@pytest.mark.parametrize("lasts_s", few(1, [60, 86_400]))
@pytest.mark.parametrize("agreeing", [False, True])
def test_a_step_deletes_no_more_than_its_length_allows(
    step: int, at_start: bool, lasts_s: int, agreeing: bool
) -> None:
    """Not even where routers lie with the server: 25 days a day."""
    world = some(3)
    clock = world.clock()
    run(world, clock, 120)
    if at_start:
        world.reboot()
    world.server = step
    if agreeing:
        world.routers = dict.fromkeys(world.routers, step)
    known = clock.known
    if at_start:
        clock = world.clock(known)
    before = min(clock.forget_ms, world.now)
    run(world, clock, lasts_s)
    most = 25 if agreeing else 1
    assert clock.forget_ms - before <= most * lasts_s * S + 2 * S or clock.forget_ms <= world.now
