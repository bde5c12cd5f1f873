"""The metrics as text, by prometheus_client: their names, labels and values.

Rule: a series is there only while its value is known. None has a time of its own, so Prometheus
marks it as stale when it is left out.
Rule: base units: bytes, seconds, shares of one.
Rule: labels come from the registry and from the rules alone, so their number has a bound. Versions
are the routers' own words: the most frequent ones have a name, and the others are one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from titik_collector.limits import MAX_VERSION_LABELS
from titik_collector.metrics.growing import RouterTotals
from titik_collector.metrics.measured import REFUSED, STORED, Measured, MeasuredCity
from titik_collector.queries import settings_status
from titik_collector.queries.status import RouterStatus, SiteStatus

Value = float | None
STATES = ("online", "silent", "offline", "unknown")
ROUTER = ("router", "site")
SITE = ("site",)
ALERT = ("kind", "scope", "subject", "severity")
ALERTS = "Alerts that fire and that messages are wanted about; a group is one."


def text(measured: Measured) -> bytes:
    """In the text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_CityCollector(measured))
    return generate_latest(registry)


class _CityCollector(Collector):
    """Gives the metrics of one answer."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Metric]:
        """Those without a series are left out."""
        for metric in _all(self._measured):
            if metric.samples:
                yield metric


def _all(measured: Measured) -> Iterator[Metric]:
    yield _one("titik_build_info", "Version of Titik that answers.", 1, version=measured.version)
    yield _one("titik_web_sse_clients", "Open streams of live figures.", measured.streams)
    yield _one(
        "titik_broker_connected",
        "Whether the collector is connected to its broker.",
        _number(measured.is_connected),
    )
    age_ms = measured.beat_age_ms
    yield _one(
        "titik_collector_beat_age_seconds",
        "Time since the collector last wrote a sign of life into the store.",
        None if age_ms is None else age_ms / 1000,
    )
    alerts = GaugeMetricFamily("titik_alert_firing", ALERTS, labels=ALERT)
    for one in measured.alerts:
        alerts.add_metric(one, 1)
    yield alerts
    if measured.city is not None:
        yield from _of_samples(measured.city)
        yield _versions(measured.city)
        yield from _of_sites(measured.city)
        yield from _of_routers(list(measured.city.status.routers()))
        yield _of_settings(measured.city.status.routers())
        yield from _counted(measured, list(measured.city.status.routers()))


def _of_samples(city: MeasuredCity) -> Iterator[Metric]:
    for name in (STORED, REFUSED):
        words = f"Samples of all routers that were {name} since the page began."
        yield CounterMetricFamily(f"titik_samples_{name}", words, value=city.settled[name])


def _versions(city: MeasuredCity) -> Metric:
    words = "Routers that reported this agent and firmware last."
    family = GaugeMetricFamily("titik_routers", words, labels=("version", "firmware"))
    found = city.status.versions()
    for one in found[:MAX_VERSION_LABELS]:
        family.add_metric((one.version, one.firmware or ""), one.routers)
    if others := sum(one.routers for one in found[MAX_VERSION_LABELS:]):
        family.add_metric(("other", "other"), others)
    return family


def _of_sites(city: MeasuredCity) -> Iterator[Metric]:
    def gauge(name: str, words: str, value: Callable[[SiteStatus], Value]) -> Metric:
        family = GaugeMetricFamily(f"titik_site_{name}", words, labels=SITE)
        for one in city.status.sites:
            if (known := value(one)) is not None:
                family.add_metric((one.name,), known)
        return family

    yield gauge("up", "Whether any router of the site is online.", lambda one: _up(one.now.state))
    yield gauge("clients", "Clients of the site now.", lambda one: one.now.clients)
    yield gauge(
        "capacity_clients",
        "Visitors that the site is meant for at once.",
        lambda one: city.capacity.get(one.name),
    )


def _of_routers(routers: Iterable[RouterStatus]) -> Iterator[Metric]:
    def gauge(name: str, words: str, value: Callable[[RouterStatus], Value]) -> Metric:
        family = GaugeMetricFamily(f"titik_router_{name}", words, labels=ROUTER)
        for one in routers:
            if (known := value(one)) is not None:
                family.add_metric(_labels(one), known)
        return family

    yield gauge("up", "Whether the router is online.", lambda one: _up(one.now.state))
    states = GaugeMetricFamily(
        "titik_router_state", "1 for the state of the router.", labels=(*ROUTER, "state")
    )
    for one in routers:
        for state in STATES:
            states.add_metric((*_labels(one), state), float(one.now.state == state))
    yield states
    yield gauge("clients", "Clients now.", lambda one: one.now.clients)
    yield gauge(
        "clients_active",
        "Clients that sent something within the last minute.",
        lambda one: one.now.active,
    )
    yield gauge(
        "wifi_down_bytes_per_second",
        "Sent to clients, now.",
        lambda one: _bytes(one.now.wifi_down_bps),
    )
    yield gauge(
        "wifi_up_bytes_per_second",
        "Received from clients, now.",
        lambda one: _bytes(one.now.wifi_up_bps),
    )
    yield gauge(
        "uplink_down_bytes_per_second",
        "Received from the internet, now.",
        lambda one: _bytes(one.now.uplink_down_bps),
    )
    yield gauge(
        "uplink_up_bytes_per_second",
        "Sent to the internet, now.",
        lambda one: _bytes(one.now.uplink_up_bps),
    )
    yield gauge(
        "sample_timestamp_seconds",
        "When the figures of now were taken, in seconds since 1970.",
        lambda one: one.now.at / 1000 if one.now.state == "online" and one.sample else None,
    )
    yield gauge(
        "coverage_ratio",
        "Share of the last hour that samples cover.",
        lambda one: one.line.coverage,
    )
    yield gauge(
        "spooled_samples",
        "Samples that the router still holds.",
        lambda one: one.line.spooled,
    )


def _of_settings(routers: Iterable[RouterStatus]) -> Metric:
    """Nothing while no router has any from a distance."""
    family = GaugeMetricFamily(
        "titik_settings_routers",
        "Routers by what became of the settings that they were sent.",
        labels=["state"],
    )
    counts = Counter(one.settings.state for one in routers if one.settings is not None)
    for state in settings_status.STATES if counts else ():
        family.add_metric([state], counts[state])
    return family


def _counted(measured: Measured, routers: Iterable[RouterStatus]) -> Iterator[Metric]:
    city = measured.city
    assert city is not None
    lost = CounterMetricFamily(
        "titik_router_lost_samples", "Samples that are lost, since the page began.", labels=ROUTER
    )
    for one in routers:
        lost.add_metric(_labels(one), city.lost[one.name])
    yield lost
    words = "whole minutes since the page began."
    for place, (name, what) in enumerate(
        (
            ("wifi_down", f"Sent to clients in {words}"),
            ("wifi_up", f"Received from clients in {words}"),
            ("uplink_down", f"Received from the internet in {words}"),
            ("uplink_up", f"Sent to the internet in {words}"),
        )
    ):
        family = CounterMetricFamily(f"titik_router_{name}_bytes", what, labels=ROUTER)
        for one in routers:
            found = measured.bytes.get(one.name)
            # While a router is away, bytes that stand still would be a zero that nobody knows.
            if found is not None and one.now.state == "online" and _is_known(found, name):
                family.add_metric(_labels(one), found.total[place])
        yield family


def _is_known(found: RouterTotals, name: str) -> bool:
    return found.is_wifi_known if name.startswith("wifi") else found.is_uplink_known


def _one(name: str, words: str, value: Value, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, words, labels=tuple(labels))
    if value is not None:
        family.add_metric(tuple(labels.values()), value)
    return family


def _labels(one: RouterStatus) -> tuple[str, str]:
    return one.name, one.site or ""


def _up(state: str) -> Value:
    return None if state == "unknown" else float(state == "online")


def _number(known: bool | None) -> Value:
    return None if known is None else float(known)


def _bytes(bps: int | None) -> Value:
    return None if bps is None else bps / 8
