"""`titik notify`: messages leave, and below it whether a receiver can be reached."""

import contextlib
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.config.model import Config, ConfigError
from titik_collector.config.receiver_tables import Receiver
from titik_collector.limits import MAX_LISTED, MAX_ROWS
from titik_collector.notify import (
    assembling,
    choosing,
    delivering_user,
    outside_watch,
    walking,
    webhook,
)
from titik_collector.notify.channel import Channel, channel_of
from titik_collector.notify.composed import Composed
from titik_collector.notify.report_outbox import key_of
from titik_collector.notify.undelivered import Undelivered
from titik_collector.own_state.systemd import Service
from titik_collector.registry.watch import ConfigWatch
from titik_collector.reports import period as periods
from titik_collector.reports import report_mail
from titik_collector.store import (
    delivery_rows,
    notify_opening,
    opening,
    outbox_rows,
    report_mail_rows,
)
from titik_collector.store.database import StoreError
from titik_collector.store.delivery_rows import Outcome
from titik_collector.store.notify_turn import NotifierLease
from titik_collector.wording import when

log = logging.getLogger(__name__)
LISTEN, AFTER_S = "0.0.0.0:8099", outside_watch.SILENT_S
TURN_S = 2.0  # between two looks whether another notifier delivers
FINISH_S = 10.0  # for what is under way when the file was edited


@click.group(name="notify", invoke_without_command=True)
@options.CONFIG
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The password at the broker, of an engineer's or the collector's user.",
)
@click.option(
    "--store-password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The password of the store on a server, in place of the one that the file names.",
)
@click.pass_context
def notify_command(
    context: click.Context,
    file: Path,
    password_file: Path | None,
    store_password_file: Path | None,
) -> None:
    """Messages to people; without a command they are delivered until a signal.

    An edit of the configuration is taken within seconds.
    """
    if context.invoked_subcommand is not None:
        if context.get_parameter_source("file") is ParameterSource.COMMANDLINE:
            raise click.UsageError("write --config after the command, at the end")
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopped: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _frame: stopped.append(number))
    with plainly():
        watch = ConfigWatch(file)
        settings = model.load(file)
        if store_password_file is not None:
            read = replace(settings.page_store, password_file=store_password_file)
            settings = replace(settings, store=read, web=replace(settings.web, store_url=None))
        if not settings.receiver:
            log.warning("there is no [[receiver]] in %s, so nobody gets a message", file)
        service = Service(os.environ.get("NOTIFY_SOCKET"), time.monotonic)
        turn = NotifierLease(settings.page_store)
        edited = None
        waits = not turn.is_ours()
        if waits:
            log.info("stands by, another notifier delivers for this store")
        while waits and not stopped and edited is None:
            service.lives()
            time.sleep(TURN_S)
            edited = watch.poll()
            with contextlib.suppress(StoreError):  # its server is away, perhaps with the other one
                waits = not turn.is_ours()
        if waits:
            _begin_again(stopped)
            return
        notifier = assembling.notifier(settings, password_file)
    log.info("notifier started receivers=%d", len(settings.receiver))
    asked_at, is_ours = time.monotonic(), True
    while not stopped and edited is None and is_ours:
        notifier.turn()
        service.lives()
        edited = watch.poll()
        if time.monotonic() >= asked_at + TURN_S:
            asked_at = time.monotonic()
            with contextlib.suppress(StoreError):  # nobody else can ask either
                is_ours = turn.is_ours()
    if not stopped:
        notifier.finish(FINISH_S)
    notifier.close()
    turn.close()
    if not is_ours:
        log.error("another notifier delivers for this store now")
    _begin_again(stopped)


@notify_command.command(name="test")
@click.argument("receiver")
@options.CONFIG
def test_command(receiver: str, file: Path) -> None:
    """Send a test message to RECEIVER, and print each step on the way.

    Root sends it as the user of the service, who may read less.
    """
    with plainly():
        settings = model.load(file)
        found = _find(settings, receiver)
    # By us: the service has a program of its own, and its user may not enter that of a trial.
    message, channel = walking.message(settings, found, _now_ms()), channel_of(settings, found)
    with delivering_user.acting(settings.page_store) as user:
        if user is not None:
            click.echo(f"as the user {user}")
        is_sent = _walked(message, channel)
    if not is_sent:
        raise click.exceptions.Exit(1)
    click.echo(f"sent; does it arrive at {receiver}?")


