"""`titik alerts`: what is wrong, and below it what people would get."""

import json
from pathlib import Path
from typing import cast

import click
from click.core import ParameterSource

from titik_collector.alerts.alert import AlertSubject, Kind, Notification
from titik_collector.commands import options, plainly, show
from titik_collector.config import model
from titik_collector.config.alert_tables import KINDS
from titik_collector.config.model import Config
from titik_collector.desk import naming
from titik_collector.languages.language import language
from titik_collector.notify import choosing, composing
from titik_collector.queries import alert_list, alert_trial
from titik_collector.queries.alert_trial import Trial
from titik_collector.timeline import server_clock
from titik_collector.wording import when

_ROUTER, _SITE = "NAME is a router", "NAME is a place"
_WIDE = "NAME is the city, provider:NAME or district:NAME"


@click.group(name="alerts", invoke_without_command=True)
@options.CONFIG
@options.since(model.LIST_SINCE)
@options.UTC
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def alerts_command(
    context: click.Context, file: Path, since: str, utc: bool, as_json: bool
) -> None:
    """What is wrong now, and what was.

    Without a command: incidents that go on, and those that ended lately. `titik ack NO.`
    acknowledges one.
    """
    if context.invoked_subcommand is not None:
        if context.get_parameter_source("file") is ParameterSource.COMMANDLINE:
            raise click.UsageError("write --config after the command, at the end")
        return
    with options.opened(file) as (settings, db):
        now_ms, zone = server_clock.shown_ms(db), settings.city.timezone
        start_ms = options.read_time(settings, "--since", since, now_ms)
        options.check_order(since, start_ms, "now", now_ms)
        found = alert_list.lately(db, start_ms)
    if as_json:
        click.echo(json.dumps(alert_list.document(found, now_ms), indent=1))
        return
    from titik_collector.screens import alert_screen

    show(alert_screen.render(found, None if utc else zone, now_ms))


@alerts_command.command("test")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name", required=False)
@click.option("--dry", is_flag=True, help="Only print; the only way there is.")
@click.option("--at", default=model.UNTIL, help="When it begins: a date or time of the city.")
@options.CONFIG
def test(kind: str, name: str | None, dry: bool, at: str, file: Path) -> None:
    """Print who would get which message if NAME had this KIND for three hours.

    NAME is what `titik silence add` takes; of the server it is left out.
    """
    if not dry:
        remedy = "add --dry; to send a message: titik notify test RECEIVER"
        raise click.UsageError(f"nothing is sent by this command; {remedy}")
    with plainly():
        settings = model.load(file)
        subject = _subject(settings, cast(Kind, kind), name)
        now_ms = server_clock.shown_ms(None)
        from_ms = options.read_time(settings, "--at", at, now_ms)
        found = alert_trial.tried(settings, Trial(cast(Kind, kind), subject, from_ms))
    if not found:
        click.echo("nobody gets a message of its own: it is in the digest, or no route has it")
    for one in found:
        click.echo(_line(settings, one))


def _subject(settings: Config, kind: Kind, name: str | None) -> AlertSubject:
    if kind in alert_trial.UNTRIED:
        why = "depends on what happens in time; it cannot be tried"
        raise click.BadParameter(f"{kind} {why}", param_hint="KIND")
    if kind in alert_trial.OF_SERVER:
        return AlertSubject("server", settings.collector.id)
    subject = naming.alerts(settings, name or naming.CITY).subject
    if kind == "group-outage":
        fits, remedy = subject.scope in ("city", "group"), _WIDE
    elif kind in alert_trial.OF_ROUTER:
        fits, remedy = subject.scope == "router", _ROUTER
    else:
        fits, remedy = subject.scope == "site", _SITE
    if not fits:
        raise click.BadParameter(f"of {kind} {remedy}", param_hint="NAME")
    return subject


def _line(settings: Config, one: Notification) -> str:
    given = {receiver.name: receiver.language for receiver in settings.receiver}
    writing = composing.Writing(
        language=language(given.get(one.receiver) or settings.web.language),
        zone=settings.city.timezone,
        city=settings.city.name,
    )
    waiting = choosing.Waiting(choosing.key_of("store", one), one, 0, one.due_ms)
    composed = composing.compose(choosing.Choice("single", (waiting,)), writing, one.due_ms)
    return f"{when.show(one.due_ms, settings.city.timezone)} {one.receiver}: {composed.subject}"
