"""`titik router import` and `titik router bundles`: many routers at once.

Rule: a list is taken whole or not at all.
Rule: what is sealed never lies on this machine's disk in plain.
"""

import io
import tarfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from titik_collector.backups import sealing
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.commands import options, plainly
from titik_collector.commands.router_credentials import (
    CERTIFICATE,
    MISSING,
    NONE,
    REVOKED,
    broker_of,
    certifies,
    credentials,
    follow,
    new_bundle,
    with_tls,
    write_bundle,
)
from titik_collector.config import edit, router_list
from titik_collector.config.model import Config
from titik_collector.config.router_list import ListChanges, Row
from titik_collector.files.replace import replacing
from titik_collector.limits import MAX_CONFIG
from titik_collector.wording.amounts import amount, either
from titik_collector.wording.names import named


@click.command("import")
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--bundles", is_flag=True, help="Credentials too, as `add` makes them.")
@options.CONFIG
def import_command(table: Path, dry_run: bool, bundles: bool, file: Path) -> None:
    """Register the routers of a CSV file with the columns name, site and tags.

    A router that is there already gets the tags that it lacks; nothing is taken away. Tags have
    spaces between them.
    """
    with plainly(), edit.editing(file) as city:
        made = BrokerFolder.of(city, "credentials") if bundles else broker_of(city)
        certified = certifies(made) if bundles else False
        listed = router_list.read(_content(table), table)
        now = datetime.now(city.city.timezone).replace(microsecond=0)
        reserved = () if made is None else made.reserved()
        found = router_list.changes(city, listed, table, reserved, now)
        edit.add_many(city, found.new, tagged=found.tagged, is_trial=dry_run)
        written = []
        if made is not None and bundles and not dry_run:
            written = _admit(made, listed.rows, certified)
    for line in _shown(city, found):
        click.echo(line)
    if dry_run:
        click.echo("nothing was changed; without --dry-run it is")
    elif written:
        what = "run each on its router as root, then delete it" if certified else "passwords"
        click.echo(f"{amount(len(written), 'router')} got credentials; {what}:")
        for one in written:
            click.echo(f"  {one}")
        follow(made)
    elif found.new and not bundles and made is not None:
        click.echo("their credentials: titik router bundles --all, or titik router add --all")


@click.command("bundles")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option(
    "--all", "every", is_flag=True, help="All that have no credential, or whose bundle lies here."
)
@click.option(
    "--to",
    "archive",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A new file, such as bundles.tar.age.",
)
@click.option(
    "--recipient",
    metavar="AGE1...",
    help="The public key of age of who opens it; else that of backups.",
)
@options.CONFIG
def bundles_command(
    names: tuple[str, ...], every: bool, archive: Path, recipient: str | None, file: Path
) -> None:
    """Put the bundles of many routers into one archive, which only one key of age opens.

    Bundles that were written before, and not fetched, move into it.
    """
    if every == bool(names):
        raise click.UsageError("give the NAMEs of routers, or --all alone")
    with plainly(), edit.editing(file) as city:
        made = with_tls(city)
        made.authority.check()
        recipient = recipient or city.backup.recipient
        if recipient is None:
            raise click.UsageError("give --recipient, because backup.recipient is not set")
        if archive.exists():
            raise BrokerError(f"{archive}: is there already, and may hold keys; name another")
        waiting, left = _waiting(city, made, names)
        if waiting:
            made.admit(waiting)
            packed = _pack(made, waiting, archive, recipient)
            for one in packed:
                one.unlink(missing_ok=True)
    if not waiting:
        click.echo(f"nothing to do: none of {amount(left, 'router')} waits for a bundle")
        return
    bundles = f"{amount(len(waiting), 'bundle')} {either(len(waiting), 'is', 'are')}"
    click.echo(f"{bundles} in {archive}; to open it where its key is:")
    click.echo(f"  age -d -i IDENTITY {archive.name} | tar -x")
    if packed:
        was, they = either(len(packed), "was", "were"), either(len(packed), "is", "are")
        place = made.bundle_file("x").parent
        click.echo(f"{len(packed)} of them {was} in {place}, and {they} there no longer")
    click.echo("run each on its router as root, then delete it and the archive")
    follow(made)


def _content(table: Path) -> bytes:
    with table.open("rb") as opened:
        return opened.read(MAX_CONFIG + 1)


def _shown(city: Config, found: ListChanges) -> list[str]:
    """What changes, line by line."""
    before = {one.name: one.tags for one in city.router}
    lines = [
        f"+ {one.name} at {one.site}" + (f", tags {' '.join(one.tags)}" if one.tags else "")
        for one in found.new
    ]
    for one in found.tagged:
        fresh = [tag for tag in one.tags if tag not in before[one.name]]
        lines.append(f"~ {one.name} at {one.site}, tags + {' '.join(fresh)}")
    new, tagged, same = len(found.new), len(found.tagged), found.same
    lines.append(
        f"{amount(new, 'router')} {either(new, 'is', 'are')} new,"
        f" {tagged} {either(tagged, 'gets', 'get')} tags,"
        f" {same} {either(same, 'is', 'are')} so already"
    )
    return lines


def _admit(made: BrokerFolder, rows: Sequence[Row], certified: bool) -> list[Path]:
    """Credentials for those of the list that have none; where they lie."""
    held = credentials(made, [one.name for one in rows])
    names = [name for name, what in held.items() if what in (NONE, MISSING)]
    made.admit(names)
    return [write_bundle(made, name) if certified else made.password_file(name) for name in names]


def _waiting(city: Config, made: BrokerFolder, names: Sequence[str]) -> tuple[list[str], int]:
    """The routers whose bundle can be packed, and how many of those asked for need none."""
    asked = [edit.find(city, name).name for name in dict.fromkeys(names)]
    held = credentials(made, asked or [one.name for one in city.router])
    waiting = [
        name
        for name, what in held.items()
        if what == NONE or (what == CERTIFICATE and made.bundle_file(name).exists())
    ]
    others = [name for name in held if name not in set(waiting)]
    if asked and others:
        why = "is revoked" if held[others[0]] == REVOKED else "has its key"
        raise BrokerError(
            f"{named(others)}: no bundle waits, because the router {why}; for another:"
            f" titik router rotate {others[0]}"
        )
    return waiting, len(others)


def _pack(made: BrokerFolder, names: Sequence[str], archive: Path, recipient: str) -> list[Path]:
    """All bundles in a new archive, or none; the plain files that are in it now."""
    issued, packed = [], []
    try:
        with (
            replacing(archive) as raw,
            sealing.sealing(raw, recipient, "--recipient") as sink,
            tarfile.open(fileobj=sink, mode="w|") as tar,
        ):
            for name in names:
                there = made.bundle_file(name)
                if there.exists():
                    text = there.read_text()
                    packed.append(there)
                else:
                    fresh = new_bundle(made, name)
                    issued.append(fresh.certificate)
                    text = fresh.text
                _put(tar, f"{name}.sh", text.encode())
    except BaseException:  # nobody has the keys
        for certificate in issued:
            made.authority.forget(certificate)
        raise
    return packed


def _put(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
    tar.addfile(member, io.BytesIO(content))
