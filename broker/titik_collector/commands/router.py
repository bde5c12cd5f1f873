"""`titik router`: which routers the city has."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from titik_collector.broker_setup.broker_folder import ENDED, NAME_IT, BrokerError, BrokerFolder
from titik_collector.commands import options, plainly
from titik_collector.commands.router_check import check_command
from titik_collector.commands.router_credentials import (
    CERTIFICATE,
    MISSING,
    NONE,
    REVOKED,
    broker_of,
    certifies,
    credentials,
    follow,
    with_tls,
    write_bundle,
)
from titik_collector.commands.router_many import bundles_command, import_command
from titik_collector.commands.router_set import set_command, show_settings, tag_command
from titik_collector.config import edit, model
from titik_collector.config.model import Config, ConfigError
from titik_collector.config.site_tables import Router
from titik_collector.enrolment.signing import fingerprint
from titik_collector.own_state import systemd
from titik_collector.store import opening
from titik_collector.store.database import StoreError
from titik_collector.wishes import router_logins
from titik_collector.wording.amounts import amount


@click.group()
def router() -> None:
    """The routers that the configuration file registers."""


router.add_command(import_command)
router.add_command(bundles_command)
router.add_command(check_command)
router.add_command(set_command)
router.add_command(tag_command)


@router.command()
@click.argument("name", required=False)
@click.option("--site", help="The site that it stands at; not needed where the file has it.")
@click.option("--all", "every", is_flag=True, help="Every router of the file without a credential.")
@options.CONFIG
def add(name: str | None, site: str | None, every: bool, file: Path) -> None:
    """Register a router; a running collector takes it within seconds."""
    if every == (name is not None) or (every and site is not None):
        raise click.UsageError("give the NAME of one router, or --all alone")
    if name is None:
        _add_all(file)
    else:
        _add(name, site, file)


def _add_all(file: Path) -> None:
    """Credentials for those that the file has and that have none; a revoked one stays out."""
    with plainly(), edit.editing(file) as city:
        made = BrokerFolder.of(city, "credentials")
        certified = certifies(made)
        held = credentials(made, [one.name for one in city.router])
        names = [name for name, what in held.items() if what in (NONE, MISSING)]
        made.admit(names)
        written = [
            write_bundle(made, name) if certified else made.password_file(name) for name in names
        ]
    what = "run each on its router as root, then delete it" if certified else "passwords"
    if not names:
        each = f"each of {amount(len(held), 'router')}"
        click.echo(f"nothing to do: {each} has credentials, or is revoked")
        return
    click.echo(f"{len(names)} of {amount(len(held), 'router')} got credentials; {what}:")
    for one in written:
        click.echo(f"  {one}")
    follow(made)


def _add(name: str, site: str | None, file: Path) -> None:
    with plainly(), edit.editing(file) as city:
        site = site or _site(city, name)
        # Written down, so that a new or restored store knows it too.
        now = datetime.now(city.city.timezone).replace(microsecond=0)
        new = Router(name=name, site=site, since=now)
        made = broker_of(city)
        listed = _lacks_credential(city, made, new)
        if not listed:
            edit.check_new(city, new)
        if made is not None and name in made.reserved():
            raise BrokerError(f"{name}: is another user of the broker; name the router otherwise")
        certified = certifies(made)
        if made is not None:
            made.admit([name])
        secret = None if made is None or certified else made.password_file(name)
        if not listed:
            edit.add(city, new)
        written = write_bundle(made, name) if made is not None and certified else None
    click.echo(f"{name} is registered at {site} in {file}")
    if written is not None:
        click.echo(f"run this on the router as root, then delete it: {written}")
        follow(made)
        return
    if made is None or secret is None:
        click.echo("its password: broker.directory is not set, so make its user at your broker;")
        click.echo(f"if that is one of titik's, {NAME_IT}")
        return
    running = "the running broker knows it"
    if made.pid() is None:
        running = f"the broker is not running; start it: {systemd.start_broker(made.path)}"
    click.echo(f"its password is in {secret}; {running}")
    click.echo(f"on the router: broker.port = {made.ports.router}, and that file as password_file")


@router.command("list")
@options.CONFIG
def list_(file: Path) -> None:
    """Name, site and credential at the broker of every router."""
    with plainly():
        city = model.load(file)
        made = broker_of(city)
        held = credentials(made, [one.name for one in city.router])
    # A day is enough here, so that a line fits a terminal; `show` has the rest.
    rows = [
        (one.name, one.site, "" if one.since is None else f"{one.since:%Y-%m-%d}", held[one.name])
        for one in sorted(city.router, key=lambda one: (one.site, one.name))
    ]
    header = ("router", "site", "since", "credential")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(4)]
    for row in [header, *rows]:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    if made is not None and MISSING in held.values():
        click.echo(f"{MISSING}: titik broker init {made.path} --config {file} makes it")


@router.command()
@click.argument("name")
@options.CONFIG
def show(name: str, file: Path) -> None:
    """A router's site and certificates, and what it runs with from a distance."""
    with plainly():
        city = model.load(file)
        one = edit.find(city, name)
        made = broker_of(city)
        click.echo(f"{name}  site={one.site}{f'  since={one.since}' if one.since else ''}")
        if made is None or made.settings.host is None:
            click.echo(f"password: {_password(made, name)}")
        else:
            used = _used(city, name)
            for cert in made.authority.issued():
                if cert.router == name:
                    state = "revoked" if cert.revoked else f"until {cert.until:%Y-%m-%d}"
                    its = fingerprint(made.authority.certificate_of(cert))
                    where = "  the router logs in with it" if its == used else ""
                    click.echo(f"certificate {cert.serial:x}  {state}{where}")
        if city.settings:
            with suppress(StoreError):  # no collector ran yet: it has nothing to show
                show_settings(city, [one])


