"""Puts the router half together, for each command of `titik-agent`.

One place builds the objects and knows the concrete classes.

Rule: what this router's configuration does not ask for is not loaded; such imports stand in the
function that builds the object.
"""

import titik_agent.lazy_imports.later  # what the others import and hardly use

# isort: split
import errno
import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, cast

from titik_agent import config, shared_files
from titik_agent.broker_link.backoff import Backoff
from titik_agent.broker_link.connector import Connector
from titik_agent.broker_link.credentials import Credentials
from titik_agent.broker_link.link import Link
from titik_agent.broker_link.publisher import Publisher
from titik_agent.broker_link.wish_lane import WishLane
from titik_agent.chance import SystemChance
from titik_agent.clock import Clock, SystemClock
from titik_agent.config import Config, ConfigError
from titik_agent.looking.log_tail import LogTail
from titik_agent.sampling.loop import Loop
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import Schedule
from titik_agent.sampling.source import EventSource, Source
from titik_agent.sampling.stations import Tracker
from titik_agent.sources import rtnetlink
from titik_agent.sources.flow_offload import FlowOffload
from titik_agent.sources.host import HostSource
from titik_agent.sources.leases import LeasesSource
from titik_agent.sources.netdev import Interfaces
from titik_agent.sources.probe_result import ProbeSource
from titik_agent.sources.since import Since
from titik_agent.sources.visitors import Sketch
from titik_agent.spool.segments import delete_deflated
from titik_agent.spool.spool import Spool
from titik_mqtt.endpoint import PORT, TLS_PORT, Endpoint, Tls
from titik_wire import __version__
from titik_wire.limits import MAX_LABEL
from titik_wire.messages import Status

if TYPE_CHECKING:
    from titik_agent.looking.concealing import Concealing
    from titik_agent.looking.looker import Looker
    from titik_agent.sampling.watchdog import Watchdog
    from titik_agent.sources.reach import ReachSource
    from titik_agent.state_file import StateWriter
    from titik_agent.wishes.dispatch import Dispatch
    from titik_agent.wishes.levers import Levers
    from titik_agent.wishes.wish_handler import WishDesk, WishHandler

titik_agent.lazy_imports.later.finish()
log = logging.getLogger("titik_agent")

MACHINE = "/sys/class/dmi/id/product_name"  # x86
BOARD = "/tmp/sysinfo/model"  # OpenWrt
_BROKEN_DISK = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO)
ONE_SAMPLE_S = 0.2  # what is read once in this time is of one sample; the next is a second away
LOCK = "agent.lock"  # in the spool's directory, held while the agent runs: process, router, broker