@notify_command.command(name="list")
@click.option("--expired", is_flag=True, help="What was not sent after a restore.")
@click.option("--failed", is_flag=True, help="Tries that failed.")
@options.CONFIG
def list_command(expired: bool, failed: bool, file: Path) -> None:
    """The newest messages and what became of them, then those that wait."""
    outcome: Outcome | None = "expired" if expired else "failed" if failed else None
    with plainly():
        settings = model.load(file)
        with notify_opening.reading(settings.page_store) as db:
            rows = [] if db is None else delivery_rows.newest(db, MAX_ROWS, outcome)
            has_mails = db is not None and db.has_table("report_mail")
            mails = report_mail_rows.all_of(db) if db is not None and has_mails else []
    reports = {key_of(one.row): one.row for one in mails}
    for one in rows:
        at = when.show(one.at_ms, settings.city.timezone)
        about = "" if one.incident is None else f" incident {one.incident}"
        if (report := reports.get(choosing.tried(one))) is not None:
            about = f" report {report.period}{'' if report.revision else ' (provisional)'}"
        why = "" if one.detail is None else f" ({one.detail})"
        click.echo(f"{at}  {one.receiver}  {one.outcome}{about}{why}")
    waiting = _waiting(settings) if outcome is None else []
    for line in waiting:
        click.echo(line)
    if not rows and not waiting:
        click.echo("none")
    if outcome is None and (names := [one.name for one in settings.receiver if one.reports]):
        click.echo(_next_report(settings, names))


def _waiting(settings: Config) -> list[str]:
    """Who is asked next if nobody acknowledges is left out: that may never be."""
    try:
        with opening.reading(settings.page_store, settings.file) as db:
            rows = [one.notification for one in outbox_rows.after(db, _now_ms())]
    except StoreError as error:
        return [f"what waits cannot be read: {error}"]
    some = [one for one in rows if one.message.what != "escalation"]
    return [
        f"{when.show(one.due_ms, settings.city.timezone)}  {one.receiver}  waits until then"
        f"{'' if one.incident is None else f' incident {one.incident}'}"
        for one in some[:MAX_ROWS]
    ]


def _next_report(settings: Config, names: list[str]) -> str:
    zone, minute, now_ms = settings.city.timezone, settings.alert_settings.digest_min, _now_ms()
    this = periods.at(now_ms, zone)
    times = [(report_mail.begin_ms(one, zone, minute), one.name) for one in (this.before, this)]
    begin_ms, month = next(one for one in times if one[0] > now_ms)
    return f"{when.show(begin_ms, zone)}  report {month} is mailed next, to {', '.join(names)}"


@notify_command.command(name="watch")
@click.option("--listen", default=LISTEN, help="ADDRESS:PORT, where signs come.")
@click.option("--after", default=AFTER_S, help="Seconds without a sign, then it gives alarm.")
@options.CONFIG
def watch_command(listen: str, after: float, file: Path) -> None:
    """On a second machine: miss the heartbeat of the server, and report it.

    The path of a sign is that of `[heartbeat]` in the configuration here.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise click.BadParameter(f"{listen} is no ADDRESS:PORT", param_hint="--listen")
    stopped: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _frame: stopped.append(number))
    with plainly():
        settings = model.load(file)
        watch = assembling.watch(settings, _path(settings), after)
        outside_watch.run(watch, host, int(port), lambda: bool(stopped))


def _walked(message: Composed, channel: Channel) -> bool:
    """Print each step; whether it was sent."""
    is_sent = True
    for one in walking.walk(message, channel):
        if one.problem is None:
            click.echo(f"ok    {one.step}")
            continue
        is_sent = False
        click.echo(f"FAIL  {one.step}: {one.problem}")
        if one.remedy:
            click.echo(f"      {one.remedy}")
    return is_sent


def _begin_again(stopped: list[int]) -> None:
    """The same process with the new file, unless a signal ended it; threads end with the old."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_DFL)  # one that comes from here on ends us at once
    if not stopped:
        log.info("the notifier begins again")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _path(settings: Config) -> str:
    given = settings.heartbeat
    if not given.is_given:
        wrong = "is missing, so no sign would be known"
        raise ConfigError(settings.file, "heartbeat.url", wrong, "give url or url_file")
    try:
        url = given.url or webhook.read_url(given.url_file)
    except Undelivered as failure:
        raise ConfigError(
            settings.file, "heartbeat.url_file", failure.reason, failure.remedy
        ) from failure
    return urlsplit(url).path or "/"


def _find(settings: Config, name: str) -> Receiver:
    for one in settings.receiver:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in settings.receiver[:MAX_LISTED])
    raise ConfigError(
        settings.file,
        "receiver",
        f"there is no receiver {name}",
        f"allowed: {known}" if known else "add a [[receiver]]",
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
