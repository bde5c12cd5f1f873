"""`titik web token`: programs and screens that look without a password."""

from datetime import datetime
from pathlib import Path

import click

from titik_collector.accounts import tokens
from titik_collector.commands import options
from titik_collector.commands.web_user import ROLES, open_desk
from titik_collector.config import model
from titik_collector.store import desk_tokens
from titik_collector.store.desk_accounts import Role


@click.group()
def token() -> None:
    """What programs and screens on a wall look with."""


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default=model.ROLE)
@options.CONFIG
def add(name: str, role: Role, file: Path) -> None:
    """Make a token, and show it once.

    A program sends it as `Authorization: Bearer TOKEN`, a screen opens /wall?token=TOKEN.
    """
    with open_desk(file) as desk:
        secret = tokens.add(desk.db, name, role, desk.actor)
    click.echo(f"token, shown once: {secret}")


@token.command("list")
@options.CONFIG
def list_(file: Path) -> None:
    """Every token: its role, and since when it is there."""
    with open_desk(file) as desk:
        zone = desk.config.city.timezone
        for one in desk_tokens.all_of(desk.db):
            since = datetime.fromtimestamp(one.added_ms / 1000, zone).date()
            click.echo(f"{one.name}  {one.role}  since {since}")


@token.command()
@click.argument("name")
@options.CONFIG
def revoke(name: str, file: Path) -> None:
    """Whoever has the token looks no more."""
    with open_desk(file) as desk:
        tokens.revoke(desk.db, name, desk.actor)
    click.echo(f"{name} is revoked")
