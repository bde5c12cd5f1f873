"""All that one look has before it: what is live, what people entered, and what is configured."""

from collections.abc import Mapping
from dataclasses import dataclass

from titik_collector.alerts import faults, rules
from titik_collector.alerts.alert import AlertSubject, Kind
from titik_collector.alerts.alert_settings import AlertSettings
from titik_collector.alerts.book import ServerFault
from titik_collector.alerts.desk_facts import DeskFacts
from titik_collector.alerts.facts import LiveFacts, LiveRouter, LiveSite
from titik_collector.alerts.rules import PlaceNow, Rule


@dataclass(frozen=True, slots=True)
class Present:
    """What a look sees, by name."""

    live: LiveFacts
    desk: DeskFacts
    settings: AlertSettings
    rules: Mapping[Kind, Rule]
    places: Mapping[str, PlaceNow]
    routers: Mapping[str, LiveRouter]
    fault: ServerFault | None
    is_excused: bool  # what routers and sites seem to do may be the server's fault
    is_unstable: bool  # but the server goes so often that some of it is known to be theirs

    @property
    def at_ms(self) -> int:
        """When the look is."""
        return self.live.at_ms

    @property
    def is_silent(self) -> bool:
        """Whether nobody gets a message about routers and sites."""
        return self.is_excused and not self.is_unstable

    def site_of(self, subject: AlertSubject) -> LiveSite | None:
        """The site that it is or stands at; of what is wider or gone, none."""
        name = subject.name
        if subject.scope == "router":
            router = self.routers.get(name)
            name = "" if router is None else router.site
        elif subject.scope != "site":
            return None
        place = self.places.get(name)
        return None if place is None else place.site

    def title_of(self, subject: AlertSubject) -> str:
        """Its name for people."""
        site = self.site_of(subject)
        if subject.scope == "group":
            return subject.name.partition(":")[2]
        if subject.scope in ("city", "server"):
            return self.live.city_title
        if site is None:
            return subject.name
        return site.title if subject.scope == "site" else f"{site.title}, {subject.name}"


def see(
    live: LiveFacts, desk: DeskFacts, settings: AlertSettings, fault: ServerFault | None
) -> Present:
    """What a look has before it."""
    return Present(
        live,
        desk,
        settings,
        rules.rules_of(settings.rules),
        rules.places_of(live),
        {one.name: one for one in live.routers},
        fault,
        faults.excuses(fault, live),
        faults.is_unstable(fault, live.at_ms),
    )
