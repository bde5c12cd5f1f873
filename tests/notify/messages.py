"""Messages for tests."""

from titik_collector.alerts.alert import AlertSubject, Member, Message, Notification, What
from titik_collector.notify.composed import Composed, MessageKey

NOON_MS = 1_795_925_100_000  # 29 November 2026 12:05 WITA
SITE = AlertSubject("site", "taman-tirosa")
DOWN = Message(
    what="firing",
    kind="site-offline",
    severity="critical",
    subject=SITE,
    title="Taman Tirosa",
    from_ms=NOON_MS - 720_000,
    members=(Member(SITE, "Taman Tirosa", NOON_MS - 720_000, clients_before=17),),
)


def notification(
    number: int = 7,
    what: What = "firing",
    due_ms: int = NOON_MS,
    receiver: str = "it",
    incident: int | None = 3,
    is_uncapped: bool = False,
) -> Notification:
    """One that is due at noon."""
    message = DOWN if what == "firing" else _changed(what)
    return Notification(
        number=number,
        incident=incident,
        receiver=receiver,
        made_ms=due_ms,
        due_ms=due_ms,
        message=message,
        is_uncapped=is_uncapped,
    )


def _changed(what: What) -> Message:
    from dataclasses import replace

    return replace(DOWN, what=what, to_ms=NOON_MS if what == "resolved" else None)


def composed(receiver: str = "it") -> Composed:
    """A message as a channel gets it."""
    return Composed(
        key=MessageKey("store", 7, NOON_MS),
        incident=3,
        thread="incident-3",
        city="kupang",
        receiver=receiver,
        message=DOWN,
        subject="🔴 Taman Tirosa mati sejak 11.53 WITA (12 m)",
        lines=("🔴 Taman Tirosa mati sejak 11.53 WITA (12 m)", "17 perangkat saat itu <b>."),
        rows=(("Taman Tirosa", "12 m"),),
        link="https://titik.example/alerts/3",
        at_ms=NOON_MS,
        since="2026-11-29T11:53:00+08:00",
    )
