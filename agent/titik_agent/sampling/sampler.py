"""A sample is born here: every source read once, counts added up, the whole made to fit.

Rule: a source that fails leaves its section out and its name in `failed`; nothing else changes.
Rule: what leaves here can be decoded. A value that no contract allows, such as a driver's 2**63
bytes, is unknown alone. Where it is no optional one, its section is left out.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any, Final, Literal, NamedTuple

import psutil

from titik_agent.clock import Clock
from titik_agent.sampling.client_time import Meters, on_air
from titik_agent.sampling.source import Source, SourceError
from titik_agent.spool.spool import Spool
from titik_wire import codec
from titik_wire.errors import WireError
from titik_wire.limits import MAX_FAILED, MAX_RUNS
from titik_wire.messages import AgentState, Bss, Held, Sample

log = logging.getLogger(__name__)

KEPT_EVERY: Final = 16  # samples; one of them says what can be sent again

# What a source may fill: all that a sample can lack, so that a new section is covered too.
_SECTIONS: Final = tuple([one.name for one in fields(Sample) if one.default is None])
# Totals and what no sample may lose; of `net` the uplink stays.
_KEPT: Final = (
    "clients", "clients_min", "clients_max", "active", "client_ms", "observed_ms",
    "net", "past", "truncated", "off_air", "flow_offload",
)  # fmt: skip
_SHED_LAST: Final = (
    "probe", "reach", "radios", "host", "leases", "visitors", "bss details", "lan", "bss",
)  # fmt: skip
# What is left out first when a sample does not fit its packet: sections that are named nowhere here
# come first of all.
SHED_ORDER: Final = (
    *[one for one in _SECTIONS if one not in _KEPT + _SHED_LAST],
    *_SHED_LAST,
)


class Sampler:
    """Takes the samples of one run, numbered from 1."""

    def __init__(
        self,
        router: str,
        run: str,
        clock: Clock,
        spool: Spool,
        sources: Sequence[Source],
        open_runs: Callable[[], Iterable[str]] = tuple,
        rss_bytes: Callable[[], int] | None = None,
        store: Callable[[], object] = lambda: None,
    ) -> None:
        self.run = run
        self.seq = 0  # of the newest sample
        self.newest: Sample | None = None
        self.sources = sources  # replaced whole, by any thread
        self.failing: Mapping[str, str] = {}  # which sources, and why; never changed in place
        self._router = router
        self._clock = clock
        self._spool = spool
        self._open_runs = open_runs
        self._rss_bytes = rss_bytes or _own_rss
        self._store = store
        self._was_asked = False  # at the last sample
        self._heard: object = None  # the store that a report of what is kept went to
        self._meters = Meters()
        self._last_ms: int | None = None
        self._turn = 0
        self._wrong: set[str] = set()  # what broke the contract in the last sample

    def take(self) -> tuple[Sample, bytes]:
        """Read every source; the sample and its payload for the spool."""
        now = self._now()
        sections, failed = self._read()
        sample = self._build(now, sections, failed)
        wrong: dict[str, str] = {}
        fitted, payload = fit(sample, wrong)
        self._log_wrong(wrong)
        self.seq = fitted.seq
        self.newest = fitted
        self._last_ms = now.uptime_ms
        return fitted, payload

    def _now(self) -> "_Now":
        """Of one instant, because readers place guessed times by `taken_at` minus `uptime_ms`.

        The quality first: should NTP set the clock just now, a good time called a guess does no
        harm, while a bad one called good is believed.
        """
        quality = self._clock.quality()
        return _Now(quality, self._clock.wall_ms(), self._clock.uptime_ms())

    def _read(self) -> tuple[dict[str, Any], list[str]]:
        sections: dict[str, Any] = {}
        failed: list[str] = []
        for source in self.sources:
            try:
                sections[source.field] = source.read()
            except SourceError as error:
                failed.append(source.name)
                self._log_failed(source.name, str(error))
            except Exception as error:
                # A bug in one source must not end the agent. Nor must an unexpected answer of a
                # kernel. After a few crashes in a row procd gives up.
                failed.append(source.name)
                # Its text may be of a visitor, as a KeyError's is the key.
                self._log_failed(source.name, f"{type(error).__name__} at {_place(error)}")
            else:
                self._log_back(source.name)
        return sections, failed

    def _build(self, now: "_Now", sections: dict[str, Any], failed: list[str]) -> Sample:
        bss: tuple[Bss, ...] | None = sections.pop("bss", None)
        reading, bss = self._meters.observe(now.uptime_ms, bss)
        seq = self.seq + 1
        return Sample(
            router=self._router,
            run=self.run,
            first_seq=seq,
            seq=seq,
            spool=self._held(seq),
            kept=self._kept(seq),
            boot=self._clock.boot,
            uptime_ms=now.uptime_ms,
            taken_at=now.wall_ms,
            clock=now.quality,
            covers_ms=0 if self._last_ms is None else max(0, now.uptime_ms - self._last_ms),
            agent=self._state(failed),
            clients=on_air(bss, lambda one: one.clients),
            clients_min=reading.least if reading else None,
            clients_max=reading.most if reading else None,
            active=on_air(bss, lambda one: one.active),
            client_ms=reading.client_ms if reading else None,
            observed_ms=reading.observed_ms if reading else None,
            bss=bss,
            off_air=True if bss is not None and all(one.off_air for one in bss) else None,
            **sections,
        )

    def _held(self, seq: int) -> tuple[Held, ...]:
        """This run first; of older ones as many as fit, the rest in the samples to come.

        Nothing of them while some may be there unread: what is not held counts as lost, and the
        ack would take it from the spool once it is.
        """
        complete = self._spool.complete
        spans = self._spool.held()
        own = (spans.pop(self.run, (seq, seq))[0], seq)
        if not complete:
            return (Held(self.run, own),)
        others = [Held(run, span) for run, span in spans.items()]
        gone = [run for run in self._open_runs() if run != self.run and run not in spans]
        others += [Held(run, None) for run in gone]
        room = MAX_RUNS - 1
        if len(others) > room:
            self._turn = (self._turn + room) % len(others)
            others = (others[self._turn :] + others[: self._turn])[:room]
        return (Held(self.run, own), *others)

    def _kept(self, seq: int) -> tuple[Held, ...] | None:
        """What can be sent again; not each time, as it changes little and each byte is paid for.

        A store that was opened since the last sample hears it at once: it may be a restored one.
        So does a collector that stopped asking: a failed batch may have made it forget.

        The runs of `spool` are among them as far as they are kept, so that a run
        without anything held is not taken for gone.
        """
        store = self._store()
        was_asked, self._was_asked = self._was_asked, self._spool.is_asked
        is_asked = self._was_asked or was_asked or store != self._heard
        if not self._spool.complete or not (is_asked or seq % KEPT_EVERY == 1):
            return None
        self._heard = store
        kept = self._spool.kept()
        named = [*self._open_runs(), self.run]
        first = [run for run in named if run in kept]
        runs = [*dict.fromkeys([*first, *reversed(kept)])][:MAX_RUNS]
        found = tuple([Held(run, kept[run]) for run in runs])
        return found if found or is_asked else None

    def _state(self, failed: list[str]) -> AgentState:
        return AgentState(
            rss_bytes=self._rss_bytes(),
            spooled=self._spool.spooled + 1,
            merged=self._spool.merged,
            lost=self._spool.lost,
            corrupt=self._spool.corrupt,
            failed=tuple(failed[:MAX_FAILED]),
            saturated=any(getattr(source, "saturated", False) for source in self.sources),
        )

    def _log_failed(self, name: str, reason: str) -> None:
        was_failing = name in self.failing
        self.failing = {**self.failing, name: reason}
        if not was_failing:
            log.warning("source failed, section left out source=%s reason=%s", name, reason)

    def _log_back(self, name: str) -> None:
        if name in self.failing:
            self.failing = {one: why for one, why in self.failing.items() if one != name}
            log.info("source back source=%s", name)

    def _log_wrong(self, wrong: dict[str, str]) -> None:
        for path in wrong.keys() - self._wrong:
            log.warning("left out, not in the contract reason=%s", wrong[path])
        self._wrong = set(wrong)


class _Now(NamedTuple):
    """What the clocks say at one instant."""

    quality: Literal["ntp", "guess"]
    wall_ms: int
    uptime_ms: int


def fit(sample: Sample, wrong: dict[str, str]) -> tuple[Sample, bytes]:
    """The sample as it can be sent, and its payload; see SHED_ORDER.

    `wrong` collects which values and sections break the contract, and how.
    """
    steps = iter(SHED_ORDER)
    while True:
        try:
            return sample, codec.encode(sample)
        except WireError as error:
            section = _PATH.match(error.path)
            if section is not None and section["name"] in _SECTIONS:
                wrong[error.path] = str(error)
                sample = _without_value(sample, section) or _without(sample, section["name"])
            else:
                step = next(steps, None)
                if step is None:
                    raise
                sample = replace(_shed(sample, step), truncated=True)


# `bss[1].rx_bytes`, `host.temp_c`, `leases`.
_PATH: Final = re.compile(r"(?P<name>\w+)(\[(?P<at>\d+)\])?(\.(?P<value>\w+)$)?")


def _without_value(sample: Sample, path: re.Match[str]) -> Sample | None:
    """With that one value unknown; None if the section cannot be without it."""
    if path["value"] is None:
        return None
    section, at = getattr(sample, path["name"]), path["at"]
    one = section if at is None else section[int(at)]
    if path["value"] not in {each.name for each in fields(one) if each.default is None}:
        return None
    empty: dict[str, Any] = {path["value"]: None}
    one = replace(one, **empty)
    if at is not None:
        one = (*section[: int(at)], one, *section[int(at) + 1 :])
    mended: dict[str, Any] = {path["name"]: one}
    return replace(sample, **mended)


def _without(sample: Sample, section: str) -> Sample:
    state = replace(sample.agent, failed=(*sample.agent.failed, section)[-MAX_FAILED:])
    empty: dict[str, Any] = {section: None, "agent": state}
    if section == "bss":
        empty |= dict.fromkeys(
            ("clients", "clients_min", "clients_max", "active", "client_ms", "observed_ms")
        )
    return replace(sample, **empty)


def _shed(sample: Sample, step: str) -> Sample:
    if step == "lan":
        return replace(sample, net=tuple([one for one in sample.net or () if one.role == "uplink"]))
    if step != "bss details":
        shed: dict[str, Any] = {step: None}
        return replace(sample, **shed)
    details = ("ssid", "band", "channel", "utilization_ratio", "clients_min", "clients_max")
    empty: dict[str, Any] = dict.fromkeys(details)
    return replace(sample, bss=tuple([replace(one, **empty) for one in sample.bss or ()]))


def _place(error: Exception) -> str:
    """The file and line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


@cache  # it reads when the process began
def _own_process() -> psutil.Process:
    return psutil.Process()


def _own_rss() -> int:
    """0 when it cannot be read, because no descriptor is free; it is not worth a sample."""
    try:
        return int(_own_process().memory_info().rss)
    except (OSError, psutil.Error):
        return 0
