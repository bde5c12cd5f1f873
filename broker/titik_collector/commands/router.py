"""`titik router`: which routers the city has."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from titik_collector.broker_setup.broker_folder import NAME_IT, BrokerError, BrokerFolder
from titik_collector.commands import broker_twin, options, plainly
from titik_collector.config import edit, model
from titik_collector.config.model import Config, ConfigError
from titik_collector.config.site_tables import Router
from titik_collector.enrolment import bundle
from titik_collector.files.replace import replace_file
from titik_collector.own_state import systemd

NONE, CERTIFICATE, REVOKED = "none", "certificate", "revoked"
PASSWORD, MISSING = "password", "missing"  # where there is no TLS


@click.group()
def router() -> None:
    """The routers that the configuration file registers."""


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
        certified = _certifies(made)
        held = _credentials(made, [one.name for one in city.router])
        names = [name for name, what in held.items() if what in (NONE, MISSING)]
        made.admit(names)
        written = [_bundle(made, name) if certified else made.password_file(name) for name in names]
    what = "run each on its router as root, then delete it" if certified else "passwords"
    if not names:
        click.echo(f"nothing to do: each of {len(held)} routers has credentials, or is revoked")
        return
    click.echo(f"{len(names)} of {len(held)} routers got credentials; {what}:")
    for one in written:
        click.echo(f"  {one}")
    _follow(made)


def _add(name: str, site: str | None, file: Path) -> None:
    with plainly(), edit.editing(file) as city:
        site = site or _site(city, name)
        # Written down, so that a new or restored store knows it too.
        now = datetime.now(city.city.timezone).replace(microsecond=0)
        new = Router(name=name, site=site, since=now)
        made = _broker(city)
        listed = _lacks_credential(city, made, new)
        if not listed:
            edit.check_new(city, new)
        if made is not None and name in made.reserved():
            raise BrokerError(f"{name}: is another user of the broker; name the router otherwise")
        certified = _certifies(made)
        if made is not None:
            made.admit([name])
        secret = None if made is None or certified else made.password_file(name)
        if not listed:
            edit.add(city, new)
        written = _bundle(made, name) if made is not None and certified else None
    click.echo(f"{name} is registered at {site} in {file}")
    if written is not None:
        click.echo(f"run this on the router as root, then delete it: {written}")
        _follow(made)
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
        made = _broker(city)
        held = _credentials(made, [one.name for one in city.router])
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
    """A router's site and certificates."""
    with plainly():
        city = model.load(file)
        one = edit.find(city, name)
        made = _broker(city)
        click.echo(f"{name}  site={one.site}{f'  since={one.since}' if one.since else ''}")
        if made is None or made.settings.host is None:
            click.echo(f"password: {_password(made, name)}")
            return
        for cert in made.authority.issued():
            if cert.router == name:
                state = "revoked" if cert.revoked else f"until {cert.until:%Y-%m-%d}"
                click.echo(f"certificate {cert.serial:x}  {state}")


@router.command()
@click.argument("name")
@options.CONFIG
def rotate(name: str, file: Path) -> None:
    """A new key; the old one works until `revoke --old`, so that the router is not cut off."""
    with plainly(), edit.editing(file) as city:
        edit.find(city, name)
        made = _with_tls(city)
        replaces = _credentials(made, [name])[name] == CERTIFICATE
        made.admit([name])
        written = _bundle(made, name)
        _note_revoked(city, name, None)
    click.echo(f"run this on the router as root, then delete it: {written}")
    if replaces:
        click.echo(f"when it reports again: titik router revoke {name} --old")
    _follow(made)


@router.command()
@click.argument("name")
@click.option("--old", is_flag=True, help="All certificates but the newest.")
@options.CONFIG
def revoke(name: str, old: bool, file: Path) -> None:
    """End a router's credential, its session included; it stays registered."""
    with plainly(), edit.editing(file) as city:
        made = _with_tls(city)
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
    _follow(made)


def _follow(made: BrokerFolder | None) -> None:
    if made is not None:
        broker_twin.follow(made)


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
        made = _broker(city)
        certified = _certifies(made)
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
    _follow(made)


def _site(city: Config, name: str) -> str:
    """Where the file has the router."""
    for one in city.router:
        if one.name == name:
            return one.site
    raise BrokerError(f"{name}: {city.file} does not have it; name its site: --site SITE")


def _broker(city: Config) -> BrokerFolder | None:
    return None if city.broker.directory is None else BrokerFolder.open(city.broker.directory)


def _certifies(made: BrokerFolder | None) -> bool:
    """Whether routers have certificates; AuthorityError if none can be made or revoked."""
    if made is None or made.settings.host is None:
        return False
    made.check_first()
    made.authority.check()
    return True


def _with_tls(city: Config) -> BrokerFolder:
    made = BrokerFolder.of(city, "keys")
    if made.settings.host is None:
        raise BrokerError(
            f"{made.path}: is without TLS, so no router has a certificate;"
            f" titik broker init {made.path} --host NAME gives it one,"
            " and titik router remove NAME cuts a router off in any case"
        )
    made.check_first()
    return made


def _lacks_credential(city: Config, made: BrokerFolder | None, new: Router) -> bool:
    """Whether the file has the router already, at this site, and only its credential is missing.

    An operator who adds a revoked router, at another site too, wants it let in again.
    """
    sites = {one.name: one.site for one in city.router}
    held = _credentials(made, [new.name])[new.name]
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
    held = _credentials(made, [name])[name]
    if held == CERTIFICATE:
        return BrokerError(f"{name}: has only one certificate, and nothing older to revoke")
    if held == NONE:
        edit.find(city, name)
    return BrokerError(f"{name}: has no certificate to revoke; see: titik router show {name}")


def _bundle(made: BrokerFolder, name: str) -> Path:
    """A new key in a new file; the file."""
    certificate, key = made.authority.certify_router(name)
    host = made.settings.host
    assert host is not None
    text = bundle.of_router(name, host, made.ports.router, made.authority.ca_pem, certificate, key)
    there = made.bundle_file(name)
    replace_file(there, text)
    return there


def _credentials(made: BrokerFolder | None, names: Sequence[str]) -> dict[str, str]:
    """What each of the routers can log in with, in words."""
    if made is None:
        return dict.fromkeys(names, "-")
    if made.settings.host is not None:
        held = dict.fromkeys(names, NONE)
        for cert in made.authority.issued():
            if held.get(cert.router) in (NONE, REVOKED):
                held[cert.router] = REVOKED if cert.revoked else CERTIFICATE
        return held
    return {name: PASSWORD if made.password_file(name).exists() else MISSING for name in names}


def _password(made: BrokerFolder | None, name: str) -> str:
    """Where it lies, or what makes it."""
    if made is None:
        return "-"
    file = made.password_file(name)
    return str(file) if file.exists() else f"missing; titik broker init {made.path} --config FILE"
