"""Where a notifier is put together: its lanes, and how it reaches store and broker."""

import logging
from pathlib import Path

from titik_collector.broker_setup import login
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.config.model import ENGINEER, Config, reader_of
from titik_collector.limits import MAX_PASSWORD_FILE
from titik_collector.notify.all_lanes import ReceiverLanes
from titik_collector.notify.beat_listener import BeatListener
from titik_collector.notify.heartbeat import Heart
from titik_collector.notify.ledger import Ledger
from titik_collector.notify.notifier import Notifier
from titik_collector.notify.outside_watch import OutsideWatch
from titik_collector.notify.report_outbox import ReportOutbox
from titik_collector.notify.report_watch import ReportWatch
from titik_collector.notify.store_watch import StoreWatch
from titik_collector.timeline import server_clock
from titik_collector.wording.mendable import Mendable
from titik_mqtt.endpoint import Endpoint, Tls

log = logging.getLogger(__name__)


def notifier(settings: Config, password_file: Path | None = None) -> Notifier:
    """All of it, begun; StoreError if nothing can be kept of what is delivered."""
    listener = _listener(settings, password_file)
    store = StoreWatch(settings)
    store.look()  # it has the time by which the ledger reads back
    heart = Heart(settings.heartbeat)
    ledger = Ledger(settings.page_store, store.now_ms())
    reports = ReportOutbox(settings, ReportWatch(settings.page_store))
    lanes = ReceiverLanes(settings, ledger, store.now_ms, reports)
    made = Notifier(settings, ledger, lanes, store, listener, heart, reports)
    lanes.start()
    if listener is not None:
        listener.start()
    heart.start()
    return made


def watch(settings: Config, path: str, silent_s: float) -> OutsideWatch:
    """That of a second machine; `path` is that of a sign."""
    ledger = Ledger(settings.page_store, server_clock.wall_ms(), is_needed=False)
    lanes = ReceiverLanes(settings, ledger, server_clock.wall_ms)
    lanes.start()
    return OutsideWatch(lanes, path, silent_s)


def _listener(settings: Config, password_file: Path | None) -> BeatListener | None:
    """None where the broker's login cannot be read; messages go out all the same."""
    try:
        return BeatListener(door(settings, password_file), settings.collector.id)
    except (Mendable, OSError) as error:
        log.warning("the collector's beat is not heard, no heartbeat is sent reason=%s", error)
        return None


def door(settings: Config, password_file: Path | None) -> Endpoint:
    """Where the beat is heard: at the engineers' listener as an engineer, if we have the broker."""
    if settings.broker.directory is None:
        found = login.login(settings)
        return found if password_file is None else _with_password(found, password_file)
    folder = BrokerFolder.open(settings.broker.directory)
    ca_file = str(folder.path / "tls" / "ca.crt")
    engineers = folder.settings.engineers
    if not engineers:
        raise BrokerError(f"{folder.path}: has no engineer; titik engineer add {ENGINEER}")
    user = reader_of(engineers)
    made = Endpoint(
        host=login.readers_host(settings, folder),
        port=folder.ports.engineer,
        username=user,
        password=None if password_file is not None else folder.password(user),
        # An address of this machine, which need not be in the certificate.
        tls=None if folder.settings.host is None else Tls(ca_file, check_hostname=False),
    )
    return made if password_file is None else _with_password(made, password_file)


def _with_password(found: Endpoint, file: Path) -> Endpoint:
    text = file.read_text(encoding="utf-8")[:MAX_PASSWORD_FILE].strip()
    return found._replace(password=text)
