"""The job that publishes each site as a device which Home Assistant discovers.

Rule: an entity is a field of the site's `now`. One that is absent is unknown there, never zero.
Rule: a device is available while a collector is online and the bridge to its broker stands. So no
figure stands still as if it were true.
Rule: devices of sites that are gone are cleared first. Where discovery is off all are, if there
were any once.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from titik_collector.broker_link.inbox import Outbox
from titik_collector.config.model import Config
from titik_collector.config.site_tables import Site
from titik_collector.store import registry_rows, settings
from titik_collector.store.database import Database
from titik_wire import __version__, topics

AT_ONCE = 10  # devices of 2 kB each: a reader who is slow loses none
# Where mosquitto's bridge reports whether it has its other end, at the broker of Home Assistant.
LINK = "titik/bridge/state"
STATES = ("online", "silent", "offline", "unknown")
ONLINE = "{{ {'online': 'ON', 'unknown': none}.get(value_json.state, 'OFF') }}"


class FigureEntity(NamedTuple):
    """A number of `now`, and how Home Assistant shows it."""

    name: str  # of the field
    title: str
    icon: str | None = None  # None: it is a rate


FIGURES = (
    FigureEntity("clients", "Clients", "mdi:account-multiple"),
    FigureEntity("active", "Active clients", "mdi:account-voice"),
    FigureEntity("wifi_down_bps", "Wi-Fi download"),
    FigureEntity("wifi_up_bps", "Wi-Fi upload"),
    FigureEntity("uplink_down_bps", "Internet download"),
    FigureEntity("uplink_up_bps", "Internet upload"),
)


@dataclass(eq=False)
class Discovery:
    """Knows what has to be published yet."""

    _db: Database
    _outbox: Outbox
    _config: Config
    _wanted: bool = False
    _waiting: deque[tuple[str, Site | None]] = field(default_factory=deque)  # None: clear it

    def change(self, config: Config) -> None:
        """The configuration was edited."""
        self._config = config
        self.begin()

    def begin(self) -> None:
        """What the broker has is not known."""
        self._wanted = True

    def due(self, _now: float) -> bool:
        """Whether anything has to be published."""
        return self._wanted or bool(self._waiting)

    def step(self, _budget_s: float) -> bool:
        """Some of it."""
        if self._wanted:
            self._waiting, self._wanted = deque(self._all()), False
        for _ in range(min(AT_ONCE, len(self._waiting))):
            name, site = self._waiting.popleft()
            payload = b"" if site is None else device(site, self._config)
            self._outbox.publish(topics.device(name), payload, retain=True)
        self._outbox.flush()
        return False

    def _all(self) -> list[tuple[str, Site | None]]:
        """What is cleared comes first."""
        db, is_on = self._db, self._config.homeassistant.discovery
        if not is_on and settings.number(db, "discovery") is None:
            return []
        if is_on:
            with db.transaction():
                settings.change(db, "discovery", 1)
        there = {one.name: one for one in self._config.site} if is_on else {}
        known = {*registry_rows.registered_sites(db), *registry_rows.removed_sites(db)}
        return [*((name, None) for name in sorted(known - there.keys())), *there.items()]


def device(site: Site, config: Config) -> bytes:
    """The payload, by the short names of Home Assistant's device discovery."""
    own = f"titik_site_{site.name}"
    page = config.web.url
    about = {"ids": [own], "name": site.title, "mf": "Titik", "mdl": "Hotspot"}
    origin = {"name": "titik", "sw": __version__}
    if page is not None:
        about["cu"], origin["url"] = f"{page}/site/{site.name}", f"{page}/"
    online = {"p": "binary_sensor", "name": "Online", "dev_cla": "connectivity", "val_tpl": ONLINE}
    state = {
        "p": "sensor",
        "name": "State",
        "dev_cla": "enum",
        "ops": list(STATES),
        "ent_cat": "diagnostic",
        "val_tpl": "{{ value_json.state }}",
    }
    parts: dict[str, dict[str, Any]] = {"online": online, "state": state}
    parts |= {one.name: _figure(one) for one in FIGURES}
    whole = {
        "dev": {**about, "sa": config.city.title},
        "o": origin,
        "avty": [
            {
                "t": topics.collector(config.collector.id),
                "val_tpl": "{{ value_json.state }}",
                "pl_avail": "online",
                "pl_not_avail": "offline",
            },
            {"t": LINK, "pl_avail": "1", "pl_not_avail": "0"},
        ],
        "avty_mode": "all",
        "stat_t": topics.now("site", site.name),
        "qos": 0,
        "cmps": {name: {**one, "uniq_id": f"{own}_{name}"} for name, one in parts.items()},
    }
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def _figure(one: FigureEntity) -> dict[str, object]:
    entity = {"p": "sensor", "name": one.title, "stat_cla": "measurement"}
    field_ = f"value_json.{one.name}"
    if one.icon is not None:
        shown = f"{{{{ {field_} | default(none) }}}}"
        return {**entity, "unit_of_meas": "clients", "ic": one.icon, "val_tpl": shown}
    mbit = f"{{{{ ({field_} / 1000000) | round(3) if {field_} is defined else none }}}}"
    rate = {"dev_cla": "data_rate", "unit_of_meas": "Mbit/s", "sug_dsp_prc": 2}
    return {**entity, **rate, "val_tpl": mbit}