def run(file: str | None, router: str | None, broker: str | None) -> None:
    """Sample and report until a signal stops it."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger().addHandler(tail := LogTail())
    with _plainly():
        settings = config.load(file, router, broker, config.read_apart)
        endpoint = _endpoint(settings)
        with _alone(settings.spool.directory, f"{settings.router} {endpoint.where}"):
            _check_persist(settings.spool.persist_dir)
            _run(settings, endpoint, tail, _check_command(file, router, broker))


def once(file: str | None, router: str | None, broker: str | None) -> None:
    """Take one sample and print it as JSON."""
    with _plainly():
        settings = config.load(file, router, broker or "localhost")
        clock = SystemClock(settings.clock == "trusted")
        sources = _sources(settings, clock)
        _reach_once(sources)
        sampler = Sampler(settings.router, _new_run(), clock, Spool(None), sources)
        _, payload = sampler.take()
    print(json.dumps(json.loads(payload), indent=2, ensure_ascii=False))


def check_all(
    file: str | None,
    router: str | None,
    broker: str | None,
    config_only: bool = False,
    beside: bool = False,
) -> bool:
    """Try every step from the radio to the collector's ack, a line each; True if all are good.

    `config_only`: whether `run` would start with these settings, and no more. `beside`: an agent
    runs, which has logged in, and which counts for more than this process where memory is short.
    """
    from titik_agent import check

    if beside:
        check.die_first()
    try:
        settings = config.load(file, router, broker)
        endpoint = _credentials(settings, _endpoint(settings)).endpoint_that_worked()
        clock = SystemClock(settings.clock == "trusted")
        sources = _sources(settings, clock)
    except ConfigError as error:
        print(f"FAIL  config: {error}")
        return False
    print(f"ok    config: router {settings.router}, every {settings.interval_s} s")
    if config_only:
        return True
    _print_wished(settings)
    check.user(print)
    _reach_once(sources)
    good = check.sources(sources, print)
    for source in sources:
        if isinstance(source, Interfaces):
            check.uplink(source, sources, print)
    good &= check.clock(clock, print)
    good &= check.spool_folder(settings.spool.directory, print)
    reached = check.broker(endpoint, print)
    good &= reached and (beside or _check_chain(settings, clock, endpoint, sources))
    return good


def probe(file: str | None, router: str | None, broker: str | None, every_s: int | None) -> int:
    """Ask the LAN and the uplink with raw sockets; the exit status."""
    from titik_agent.probe.process import (  # needs scapy, which the agent does not
        ProbeSettings,
        run_probe,
    )

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    with _plainly():
        settings = config.load(file, router or "probe", broker or "localhost")
    wanted, nets = settings.probe, settings.interfaces
    return run_probe(
        ProbeSettings(wanted.result_file, wanted.targets, nets.uplink, nets.lan), every_s
    )


def _run(settings: Config, endpoint: Endpoint, tail: LogTail, check_command: list[str]) -> None:
    """Put the agent together, run it until SIGTERM, and say goodbye."""
    clock = SystemClock(settings.clock == "trusted")
    rand = SystemChance()
    run_id = _new_run()
    spool = Spool(settings.spool.directory, settings.spool.limit_bytes, settings.spool.persist_dir)
    publisher = _publisher(settings, run_id, clock, spool, endpoint.where)
    backoff = Backoff(rand)
    wait_s = backoff.at_start(clock.uptime_ms() / 1000, clock.monotonic())
    credentials = _credentials(settings, endpoint)
    connector = Connector(
        publisher, lambda *args: Link(credentials.endpoint(), *args), backoff, wait_s=wait_s
    )
    connector.failed = credentials.failed
    changes = rtnetlink.RouteChanges()
    sources = _sources(settings, clock, lambda: publisher.collectors.day_starts, changes.any)
    sampler = Sampler(
        settings.router,
        run_id,
        clock,
        spool,
        sources,
        lambda: publisher.unacked.acked,
        store=lambda: publisher.collectors.store,
    )
    schedule = Schedule(settings.interval_s, clock.monotonic(), rand)
    events = [one for one in sources if isinstance(one, EventSource)]
    watchdog = _watchdog(settings, clock)
    alive = [] if watchdog is None else [watchdog.kick]
    state = _state_file(settings, endpoint, clock, spool, sampler, connector, publisher)

    def spooled() -> None:
        connector.wake()
        if state is not None:
            state.sampled()

    loop = Loop(sampler, schedule, spool, events, clock.monotonic, spooled, *alive)

    def levers() -> "Levers":
        from titik_agent.wishes.levers import Levers, of_file

        return Levers(
            of_file(settings), schedule, sampler, publisher, _reach,
            wake=loop.wake, log_from=logging.getLogger().setLevel,
        )  # fmt: skip

    def looker(desk: "WishDesk") -> "Looker":
        from titik_agent.looking.looker import Looker

        return Looker(
            settings.router, check_command, tail.lines, partial(_own_lines, connector, spool),
            _concealing(settings, endpoint), desk.wake,
        )  # fmt: skip

    def certificates(desk: "WishDesk") -> "WishHandler | None":
        if endpoint.tls is None or endpoint.tls.ca_file is None:
            return None
        from titik_agent.wishes.certificates import CertificateHandler

        return CertificateHandler(desk, credentials, settings.spool.persist_dir is not None)

    publisher.wishes.load = partial(
        _wishes, publisher.wishes, clock, settings, levers, looker, certificates, connector.wake
    )
    if settings.upgrade_dir is not None:
        publisher.first_ack = partial(_confirm, settings.upgrade_dir)
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        loop.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    log.info("agent started router=%s run=%s version=%s", settings.router, run_id, __version__)
    reach = _reach_among(sources)
    if reach is not None:
        reach.start()
    connector.start()
    try:
        loop.run(stop)
    finally:
        # Flash first: procd kills after 5 s, and a goodbye may hang in a connect.
        spool.close()
        connector.stop()
        publisher.wishes.close()
        if state is not None:
            state.remove()
        if watchdog is not None:
            watchdog.close()
        reach = _reach_among(sampler.sources)  # settings may have replaced it
        if reach is not None:
            reach.close()
        changes.close()
    log.info("agent stopped")


def _sources(
    settings: Config,
    clock: Clock,
    day_starts: Callable[[], Sequence[int]] = tuple,
    changed: Callable[[], bool] = lambda: True,
) -> Sequence[Source]:
    """Every source that this machine may have."""
    since = Since(os.path.join(settings.spool.directory, "since"))
    memory = os.path.join(settings.spool.directory, "uplink")
    nets = settings.interfaces
    interfaces = Interfaces(
        nets.uplink, nets.lan, clock.boot, since=since, memory=memory,
        changed=changed, keep_s=ONE_SAMPLE_S,
    )  # fmt: skip
    sketch = Sketch(clock, day_starts=day_starts)
    hostapd = _hostapd(settings.sources, interfaces, sketch)
    sources: list[Source | None] = [
        *hostapd,
        interfaces,
        FlowOffload(),
        HostSource(clock),
        LeasesSource(clock, settings.sources.lease_files),
        _reach(settings.reach),
        ProbeSource(settings.probe.result_file, clock, settings.probe.max_age_s),
        sketch if hostapd else None,
    ]
    return [source for source in sources if source is not None]


def _hostapd(wanted: config.Sources, interfaces: Interfaces, sketch: Sketch) -> Sequence[Source]:
    """The way to hostapd, and what it reports besides."""
    kind = wanted.hostapd
    if kind == "auto":
        kind = "ubus" if os.path.exists(wanted.ubus_socket) else "control"
    if kind == "ubus":
        from titik_agent.sources.hostapd_ubus import HostapdUbus
        from titik_agent.sources.survey import Survey

        over_ubus = HostapdUbus(interfaces, Tracker(), sketch, (wanted.ubus_socket,))
        return over_ubus, Survey(over_ubus)
    if kind == "control":
        from titik_agent.sources.hostapd_control import HostapdControl

        return (HostapdControl(interfaces, Tracker(), sketch, wanted.control_dir),)
    return ()


def _wishes(
    lane: WishLane,
    clock: Clock,
    settings: Config,
    levers: Callable[[], "Levers"],
    looker: Callable[["WishDesk"], "Looker"],
    certificates: Callable[["WishDesk"], "WishHandler | None"],
    wake: Callable[[], None],
) -> "Dispatch":
    """What handles the city's wishes; called when the first one comes."""
    from titik_agent.wishes.dispatch import Dispatch

    def make(kind: str, desk: "WishDesk") -> "WishHandler | None":
        if kind == "settings":
            from titik_agent.wishes.kept_settings import KeptSettings
            from titik_agent.wishes.settings import SettingsHandler

            kept = KeptSettings(settings.spool.directory, desk.router)
            return SettingsHandler(desk, levers(), kept, clock.boot)
        if kind == "request":
            from titik_agent.wishes.questions import QuestionHandler

            return QuestionHandler(desk, looker(desk))
        if kind == "upgrade":
            from titik_agent.wishes.upgrade import UpgradeHandler

            return UpgradeHandler(desk, settings.upgrade_dir)
        return certificates(desk) if kind == "certificate" else None

    return Dispatch(lane, clock, make, wake)


