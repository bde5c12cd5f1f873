"""When a message may wake somebody: the hours of a day in the city's time zone."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert_settings import AlertSettings, Hours, Rota

DAY_MINUTES = 24 * 60


def local(at_ms: int, zone: ZoneInfo) -> datetime:
    """The moment as the city's clocks have it."""
    return datetime.fromtimestamp(at_ms // 1000, zone)


def is_within(at_ms: int, hours: Hours, zone: ZoneInfo) -> bool:
    """Whether it is in these hours of the day; those that begin and end at once are none."""
    moment = local(at_ms, zone)
    minute = moment.hour * 60 + moment.minute
    if hours.from_min <= hours.to_min:
        return hours.from_min <= minute < hours.to_min
    return minute >= hours.from_min or minute < hours.to_min


def next_at(at_ms: int, minute: int, zone: ZoneInfo) -> int:
    """When the clocks next show this minute of the day; now, if they do."""
    today = minute_of(at_ms, minute, zone)
    return today if today >= at_ms else minute_of(at_ms, minute, zone, days=1)


def minute_of(at_ms: int, minute: int, zone: ZoneInfo, days: int = 0) -> int:
    """This minute of the day in which the moment is, or of a day after it."""
    day = local(at_ms, zone).date() + timedelta(days=days)
    hour, minutes = divmod(minute % DAY_MINUTES, 60)
    moment = datetime(day.year, day.month, day.day, hour, minutes, tzinfo=zone)
    return round(moment.timestamp()) * 1000


def night(settings: AlertSettings) -> Hours:
    """When warnings wait."""
    return Hours(settings.quiet.from_min, settings.morning_min)


def on_duty(rota: Rota, at_ms: int, zone: ZoneInfo) -> str:
    """Whose week it is."""
    days = (local(at_ms, zone).date() - local(rota.monday_ms, zone).date()).days
    return rota.receivers[days // 7 % len(rota.receivers)]
