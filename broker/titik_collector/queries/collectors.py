"""Which collector holds the store and which stand by, in words."""

from zoneinfo import ZoneInfo

from titik_collector.config.model import Config
from titik_collector.languages.codes import marked
from titik_collector.store import collecting
from titik_collector.store.collecting import NOBODY, StoreCollectors
from titik_collector.store.database import Database
from titik_collector.wording import when

NO_STANDBY = marked(
    "no standby is ready, so nothing is stored once the collector's machine is gone; start one:"
    " systemctl start titik-collector"
)


def look(settings: Config, db: Database) -> StoreCollectors | None:
    """None of a store in a file, which one machine has, and of one that nobody waits for."""
    found = None if settings.store.url is None else collecting.read(db)
    return found if found != NOBODY else None


def line(found: StoreCollectors, zone: ZoneInfo) -> str:
    """For the foot of a screen."""
    text = "collector: nobody"
    if (holder := found.holder) is not None:
        since = when.show(holder.since_ms, zone)
        text = f"collector: process {holder.process} on {holder.machine} since {since}"
    for one in found.standbys:
        since = when.show(one.since_ms, zone)
        text += f"; standby: process {one.process} on {one.machine}, ready since {since}"
    return text
