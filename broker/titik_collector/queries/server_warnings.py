"""What the server reports of itself to an operator: collector, broker, store, certificates.

Rule: the collector's state file answers even when the store cannot be read.
"""

import os.path
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from titik_collector.alerts import rules
from titik_collector.broker_setup import behind
from titik_collector.config.model import Config
from titik_collector.languages.codes import marked
from titik_collector.own_state import collector_state, systemd
from titik_collector.own_state.collector_state import CollectorState
from titik_collector.queries.collectors import NO_STANDBY
from titik_collector.store import (
    collecting,
    identity,
    opening,
    presence_rows,
    rollout_rows,
    wishes,
)
from titik_collector.store.database import Database
from titik_collector.store.rollout_rows import RolloutRow
from titik_collector.timeline import server_clock
from titik_collector.wording.sentence import Length, Sentence

BEHIND_MS = 300_000  # work that waited so long without a pause is worth a line
AWAITED = marked(
    "PostgreSQL waits for a second server, and none follows, so nothing is acknowledged: start it,"
    " or look at synchronous_standby_names"
)
MISSING = marked(
    "PostgreSQL waits for no second server, so what is acknowledged is lost with this one: set"
    " synchronous_standby_names; with Patroni set synchronous_mode"
)


@dataclass(frozen=True, slots=True)
class Warned:
    """One line about the server. `critical`: what is shown of routers may not be true now."""

    level: Literal["critical", "warning"]
    text: str


@dataclass(frozen=True, slots=True)
class Server:
    """The server as far as this machine knows."""

    state: CollectorState | None  # None: no collector runs here, or its file cannot be read
    warnings: tuple[Warned, ...]
    expires_days: (
        int | None
    )  # until the first certificate ends that no timer renews; None: not ours to read

    is_line_tested: bool = True  # [alerts] has addresses outside

    @property
    def fails(self) -> bool:
        """Whether what is shown of routers may not be true now."""
        return any(one.level == "critical" for one in self.warnings)


def look(settings: Config, now_ms: int, db: Database | None) -> Server:
    """Ask the state file, the lease, the store if it can be read, and the certificates."""
    state = collector_state.read(settings.state_files)
    warnings = []
    start = systemd.start(settings.beside, settings.file)
    folder = settings.broker.directory
    broker = "" if folder is None else f"; if its broker is stopped: {systemd.start_broker(folder)}"
    # Where no store is, none is collected; a server that could not be read is not asked again.
    path = settings.store.path
    is_there = db is not None or (path is not None and path.exists())
    is_idle = is_there and opening.is_held(settings.store, db) is False
    idle = _nobody_collects(db, now_ms, start + broker) if is_idle else None
    if idle is not None:
        warnings.append(Warned("critical", idle))
    elif state is not None and (found := words(state, now_ms, broker)) is not None:
        warnings.append(Warned("critical", found))
    elif state is not None and state.behind_ms >= BEHIND_MS:
        behind = marked("the collector has been behind for {length}")
        warnings.append(Warned("warning", Sentence(behind, length=Length(state.behind_ms))))
    elif db is not None and settings.collector.standby and not collecting.read(db).standbys:
        warnings.append(Warned("warning", Sentence(NO_STANDBY)))
    clock = None if db is None else server_clock.problem(db)
    if clock is not None:
        warnings.append(Warned("warning", clock))
    second = None if db is None else db.second_server()
    if second == "awaited":
        warnings.append(Warned("critical", Sentence(AWAITED)))
    elif second == "missing" and "store-alone" in rules.rules_of(settings.alert_settings.rules):
        warnings.append(Warned("warning", Sentence(MISSING)))
    halted = None if db is None else rollout_rows.halted(db)
    if halted is not None:
        warnings.append(Warned("warning", of_halt(halted)))
    if db is not None and not wishes.are_offered(db):
        warnings.append(Warned("warning", _not_offered(settings)))
    certificates, days = _certificates(settings, now_ms)
    twins = _twins(folder, now_ms)
    return Server(state, (*warnings, *certificates, *twins), days, bool(settings.alerts.line))


