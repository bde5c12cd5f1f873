"""What pages call alerts, in English; each language has its own words."""

from titik_collector.alerts.alert import AlertSubject, Kind
from titik_collector.languages.codes import marked

KIND_TITLES: dict[Kind, str] = {
    "site-offline": marked("place down"),
    "router-offline": marked("router down"),
    "group-outage": marked("several places down"),
    "no-internet": marked("no internet"),
    "radio-stuck": marked("no device for too long"),
    "wifi-unreadable": marked("the Wi-Fi cannot be read"),
    "crowded": marked("crowded"),
    "uplink-full": marked("line full"),
    "hot": marked("too hot"),
    "samples-lost": marked("reports lost"),
    "flapping": marked("comes and goes"),
    "collector-down": marked("the collector is down"),
    "broker-down": marked("the broker is down"),
    "store-failing": marked("nothing can be stored"),
    "disk-low": marked("the disk is almost full"),
    "certificate-ending": marked("a certificate ends soon"),
    "backup-missing": marked("there is no backup"),
    "backup-old": marked("the backup is too old"),
    "backup-unverified": marked("no backup is known to be good"),
    "delivery-failing": marked("messages do not go out"),
    "line-down": marked("the server's line is down"),
    "copied-city": marked("two collectors of one city"),
    "store-alone": marked("the data is on one server alone"),
    "upgrade-halted": marked("the upgrade halted"),
    "unknown-router": marked("unknown router"),
}
SEVERITIES = {
    "critical": marked("critical"),
    "warning": marked("needs attention"),
    "info": marked("for information"),
}
# What became of an alert.
CHANGES = {
    "pending": marked("noticed"),
    "firing": marked("began"),
    "recovering": marked("is well again, for now"),
    "inactive": marked("is over"),
}
# What became of a message.
OUTCOMES = {
    "delivered": marked("delivered"),
    "failed": marked("failed, is tried again"),
    "refused": marked("refused"),
    "ended": marked("given up after a day"),
    "expired": marked("too old to be sent"),
    "merged": marked("part of another message"),
    "capped": marked("held back: too many in an hour"),
}
SERVER = "Server"
DAYS = {
    "mon": marked("Monday"),
    "tue": marked("Tuesday"),
    "wed": marked("Wednesday"),
    "thu": marked("Thursday"),
    "fri": marked("Friday"),
    "sat": marked("Saturday"),
    "sun": marked("Sunday"),
}


def address_of(subject: AlertSubject) -> str | None:
    """Its screen; None: it has none."""
    if subject.scope in ("site", "router") and subject.name:
        return f"/{subject.scope}/{subject.name}"
    return "/" if subject.scope == "city" else None
