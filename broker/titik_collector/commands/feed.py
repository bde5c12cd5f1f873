"""`titik feed`: what the city's routers install and upgrade from."""

from pathlib import Path

import click

from titik_collector.commands import options, plainly
from titik_collector.config import model
from titik_collector.feed import apk_program
from titik_collector.feed.feed_error import FeedError
from titik_collector.feed.feed_folder import write_feeds
from titik_collector.feed.signing_keys import OPKG_PUBLIC, has_keys, keys_in

KEYS = "feed-keys"  # beside the configuration


@click.group()
def feed() -> None:
    """The feed that the city's routers install the agent from."""


@feed.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--packages",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="With new .ipk and .apk files; without it the list is signed again.",
)
@click.option(
    "--keys",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help=f"With the signing keys, made the first time; else {KEYS} beside the city's file.",
)
@options.CONFIG
def build(folder: Path, packages: Path | None, keys: Path | None, file: Path) -> None:
    """Add packages to the feed in FOLDER, and sign its lists.

    What lies there stays, so that a router can go back. Any web server may serve FOLDER.
    """
    with plainly():
        place = keys if keys is not None else file.absolute().parent / KEYS
        _refuse_served(place, folder)
        _refuse_city(file, folder)
        is_first = not has_keys(place)
        if is_first:
            _refuse_new(place, folder, is_meant=keys is not None or file.exists())
        apk = apk_program.find()
        given = [] if packages is None else sorted(packages.glob("[!.]*.[ia]pk"))
        if packages is not None and not given:
            raise FeedError(f"{packages}: there is no .ipk and no .apk in it")
        for one in write_feeds(given, folder, keys_in(place), apk):
            click.echo(f"{one.folder}: {', '.join(one.packages)}")
    if is_first:
        click.echo(f"{place}: new keys. Keep a copy elsewhere: routers trust no other")
    if apk is None:
        click.echo(
            "no new list of 25.12: apk 3 is not in PATH; docs/routers.md says where to get it"
        )


def _refuse_served(keys: Path, folder: Path) -> None:
    """Whoever reads a signing key may install anything."""
    if keys.resolve().is_relative_to(folder.resolve()):
        raise FeedError(f"{keys} is inside {folder}, which is served: name another with --keys")


def _refuse_new(keys: Path, folder: Path, is_meant: bool) -> None:
    """Routers trust the keys of before, wherever those are."""
    if not is_meant:
        raise FeedError(
            f"{keys}: no signing keys are there, and no city's file is beside it. Name the folder"
            " of the keys that routers trust with --keys, or one for new keys"
        )
    if (folder / OPKG_PUBLIC).exists():
        raise FeedError(
            f"{keys}: no signing keys are there, and {folder} is signed already. Name the folder"
            " of its keys with --keys"
        )


def _refuse_city(file: Path, folder: Path) -> None:
    """Of the broker's folder, or one with the store in it; a feed may also be made elsewhere."""
    if file.exists():
        model.load(file).check_served(folder, key="")
