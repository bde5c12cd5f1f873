"""The topics of alerts: retained while one fires, and cleared when it is over.

Rule: on each connect all of them are published again. Those that ended while nobody could clear
them are cleared then, by the history of alerts.
Rule: an outage of a group is the city's, because a provider's name is part of no topic.
"""

from collections.abc import Iterable, Mapping

from titik_collector.alerts import flapping, muting
from titik_collector.alerts.alert import Alert, AlertKey, Kind
from titik_collector.alerts.alert_settings import AlertSettings
from titik_collector.alerts.book import AlertBook
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.facts import LiveFacts
from titik_collector.alerts.present import Present, see
from titik_collector.broker_link.inbox import Outbox
from titik_wire import codec, topics
from titik_wire.city_messages import AlertNow
from titik_wire.limits import MAX_TITLE

SHOWN = ("firing", "recovering")
# In Indonesian and English, as in the messages to people.
SHORT: Mapping[Kind, tuple[str, str]] = {
    "site-offline": ("mati", "offline"),
    "router-offline": ("mati", "offline"),
    "group-outage": ("mati", "offline"),
    "no-internet": ("tidak ada internet", "no internet"),
    "radio-stuck": ("tidak ada yang memakai Wi-Fi", "nobody uses the Wi-Fi"),
    "wifi-unreadable": ("Wi-Fi tidak terbaca", "the Wi-Fi cannot be read"),
    "crowded": ("penuh sesak", "crowded"),
    "uplink-full": ("jalur internet penuh", "the line is full"),
    "hot": ("terlalu panas", "too hot"),
    "samples-lost": ("data hilang", "lost data"),
    "flapping": ("mati-hidup terus", "goes off and comes back"),
    "collector-down": ("server tidak bekerja", "the server does not work"),
    "broker-down": ("server tidak mencapai broker", "the server cannot reach its broker"),
    "store-failing": ("server tidak bisa menyimpan data", "the server cannot store data"),
    "disk-low": ("disk hampir penuh", "the disk is nearly full"),
    "certificate-ending": ("sertifikat segera berakhir", "a certificate ends soon"),
    "backup-missing": ("tidak ada cadangan", "there is no backup"),
    "backup-old": ("cadangan terakhir terlalu lama", "the newest backup is too old"),
    "backup-unverified": ("cadangan belum terbukti baik", "no backup is known to be good"),
    "delivery-failing": ("pesan tidak sampai", "messages do not arrive"),
    "line-down": ("jalur internet server putus", "the server's internet line is down"),
    "copied-city": ("salinan mengambil alih broker", "a copy took over the broker"),
    "store-alone": ("data hanya di satu server", "the data is on one server alone"),
    "upgrade-halted": ("pemutakhiran berhenti", "the upgrade halted"),
    "unknown-router": ("router tidak terdaftar", "a router that is not registered reports"),
}
OF_SERVER = "sambungan server putus-sambung", "the server's connection comes and goes"


class AlertTopics:
    """Remembers what is published on this connection."""

    def __init__(self, outbox: Outbox, city: str) -> None:
        self._outbox = outbox
        self._city = city
        self._published: dict[str, AlertNow] = {}
        self._left: set[str] = set()  # what the broker may still hold

    def begin(self, ended: Iterable[AlertKey]) -> None:
        """A new connection: nothing is known of what the broker holds.

        `ended` fired at some time; the next report clears those that do not fire now.
        """
        self._published.clear()
        self._left = {self._topic(key) for key in ended}

    def report(
        self, book: AlertBook, live: LiveFacts, desk: DeskFacts, settings: AlertSettings
    ) -> None:
        """Publish what changed since the last report."""
        shown = [one for one in book.alerts.values() if one.phase in SHOWN]
        if not shown and not self._published and not self._left:
            return
        present = see(live, desk, settings, book.fault)
        now: dict[str, AlertNow] = {}
        for one in sorted(shown, key=lambda alert: alert.since_ms, reverse=True):
            now[self._topic(one.key)] = self._message(one, book, present)  # the first one stays
        self.publish(now)

    def publish(self, now: Mapping[str, AlertNow]) -> None:
        """These and no others are so, by topic."""
        for topic, message in now.items():
            if message != self._published.get(topic):
                self._outbox.publish(topic, codec.encode(message), retain=True)
        for topic in (self._left | self._published.keys()) - now.keys():
            self._outbox.publish(topic, b"", retain=True)
        self._published, self._left = dict(now), set()
        self._outbox.flush()

    def _topic(self, key: AlertKey) -> str:
        scope, name = key.subject
        if scope in ("group", "city"):
            return topics.alert("city", self._city, key.kind)
        return topics.alert(scope, name, key.kind)

    def _message(self, alert: Alert, book: AlertBook, present: Present) -> AlertNow:
        subject, kind = alert.key.subject, alert.key.kind
        scope, name = ("city", self._city) if subject.scope in ("group", "city") else subject
        incident = None if alert.incident is None else book.incidents.get(alert.incident)
        rule = present.rules.get(kind)
        severity = "warning" if rule is None else rule.severity
        site = present.site_of(subject)
        acks = (one.incident for one in present.desk.acks)
        short = OF_SERVER if flapping.is_of_server(alert.key) else SHORT[kind]
        return AlertNow(
            scope=scope,  # type: ignore[arg-type]  # a group's is the city
            name=name,
            kind=kind,
            severity=severity if incident is None else incident.severity,
            state="firing" if alert.phase == "firing" else "recovering",
            since=alert.since_ms,
            began=alert.since_ms if alert.from_ms is None else alert.from_ms,
            known=alert.known,
            acked=alert.incident is not None and alert.incident in acks,
            silenced=muting.is_silenced(alert.key, site, present)
            or muting.is_in_maintenance(subject, site, present),
            title_id=_title(present.title_of(subject), short[0]),
            title_en=_title(present.title_of(subject), short[1]),
            incident=alert.incident,
            value=alert.value,
        )


def _title(where: str, what: str) -> str:
    """A long name is cut, so that what is wrong stays."""
    plain = "".join(one if one.isprintable() else "?" for one in where)
    return f"{plain[: MAX_TITLE - len(what) - 2]}: {what}"