def _used(city: Config, name: str) -> str | None:
    """The fingerprint of the certificate that it reports; None: it reported none yet."""
    with suppress(StoreError):  # no collector ran yet
        if opening.exists(city.store):
            with opening.reading(city.store, city.file) as db:
                login = router_logins.read(db).get(name)
                return None if login is None else login.certificate
    return None


@router.command()
@click.argument("name")
@options.CONFIG
def rotate(name: str, file: Path) -> None:
    """A new key; the old one works until `revoke --old`, so that the router is not cut off."""
    with plainly(), edit.editing(file) as city:
        edit.find(city, name)
        made = with_tls(city)
        replaces = credentials(made, [name])[name] == CERTIFICATE
        made.admit([name])
        written = write_bundle(made, name)
        _note_revoked(city, name, None)
    click.echo(f"run this on the router as root, then delete it: {written}")
    if replaces:
        click.echo(f"when it reports again: titik router revoke {name} --old")
    follow(made)


@router.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every router that has a certificate.")
@options.CONFIG
def renew(name: str | None, every: bool, file: Path) -> None:
    """Sign a router's key again; the certificate goes to it by itself.

    A new key is `rotate`, and a visit.
    """
    if every == (name is not None):
        raise click.UsageError("give the NAME of one router, or --all alone")
    with plainly():
        city = model.load(file)
        made = with_tls(city)
        if name is not None:
            edit.find(city, name)
            if credentials(made, [name])[name] != CERTIFICATE:
                raise BrokerError(
                    f"{name}: has no certificate that could be signed again;"
                    f" titik router rotate {name}"
                )
        count = made.succession.renew(None if name is None else [name])
    if count == 1:
        click.echo("1 certificate is signed again, and goes to its router by itself")
    else:
        click.echo(f"{count} certificates are signed again, and go to their routers by themselves")
    click.echo("see who has taken it: titik broker authority")
    follow(made)


@router.command()
@click.argument("name")
@click.option("--old", is_flag=True, help="All certificates but the newest.")
@options.CONFIG
def revoke(name: str, old: bool, file: Path) -> None:
    """End a router's credential, its session included; it stays registered."""
    with plainly(), edit.editing(file) as city:
        made = with_tls(city)
        count = made.authority.revoke(name, but_newest=old)
        if not count:
            raise _nothing_revoked(city, made, name)
        ended = made.interrupt(name) if old else made.cut_off(name)
        if not old:
            made.bundle_file(name).unlink(missing_ok=True)
            _note_revoked(city, name, datetime.now(city.city.timezone).replace(microsecond=0))
    click.echo(f"{name}: {count} certificate{'s' * (count > 1)} revoked; {ended}")
    if not old:
        click.echo(f"to let it in again: titik router rotate {name}")
    elif ended == ENDED:
        click.echo(
            "a router with the newest one is away for up to 5 minutes, and comes back by itself"
        )
    follow(made)


def _note_revoked(city: Config, name: str, at: datetime | None) -> None:
    """For the collector, which shows it; what was done at the broker is done without it too."""
    try:
        edit.revoke(city, name, at)
    except ConfigError as error:
        click.echo(f"warning: the collector shows {name} as before: {error}", err=True)


@router.command()
@click.argument("name")
@options.CONFIG
def remove(name: str, file: Path) -> None:
    """Take a router out; its history stays, its connection is cut."""
    with plainly(), edit.editing(file) as city:
        made = broker_of(city)
        certified = certifies(made)
        edit.remove(city, name)
        known = False
        if made is not None and certified and made.authority.revoke(name):
            made.cut_off(name)
            made.bundle_file(name).unlink(missing_ok=True)
        elif made is not None and name not in made.reserved():
            known = bool(made.remove_users([name]))
    click.echo(f"{name} is no longer registered in {file}; its history stays")
    if known:
        click.echo("its user at the broker is removed")
    follow(made)


def _site(city: Config, name: str) -> str:
    """Where the file has the router."""
    for one in city.router:
        if one.name == name:
            return one.site
    raise BrokerError(f"{name}: {city.file} does not have it; name its site: --site SITE")


def _lacks_credential(city: Config, made: BrokerFolder | None, new: Router) -> bool:
    """Whether the file has the router already, at this site, and only its credential is missing.

    An operator who adds a revoked router, at another site too, wants it let in again.
    """
    sites = {one.name: one.site for one in city.router}
    held = credentials(made, [new.name])[new.name]
    if new.name in sites and held == REVOKED:
        raise BrokerError(
            f"{new.name}: is there already, and its certificate is revoked; to let it in again:"
            f" titik router rotate {new.name}"
        )
    if sites.get(new.name) != new.site:
        return False
    if made is None:
        raise BrokerError(
            f"{new.name}: is there already; {city.file}: broker.directory is not set, so its"
            f" credential is made at your broker; {NAME_IT}"
        )
    if held == CERTIFICATE:
        raise BrokerError(
            f"{new.name}: is there already, and its certificate was made; for another:"
            f" titik router rotate {new.name}"
        )
    return held in (NONE, MISSING)


def _nothing_revoked(city: Config, made: BrokerFolder, name: str) -> BrokerError:
    held = credentials(made, [name])[name]
    if held == CERTIFICATE:
        return BrokerError(f"{name}: has only one certificate, and nothing older to revoke")
    if held == NONE:
        edit.find(city, name)
    return BrokerError(f"{name}: has no certificate to revoke; see: titik router show {name}")


def _password(made: BrokerFolder | None, name: str) -> str:
    """Where it lies, or what makes it."""
    if made is None:
        return "-"
    file = made.password_file(name)
    return str(file) if file.exists() else f"missing; titik broker init {made.path} --config FILE"
