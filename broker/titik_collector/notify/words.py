"""What messages say of each kind of alert, as texts with holes; `languages` has their translations.

Rule: where and since when stand in the first line. What to do stands in the second, if it is known.
"""

from typing import NamedTuple

from titik_collector.alerts.alert import AlertSubject, Kind, What
from titik_collector.languages.codes import marked, marked_many


class KindWords(NamedTuple):
    """One kind."""

    firing: str
    resolved: str
    short: str  # in a list of what is wrong
    advice: str | None = None


WORDS: dict[Kind, KindWords] = {
    "site-offline": KindWords(
        marked("{where} is offline since {since} ({length})"),
        marked("{where} is online again since {end}, after {length}"),
        marked("offline"),
    ),
    "router-offline": KindWords(
        marked("Router {where} is offline since {since} ({length})"),
        marked("Router {where} is online again since {end}, after {length}"),
        marked("offline"),
    ),
    "group-outage": KindWords(
        marked("{where}: {down} places are offline since {since} ({length})"),
        marked("{where}: {down} places are online again since {end}, after {length}"),
        marked("offline"),
    ),
    "no-internet": KindWords(
        marked("{where} has no internet since {since} ({length})"),
        marked("{where} has internet again since {end}, after {length}"),
        marked("no internet"),
    ),
    "radio-stuck": KindWords(
        marked("Nobody uses the Wi-Fi of {where} since {since} ({length}), though many usually do"),
        marked("The Wi-Fi of {where} is used again since {end}, after {length}"),
        marked("nobody uses the Wi-Fi"),
        marked("Restart the router; if that does not help, look at it there."),
    ),
    "wifi-unreadable": KindWords(
        marked("The Wi-Fi of {where} cannot be read since {since} ({length})"),
        marked("The Wi-Fi of {where} can be read again since {end}, after {length}"),
        marked("the Wi-Fi cannot be read"),
    ),
    "crowded": KindWords(
        marked("{where} is crowded since {since} ({length})"),
        marked("{where} is no longer crowded since {end}, after {length}"),
        marked("crowded"),
    ),
    "uplink-full": KindWords(
        marked("The line of {where} is full since {since} ({length})"),
        marked("The line of {where} has room again since {end}, after {length}"),
        marked("the line is full"),
    ),
    "hot": KindWords(
        marked("Router {where} is too hot since {since} ({length})"),
        marked("Router {where} is no longer too hot since {end}, after {length}"),
        marked("too hot"),
        marked("Give it air or shade."),
    ),
    "samples-lost": KindWords(
        marked("{where} lost data for good, since {since}"),
        marked("{where} loses no more data since {end}"),
        marked("lost data"),
    ),
    "flapping": KindWords(
        marked("{where} goes off and comes back again and again since {since}"),
        marked("{where} is stable again since {end}"),
        marked("goes off and comes back"),
    ),
    "collector-down": KindWords(
        marked("The Titik server of {where} does not work since {since} ({length})"),
        marked("The Titik server of {where} works again since {end}, after {length}"),
        marked("the server does not work"),
        marked("On the server: systemctl status titik-collector"),
    ),
    "broker-down": KindWords(
        marked("The Titik server of {where} cannot reach its broker since {since} ({length})"),
        marked("The Titik server of {where} reaches its broker again since {end}, after {length}"),
        marked("the server cannot reach its broker"),
        marked("On the server: systemctl status titik-broker"),
    ),
    "store-failing": KindWords(
        marked("The Titik server of {where} cannot store data since {since} ({length})"),
        marked("The Titik server of {where} stores data again since {end}, after {length}"),
        marked("the server cannot store data"),
        marked("Often the disk is full. On the server: titik status"),
    ),
    "disk-low": KindWords(
        marked("The disk of the Titik server of {where} is nearly full since {since}"),
        marked("The disk of the Titik server of {where} has room again since {end}"),
        marked("the disk is nearly full"),
        marked("Free it before no more data can be stored."),
    ),
    "certificate-ending": KindWords(
        marked("A certificate of the Titik server of {where} ends soon"),
        marked("The certificates of the Titik server of {where} are renewed"),
        marked("a certificate ends soon"),
        marked("On the server: titik broker check"),
    ),
    "backup-missing": KindWords(
        marked("There is no backup of {where}"),
        marked("{where} has a backup since {end}"),
        marked("there is no backup"),
        marked("On the server: titik status"),
    ),
    "backup-old": KindWords(
        marked("The newest backup of {where} is too old since {since}"),
        marked("{where} has a new backup since {end}"),
        marked("the newest backup is too old"),
        marked("On the server: systemctl status titik-backup"),
    ),
    "backup-unverified": KindWords(
        marked("Nobody knows whether the backup of {where} is good"),
        marked("The backup of {where} is known to be good since {end}"),
        marked("no backup is known to be good"),
        marked("On the server: titik backup verify"),
    ),
    "delivery-failing": KindWords(
        marked("Messages to {where} do not arrive since {since} ({length})"),
        marked("Messages to {where} arrive again since {end}, after {length}"),
        marked("messages do not arrive"),
        marked("On the server: titik notify test {name}"),
    ),
    "line-down": KindWords(
        marked("The internet line of the Titik server of {where} is down since {since} ({length})"),
        marked(
            "The internet line of the Titik server of {where} is back since {end}, after {length}"
        ),
        marked("the server's internet line is down"),
    ),
    "copied-city": KindWords(
        marked("A copy of {where} took over its broker at {since}"),
        marked("{where} has its broker again since {end}"),
        marked("a copy took over the broker"),
        marked("Stop the copy. On the server: titik status"),
    ),
    "store-alone": KindWords(
        marked("The data of {where} is on one server alone since {since} ({length})"),
        marked("The data of {where} is on two servers again since {end}, after {length}"),
        marked("the data is on one server alone"),
        marked("On the server: titik status"),
    ),
    "upgrade-halted": KindWords(
        marked("The upgrade of the routers of {where} halted by itself at {since}"),
        marked("The upgrade of the routers of {where} goes on or was ended at {end}"),
        marked("the upgrade of the routers halted, because too many failed"),
        marked("Which routers and why: titik fleet"),
    ),
    "unknown-router": KindWords(
        marked("A router that is not registered reports in {where} since {since}"),
        marked("No unregistered router reports in {where} since {end}"),
        marked("a router that is not registered reports"),
        marked("On the server: titik status"),
    ),
}
OF_SERVER: dict[Kind, KindWords] = {
    "flapping": KindWords(
        marked("The Titik server of {where} loses its connection again and again since {since}"),
        marked("The connection of the Titik server of {where} is stable again since {end}"),
        marked("the server loses its connection again and again"),
    ),
}
NOTES = {
    "server-unstable": marked("The server's own connection comes and goes, too."),
    "line-untested": marked(
        "It may be the internet line of the server. Titik tests it where line is set in [alerts]."
    ),
}
OF_GROUP = marked("{where}: {down} of {places} places are offline since {since} ({length})")
# Before the first line.
BEFORE: dict[What, str] = {
    "repeat": marked("Still: {text}"),
    "escalation": marked("Nobody has acknowledged: {text}"),
}
AGAIN = marked("Again: {text}")
LATE = marked("{text} (delayed {length})")
VISITORS = marked_many(
    "%(num)d device was connected before.", "%(num)d devices were connected before."
)
CAUSE = marked("Cause: {cause}.")
NO_CAUSE = marked("The cause is not known yet.")
HANDLED = marked("{name} handles it.")
VALUE_HOT = marked("Measured: {value} °C.")
HIDDEN = marked_many("and %(num)d more", "and %(num)d more")
MORE = marked_many(
    "%(num)d more message in this hour",
    "%(num)d more messages in this hour",
)
ALL_WELL = marked("All well: {up} of {places} places are online")
NOT_ALL = marked("{up} of {places} places are online")
SINCE_DIGEST = marked_many(
    "%(num)d incident since the last summary.", "%(num)d incidents since the last summary."
)
GO_ON = marked_many("%(num)d of them goes on.", "%(num)d of them go on.")
OVER = marked("over")
TEST = marked("Test message of Titik in {where}")
TEST_MORE = marked("If you read this, messages arrive.")


def of(kind: Kind, subject: AlertSubject) -> KindWords:
    """The words for a kind of alert; the server has its own of some."""
    if subject.scope == "server" and kind in OF_SERVER:
        return OF_SERVER[kind]
    return WORDS[kind]
