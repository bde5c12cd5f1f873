"""`titik router check`: routers look at themselves, and say what they found."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.commands import options, plainly, router_choice
from titik_collector.commands.city_look import RESULTS, CityLook, LookOutcome
from titik_collector.commands.desk_entering import entering
from titik_collector.commands.web_user import open_desk
from titik_collector.config import edit
from titik_collector.config.model import Config
from titik_collector.config.settings_tables import SettingsOf
from titik_collector.desk import posting, questions
from titik_collector.queries import looks
from titik_collector.queries.looks import WAITS, RouterLook
from titik_collector.store import opening, router_answers
from titik_collector.wording.amounts import amount
from titik_collector.wording.names import named

LOOK_S = 0.5  # between two looks into the store


@click.command("check")
@click.argument("name", required=False)
@router_choice.options
@options.CONFIG
def check_command(
    name: str | None, site: str | None, tag: str | None, every: bool, file: Path
) -> None:
    """Let a router check itself, from its radio to the broker, and print what it found.

    The newest lines of its agent's log follow. A router looks once a minute; who asks sooner gets
    the same answer. Nothing on the router changes.

    Of many routers there is a line of each as it comes, with the lines that are bad. Ctrl-C ends
    it, and shows what came. The exit status is 0 if every router works.
    """
    chosen = router_choice.chosen([] if name is None else [name], site, tag, every)
    sys.exit(0 if (_one(chosen.name, file) if name is not None else _many(chosen, file)) else 1)


def _one(name: str, file: Path) -> bool:
    """Whether it works."""
    with entering(file) as desk:
        edit.find(desk.config, name)
        with opening.reading(desk.config.page_store, file) as db:
            ended = router_answers.ended(db)
        asked = questions.ask(desk.db, name, desk.actor, ended)
        config, actor = desk.config, desk.actor
    with plainly():
        found = _await(config, asked)
    if (old := age(found, actor)) is not None:
        click.echo(old)
    reply = found.reply
    if reply is None or reply.refused is not None:
        why = looks.WORDS[found.state] if reply is None else f"The router refused: {reply.refused}."
        click.echo(why)
    else:
        for line in reply.checks:
            click.echo(line)
        click.echo(f"\nthe agent's log, its last {len(reply.log)} lines:")
        for line in reply.log:
            click.echo(f"  {line}")
    return found.is_good


def age(found: RouterLook, actor: Actor) -> str | None:
    """That it is the answer to an earlier question; `actor` asked now. None: it is a new one."""
    is_new = found.asked.at_ms == actor.now_ms  # the collector's clock may be another's
    if is_new or found.ended_ms is None or found.ended_ms > actor.now_ms:
        return None
    old_s = (actor.now_ms - found.ended_ms) // 1000
    by = "" if found.asked.actor == actor.name else f" ({found.asked.actor} asked)"
    left_s = -(-questions.again_ms(found.asked, actor.now_ms) // 1000)
    return (
        f"this answer is {old_s} s old{by}; the router looks once a minute,"
        f" ask again in {left_s} s\n"
    )


def _await(config: Config, asked: AskedQuestion) -> RouterLook:
    """What became of it; it ends by itself."""
    with opening.reading(config.page_store, config.file) as db:
        while True:
            found = looks.look(db, asked, round(time.time() * 1000))
            if found.state != WAITS:
                return found
            time.sleep(LOOK_S)


def _many(of: SettingsOf, file: Path) -> bool:
    """Whether all work."""
    found: list[LookOutcome] = []
    with open_desk(file) as desk, opening.reading(desk.config.page_store, file) as db:
        names = [one.name for one in router_choice.some_routers(desk.config, of)]
        many = CityLook(db, desk.db, names, desk.actor.now_ms)
        try:
            _show(many.offline, found)
            while not many.is_over:
                number = many.asked
                actor = desk.actor._replace(now_ms=round(time.time() * 1000))
                _show(many.step(actor), found)
                if many.asked > number:
                    posting.post(desk.db, desk.config.page_store)
                elif not many.is_over:
                    time.sleep(LOOK_S)
        finally:  # also where it is interrupted
            for line in summary([*found, *many.left()], many.why):
                click.echo(line)
            if many.old:
                click.echo(
                    f"{amount(many.old, 'answer')} of the last minute came before this command;"
                    " a router looks once a minute"
                )
        return many.all_work(found)


def _show(fresh: Sequence[LookOutcome], found: list[LookOutcome]) -> None:
    for one in fresh:
        found.append(one)
        for line in lines_of(one):
            click.echo(line)


def lines_of(one: LookOutcome) -> Iterator[str]:
    """A line of the router, and its own lines below."""
    if one.result == "bad lines":
        yield f"{one.router}: {len(one.lines)} bad line{'s' * (len(one.lines) > 1)}"
        yield from (f"  {line}" for line in one.lines)
    else:
        yield ": ".join([one.router, one.result, *one.lines])


def summary(found: Sequence[LookOutcome], why: str | None) -> Iterator[str]:
    """How many routers did what, and who does not work."""
    routers = defaultdict(list)
    for one in found:
        routers[one.result].append(one.router)
    yield ""
    for result in RESULTS:
        if names := routers[result]:
            who = "" if result == "works" else f" ({named(names)})"
            yield f"{result}: {len(names)} of {len(found)}{who}"
    if why is not None:
        yield why