def of_halt(row: RolloutRow) -> Sentence:
    """That an upgrade halted by itself; /fleet has it without this line."""
    if row.failed == 1:
        text = marked(
            "the upgrade to {version} halted by itself, because 1 router failed: titik fleet"
        )
        return Sentence(text, version=row.version)
    text = marked(
        "the upgrade to {version} halted by itself, because {number} routers failed: titik fleet"
    )
    return Sentence(text, version=row.version, number=row.failed)


def _not_offered(settings: Config) -> Sentence:
    """That the rights at the broker are of a version before there were wishes."""
    text = marked(
        "the broker's rights are of an earlier version, so no router can be set, checked, renewed"
        " or upgraded from here; to bring the new ones: {command}"
    )
    folder = settings.broker.directory or "FOLDER"
    return Sentence(text, command=f"titik broker init {folder} --config {settings.file}")


def _twins(folder: Path | None, now_ms: int) -> list[Warned]:
    """The city's other brokers, where one lacks something."""
    text = marked(
        "broker {twin} is not as the first one for {length}: {reason}; who was revoked may get in"
        " there; to mend it: {command}"
    )
    return [
        Warned(
            "warning",
            Sentence(
                text,
                twin=one.twin,
                length=Length(max(0, now_ms - one.since_ms)),
                reason=one.why,
                command=f"titik broker twin send {folder}",
            ),
        )
        for one in (() if folder is None else behind.read(folder))
    ]


def words(state: CollectorState, now_ms: int, broker: str = "") -> Sentence | None:
    """What the collector reports of itself, for an operator; None: all is well.

    `broker`: what starts one of ours.
    """
    if state.is_stale(now_ms):
        killed = marked("the collector has not reported for {seconds} s: it hangs or was killed")
        return Sentence(killed, seconds=str((now_ms - state.at_ms) // 1000))
    seconds = str(max(0, now_ms - state.since_ms) // 1000)
    if not state.storing:
        reason = state.store_problem or "unknown reason"
        stored = marked("nothing is stored for {seconds} s: {reason}")
        return Sentence(stored, seconds=seconds, reason=reason)
    if not state.connected:
        reason = (state.broker_problem or "not connected yet") + broker
        heard = marked("no broker for {seconds} s: {reason}")
        return Sentence(heard, seconds=seconds, reason=reason)
    return None


def _nobody_collects(db: Database | None, now_ms: int, start: str) -> Sentence:
    """That no collector runs, and since when nothing was heard."""
    heard_ms = None if db is None else presence_rows.last_heard_ms(db)
    if heard_ms is not None:
        text = marked(
            "no collector is running; the last report came {length} ago; start it: {command}"
        )
        return Sentence(text, length=Length(now_ms - heard_ms), command=start)
    if db is None or not identity.is_empty(db):
        return Sentence(marked("no collector is running; start it: {command}"), command=start)
    text = marked(
        "no collector is running; start it: {command}; it begins an empty store: is the city's"
        " elsewhere? titik store copy"
    )
    return Sentence(text, command=start)


def certificate_days(settings: Config, now_ms: int) -> int | None:
    """Until the first certificate ends that no timer renews; None: that is not ours to read.

    Those of routers are root's, so a collector of its own user knows of the authority alone.
    """
    days, directory = _certificates(settings, now_ms)[1], settings.broker.directory
    if days is not None or directory is None:
        return days
    from titik_collector.enrolment.authority import days_of_authority

    now = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)
    return days_of_authority(directory, now)


def _certificates(settings: Config, now_ms: int) -> tuple[list[Warned], int | None]:
    """What ends soon or is amiss at a broker of ours; nothing where it is not ours to read."""
    directory = settings.broker.directory
    if directory is None or not any(os.path.isdir(directory / one) for one in ("ca", "tls")):
        return [], None
    # Imported here: where no certificate is ours, page and status do without cryptography.
    from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
    from titik_collector.enrolment.authority import AuthorityError

    try:
        authority = BrokerFolder.open(directory).authority
        # What the timer renews is in the authority's own warnings when it was not renewed.
        now = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)
        ends = [one.days(now) for one in authority.expiries() if not one.renewed]
        return [Warned("warning", text) for text in authority.warnings()], min(ends, default=None)
    except AuthorityError as error:
        return [Warned("warning", error.text)], None
    except (BrokerError, OSError):
        return [], None