def _check_command(file: str | None, router: str | None, broker: str | None) -> list[str]:
    """The agent's own check, beside it; `-P`: nothing is imported from where we were started."""
    command = [sys.executable, "-P", "-m", "titik_agent", "check", "--beside"]
    for option, value in (("--config", file), ("--router", router), ("--broker", broker)):
        command += [] if value is None else [option, value]
    return command


def _own_lines(connector: Connector, spool: Spool) -> list[str]:
    """What this process knows and a child does not."""
    for_s = time.monotonic() - connector.since
    state = f"connected for {for_s:.0f} s" if connector.is_connected else "not connected"
    return [f"ok    agent: {__version__}, {state}, samples without an ack: {spool.spooled}"]


def _concealing(settings: Config, endpoint: Endpoint) -> "Concealing":
    from titik_agent.looking.concealing import Concealing

    targets = [one.rpartition(":")[0].strip("[]") for one in settings.reach.targets]
    broker = settings.broker
    secret = [endpoint.password, broker.password_file, broker.key_file]
    return Concealing(
        [endpoint.host, *targets, *settings.probe.targets], [one for one in secret if one]
    )


def _print_wished(settings: Config) -> None:
    """The city's settings, as the agent that runs here noted them."""
    from titik_agent.wishes.kept_settings import KeptSettings, in_words

    mark = KeptSettings(settings.spool.directory, settings.router).read()
    if mark is not None:
        print(in_words(mark))


