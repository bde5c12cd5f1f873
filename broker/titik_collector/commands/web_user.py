"""`titik web user`: who may look at the page.

Rule: a password is typed at a prompt, or drawn here and shown once. A command line would be in the
shell's history and in the list of processes.
"""

import getpass
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from titik_collector.accounts import users
from titik_collector.accounts.audit import Actor
from titik_collector.accounts.hashing import hash_password, new_password
from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.config.page_tables import page_address
from titik_collector.languages.codes import CODES
from titik_collector.store import desk_accounts, desk_opening
from titik_collector.store.database import Database
from titik_collector.store.desk_accounts import Account, Role

Command = TypeVar("Command", bound=Callable[..., Any])
ROLES = ("viewer", "operator")
FOREVER = "never"


@dataclass(frozen=True, slots=True)
class OpenDesk:
    """A city's desk, and who changes it from the command line."""

    config: Config
    db: Database
    actor: Actor


@contextmanager
def open_desk(file: Path) -> Iterator[OpenDesk]:
    """Made if it is not there; what the operator can mend is one line."""
    with plainly():
        config = model.load(file)
        actor = Actor(getpass.getuser(), None, round(time.time() * 1000))
        with desk_opening.opened(config.page_store) as db:
            yield OpenDesk(config, db, actor)


def _role(default: str | None) -> Callable[[Command], Command]:
    about = "An operator may change something, once there is something to change."
    return click.option("--role", type=click.Choice(ROLES), default=default, help=about)


_LANGUAGE = click.option("--language", type=click.Choice(CODES), help="Else the browser's.")
_UNTIL = click.option(
    "--until", metavar="DATE", help=f"The last day, such as 2027-12-31; or `{FOREVER}`."
)
_GENERATE = click.option("--generate", is_flag=True, help="Draw a password and show it once.")


@click.group()
def user() -> None:
    """Who may look at the page with a password."""


@user.command()
@click.argument("name")
@_role(model.ROLE)
@_LANGUAGE
@_UNTIL
@_GENERATE
@click.option("--by-proxy", is_flag=True, help="No password: a proxy names the user.")
@options.CONFIG
def add(
    name: str,
    role: Role,
    language: str | None,
    until: str | None,
    generate: bool,
    by_proxy: bool,
    file: Path,
) -> None:
    """Add a user, and ask for the password."""
    with open_desk(file) as desk:
        users.check_name(name)
        password = None if by_proxy else _password(generate)
        end_ms = _end_ms(until, desk.config)
        account = Account(name, password, role, language, end_ms, desk.actor.now_ms)
        users.add(desk.db, account, desk.actor)
    click.echo(f"{name} may look at {page_address(desk.config.web)} as {role}")


@user.command()
@click.argument("name")
@_role(None)
@_LANGUAGE
@_UNTIL
@options.CONFIG
def change(
    name: str, role: Role | None, language: str | None, until: str | None, file: Path
) -> None:
    """Change the role, the language or the last day of a user."""
    with open_desk(file) as desk:
        account = users.find(desk.db, name)
        account = account._replace(role=role or account.role, language=language or account.language)
        if until is not None:
            account = account._replace(end_ms=_end_ms(until, desk.config))
        users.change(desk.db, account, desk.actor)
    click.echo(_line(account, desk.config.city.timezone))


@user.command()
@click.argument("name")
@_GENERATE
@options.CONFIG
def password(name: str, generate: bool, file: Path) -> None:
    """Give a user another password; every browser has to log in again."""
    with open_desk(file) as desk:
        account = users.find(desk.db, name)
        users.change(desk.db, account._replace(password=_password(generate)), desk.actor)
    click.echo(f"{name} has another password, and is logged out everywhere")


@user.command()
@click.argument("name")
@options.CONFIG
def remove(name: str, file: Path) -> None:
    """Take a user out, and end every session."""
    with open_desk(file) as desk:
        users.remove(desk.db, name, desk.actor)
    click.echo(f"{name} may no longer look at the page")


@user.command("list")
@options.CONFIG
def list_(file: Path) -> None:
    """Every user: role, language, last day."""
    with open_desk(file) as desk:
        for account in desk_accounts.all_of(desk.db):
            ended = "" if users.is_open(account, desk.actor.now_ms) else "  has ended"
            click.echo(_line(account, desk.config.city.timezone) + ended)


def _password(generate: bool) -> str:
    """What is kept of it."""
    if generate:
        made = new_password()
        click.echo(f"password, shown once: {made}")
    else:
        made = click.prompt("password", hide_input=True, confirmation_prompt=True)
    users.check_password(made)
    return hash_password(made)


def _end_ms(until: str | None, config: Config) -> int | None:
    """The midnight after the last day, in the city."""
    if until is None or until == FOREVER:
        return None
    try:
        last = date.fromisoformat(until)
    except ValueError as error:
        raise click.BadParameter(
            f"{until!r} is no date; write it as 2027-12-31, or {FOREVER}", param_hint="--until"
        ) from error
    after = last + timedelta(days=1)
    midnight = datetime(after.year, after.month, after.day, tzinfo=config.city.timezone)
    return round(midnight.timestamp() * 1000)


def _line(account: Account, zone: tzinfo) -> str:
    parts = [account.name, account.role]
    parts += [account.language] if account.language else []
    parts += ["by proxy"] if account.password is None else []
    if account.end_ms is not None:
        parts.append(f"until {datetime.fromtimestamp((account.end_ms - 1) / 1000, zone).date()}")
    return "  ".join(parts)