def _confirm(directory: str) -> None:
    """The helper that upgrades sees that this version has its first ack, by the file's name."""
    path = os.path.join(directory, "agent", f"acked-{__version__}")
    try:
        os.close(shared_files.open_new(path))
    except OSError as error:
        log.warning("the first ack is not shown to the helper reason=%s", error)


def _watchdog(settings: Config, clock: Clock) -> "Watchdog | None":
    if settings.watchdog is None:
        return None
    from titik_agent.sampling.watchdog import Watchdog

    return Watchdog(settings.sources.ubus_socket, settings.watchdog, clock.monotonic)


def _state_file(
    settings: Config,
    endpoint: Endpoint,
    clock: Clock,
    spool: Spool,
    sampler: Sampler,
    connector: Connector,
    publisher: Publisher,
) -> "StateWriter | None":
    if settings.state_file is None:
        return None
    from titik_agent.state_file import StateWriter

    state = StateWriter(
        settings.state_file, endpoint.where, clock, spool, sampler, connector,
        publisher.collectors, settings.router, settings.interval_s,
        lambda: publisher.wishes.running,
    )  # fmt: skip
    connector.changed = state.changed
    state.write()
    return state


def _reach(wanted: config.Reach, after: "ReachSource | None" = None) -> "ReachSource | None":
    if not wanted.targets and not wanted.names:
        return None
    from titik_agent.sources.reach import ReachSource, Targets

    try:
        found = Targets(wanted.names, config.targets(wanted))
        return ReachSource(found, wanted.every_s, after=after)
    except ValueError as error:
        raise ConfigError(f"reach.names: {error}") from error


def _reach_once(sources: Sequence[Source]) -> None:
    """One round now, for commands that do not wait for the thread's."""
    reach = _reach_among(sources)
    if reach is not None:
        reach.round()


def _reach_among(sources: Sequence[Source]) -> "ReachSource | None":
    found = next((one for one in sources if one.name == "reach"), None)
    return cast("ReachSource | None", found)


def _endpoint(settings: Config) -> Endpoint:
    """Where to connect, and under which name."""
    broker = settings.broker
    tls = Tls(broker.ca_file, broker.cert_file, broker.key_file) if broker.tls else None
    port = broker.port or (TLS_PORT if broker.tls else PORT)
    return Endpoint(broker.host, port, settings.router, config.password(settings), tls)


def _credentials(settings: Config, endpoint: Endpoint) -> Credentials:
    """Kept on flash where the operator allows that, else in RAM beside the spool."""
    return Credentials(endpoint, settings.spool.persist_dir or settings.spool.directory)


def _publisher(
    settings: Config, run_id: str, clock: Clock, spool: Spool, where: str, announce: bool = True
) -> Publisher:
    model = _first_line(BOARD, MACHINE)
    about = Status(
        settings.router, "online", run_id, 1, clock.boot, __version__, model, _firmware()
    )
    compress = settings.broker.compress
    return Publisher(
        about, spool, clock.monotonic, compress=compress, announce=announce, where=where
    )


def _firmware() -> str | None:
    """PRETTY_NAME of os-release: `OpenWrt 24.10.0`, `Debian GNU/Linux 12 (bookworm)`."""
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.strip().partition("=")
                if name == "PRETTY_NAME":
                    return _label(value.strip('"'))
    except OSError:
        pass
    return None


def _first_line(*paths: str) -> str | None:
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return _label(file.readline())
        except OSError:
            continue
    return None


def _label(text: str) -> str | None:
    """Text as the contract has it: printable, at most MAX_LABEL characters."""
    return "".join(char for char in text.strip() if char.isprintable())[:MAX_LABEL] or None


def _new_run() -> str:
    return os.urandom(8).hex()


@contextmanager
def _alone(directory: str, who: str) -> Iterator[None]:
    """One agent per spool: two would report the same clients twice.

    A full or read-only disk cannot be locked; the spool lives in RAM then, and the agent goes on.
    """
    with ExitStack() as stack:
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            shared_files.check_own(directory)
            descriptor = shared_files.open_kept(os.path.join(directory, LOCK))
            before, _ = _holder(directory)
            _lock(stack.enter_context(open(descriptor, "r+", encoding="ascii")), who)
            if before not in ("", who.split()[0]):
                delete_deflated(directory)  # the collector would refuse it under the new name
        except shared_files.NotOurs as error:
            raise ConfigError(f"spool.directory: {error}") from error
        except BlockingIOError:
            holder, _ = _holder(directory)
            other = f"the agent of {holder}" if holder else "another agent"
            raise ConfigError(
                f"spool.directory: {other} runs in {directory}; stop it, or name another"
            ) from None
        except PermissionError as error:
            raise ConfigError(
                f"spool.directory: {error}; name one that this user may write"
            ) from error
        except OSError as error:
            if error.errno not in _BROKEN_DISK:
                raise ConfigError(f"spool.directory: {error}; name another") from error
            log.warning("spool not locked, going on directory=%s reason=%s", directory, error)
        yield


def _check_persist(directory: str | None) -> None:
    """ConfigError if somebody else may write there; one that is missing is made when needed."""
    try:
        if directory is not None:
            shared_files.check_own(directory)
    except shared_files.NotOurs as error:
        raise ConfigError(f"spool.persist_dir: {error}") from error
    except OSError as error:
        log.debug("spool.persist_dir not looked at reason=%s", error)


class _OtherAgent(ConfigError):
    """The agent that runs there is another router's, or uses another broker."""


def _refuse_beside_agent(directory: str, router: str, where: str) -> None:
    """ConfigError if an agent runs, or may run, on this spool.

    Nothing is created: an installer checks as root, and the agent could not write what root left.
    """
    try:
        with open(shared_files.open_found(os.path.join(directory, LOCK)), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError:
        holder, at = _holder(directory)
        if holder not in ("", router):
            raise _OtherAgent(
                f"spool: the agent of {holder} runs in {directory}; restart it if that is this"
                " router's old name, else name another spool.directory"
            ) from None
        if at not in ("", where):
            raise _OtherAgent(
                f"login: not tried at {where}: the agent that runs in {directory} uses {at}; stop"
                " it and check again, or restart it"
            ) from None
        raise ConfigError(
            f"an agent runs in {directory}; its log shows its state; to try them, stop it"
        ) from None
    except OSError as error:
        raise ConfigError(f"spool.directory: {error}; check as root or as its user") from error


def _lock(file: IO[str], who: str) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    file.truncate(0)
    # Not through the file's buffer, which would be written again, to a full disk, at its close.
    os.write(file.fileno(), f"{os.getpid()} {who}\n".encode())


def _holder(directory: str) -> tuple[str, str]:
    """The router and the broker of the agent that wrote the lock; empty if an older one did."""
    descriptor = shared_files.open_found(os.path.join(directory, LOCK))
    with open(descriptor, encoding="ascii", errors="replace") as file:
        _, router, at = (*file.readline().split(), "", "", "")[:3]
        return router, at


@contextmanager
def _plainly() -> Iterator[None]:
    """What the operator can correct is printed in one line, without a traceback."""
    try:
        yield
    except ConfigError as error:
        sys.exit(f"Error: {error}")


def _check_chain(
    settings: Config, clock: Clock, endpoint: Endpoint, sources: Sequence[Source]
) -> bool:
    """Login, publish, ack: with a sample of a run of its own, unless an agent is connected.

    The run is no start of the agent, so nothing of it is published on `status`: the collector would
    take its end for an outage.
    """
    from titik_agent import check

    try:
        _refuse_beside_agent(settings.spool.directory, settings.router, endpoint.where)
    except _OtherAgent as error:
        print(f"FAIL  {error}")
        return False
    except ConfigError as error:
        print(f"--    login, publish, ack: not tried: {error}")
        return True
    spool, run_id = Spool(None), _new_run()
    publisher = _publisher(settings, run_id, clock, spool, endpoint.where, announce=False)
    connector = Connector(publisher, partial(Link, endpoint), Backoff(SystemChance()))
    sampler = Sampler(settings.router, run_id, clock, spool, sources)
    with check.lines_before():
        sample, payload = sampler.take()
    spool.append(sample.run, sample.seq, payload)
    return check.chain(connector, spool, publisher.life, print)
