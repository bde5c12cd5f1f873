"""`titik broker authority`: the city's certificate authority, and the one that comes after it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from cryptography import x509

from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.broker_setup.broker_init import listed
from titik_collector.commands import broker_twin, options, plainly
from titik_collector.config import model
from titik_collector.enrolment.handover import RouterLogin
from titik_collector.enrolment.signing import ends, fingerprint
from titik_collector.enrolment.succession import NEXT, Progress
from titik_collector.store import opening
from titik_collector.wishes import router_logins
from titik_collector.wording.amounts import amount, either
from titik_collector.wording.mendable import Mendable

ROTATE = "titik router rotate NAME"
_SHOWN = 16  # characters of a fingerprint


@click.group(invoke_without_command=True)
@options.CONFIG
@click.pass_context
def authority(context: click.Context, file: Path) -> None:
    """Who the city trusts, and which routers have come how far."""
    if context.invoked_subcommand is not None:
        return
    with plainly():
        made, logins = _opened(file), _logins(file)
        for line in _lines(made, logins):
            click.echo(line)


@authority.command("next")
@click.option("--again", is_flag=True, help="Another one, where its key is lost or stolen.")
@options.CONFIG
def next_(file: Path, again: bool) -> None:
    """Make the next authority, which routers trust in advance."""
    with plainly():
        made = _opened(file)
        made.check_first()
        is_new = made.succession.make_next(made.settings.host or "", replace=again)
        if is_new:
            made.succession.hand_over()
    if not is_new:
        click.echo("there is one already; for another: titik broker authority next --again")
        return
    click.echo("made the next authority; it goes to every router, without a visit")
    click.echo(f"keep its key away from this machine: {made.path / 'ca' / 'next.key'}")
    broker_twin.follow(made)


@authority.command()
@click.option(
    "--next-key", type=click.Path(path_type=Path), metavar="FILE", help="Where its key is kept."
)
@click.option("--force", is_flag=True, help="Also where routers cannot follow.")
@options.CONFIG
def switch(file: Path, next_key: Path | None, force: bool) -> None:
    """The next authority comes in force, also where ca.key is lost."""
    with plainly():
        made = _opened(file)
        made.check_first()
        logins = _logins(file)
        found, is_first = made.succession.standing(logins), made.succession.before is None
        if found.lack_next and is_first and not made.authority.has_key and not force:
            raise BrokerError(_cannot_follow(found))
        count = made.succession.switch(made.settings.host or "", next_key)
        made.reload()
        beyond = made.succession.standing(logins).beyond_reach
    goes = either(count, "goes to its router", "go to their routers")
    click.echo(f"the next authority is in force; {amount(count, 'certificate')} {goes} now")
    click.echo(f"keep the key of the one after it elsewhere: {made.path / 'ca' / 'next.key'}")
    if later := [one for one in found.lack_next if one not in beyond]:
        click.echo(f"they do not know it yet, and take it when they are online: {listed(later)}")
    if beyond:
        click.echo(f"warning: {beyond_reach(beyond)}")
    click.echo("see who has come how far: titik broker authority")
    click.echo("when all have: titik broker authority forget")
    broker_twin.follow(made)


@authority.command()
@click.option("--force", is_flag=True, help="Also cut off who still logs in by it.")
@options.CONFIG
def forget(file: Path, force: bool) -> None:
    """Take the authority before out everywhere."""
    with plainly():
        made = _opened(file)
        made.check_first()
        found = made.succession.standing(_logins(file))
        left, has_before = found.by_old, made.succession.before is not None
        in_memory, until_power_cut = (
            [one for one in names if has_before and one not in left]
            for names in (found.in_memory, found.until_power_cut)
        )
        kept = [*_kept_nowhere(in_memory, until_power_cut)]
        if (left or kept) and not force:
            raise BrokerError("; ".join([*_held_by(found), *kept, "or cut them off: --force"]))
        made.succession.forget(made.settings.host or "")
        made.reload()
        engineers = _engineers_left(made)
    click.echo("the authority before is forgotten")
    if left:
        click.echo(f"cut off until {ROTATE}: {', '.join(left)}")
    if kept:
        names = ", ".join([*in_memory, *until_power_cut])
        click.echo(f"cut off by their next power cut, until {ROTATE}: {names}")
    if engineers:
        click.echo(f"their files are of before (titik engineer add NAME): {', '.join(engineers)}")
    broker_twin.follow(made)


def _cannot_follow(found: Progress) -> str:
    """Why the next authority does not come in force, with what helps."""
    number, lacking = len(found.lack_next), found.lack_next
    wait = "" if set(lacking) <= {*found.beyond_reach} else ", or wait until they have taken it"
    return (
        f"{amount(number, 'router')} {either(number, 'does', 'do')} not know the next authority,"
        f" and after a switch without ca.key nobody can vouch for it: {listed(lacking)};"
        f" bring ca.key here{wait};"
        f" or go on with --force: they report until titik broker authority forget, and need a"
        f" visit ({ROTATE})"
    )


def _held_by(found: Progress) -> Iterator[str]:
    """Who would be cut off by a forget, with what helps."""
    left = [one for one in found.by_old if one not in found.beyond_reach]
    stuck = [one for one in found.by_old if one in found.beyond_reach]
    for names, way in (
        (left, f"wait for them, or visit them ({ROTATE})"),
        (stuck, f"they cannot take another, so visit them ({ROTATE})"),
    ):
        if number := len(names):
            yield (
                f"{amount(number, 'router')} still {either(number, 'logs', 'log')} in by the"
                f" authority before: {', '.join(names)}; {way}"
            )


def _kept_nowhere(in_memory: Sequence[str], until_power_cut: Sequence[str]) -> Iterator[str]:
    """Who is set back by a power cut, and what helps."""
    for names, comes, way in (
        (
            in_memory,
            "so a power cut brings back what was installed",
            "set persist_dir under [spool] of agent.toml there, or visit {them} then",
        ),
        (  # with another persist_dir it would begin from what was installed, too
            until_power_cut,
            "and what was installed cannot take it again",
            "leave agent and agent.toml there as they are until a visit",
        ),
    ):
        if number := len(names):
            yield (
                f"{amount(number, 'router')} {either(number, 'keeps', 'keep')} in memory only what"
                f" {either(number, 'it was', 'they were')} sent, {comes}: {listed(names)};"
                f" {way.format(them=either(number, 'it', 'them'))} ({ROTATE})"
            )


def beyond_reach(names: Sequence[str]) -> str:
    """What is wrong with routers that can take nothing from a distance, and what helps."""
    number = len(names)
    return (
        f"{amount(number, 'router')} cannot take what {either(number, 'it is', 'they are')}"
        f" sent: {listed(names)}; {either(number, 'it needs', 'each needs')} a visit: {ROTATE}"
    )


def reported(made: BrokerFolder) -> dict[str, RouterLogin] | None:
    """To the city whose file is in this folder; None: that cannot be known here, and is printed."""
    why = f"type it beside the city's {model.DEFAULT_FILE}"
    try:
        is_here = model.DEFAULT_FILE.exists()
        directory = model.load(model.DEFAULT_FILE).broker.directory if is_here else None
        if directory is not None and directory.resolve() == made.path.resolve():
            return _logins(model.DEFAULT_FILE)
    except (Mendable, OSError) as error:
        why = str(error)
    click.echo(f"which routers need a visit is not known here: {why}")
    return None


def _opened(file: Path) -> BrokerFolder:
    made = BrokerFolder.of(model.load(file), "its keys")
    made.authority.trusted()  # an error where it is without TLS, or damaged
    return made


def _logins(file: Path) -> dict[str, RouterLogin]:
    """What routers reported; nothing, where no collector ever ran."""
    city = model.load(file)
    if not opening.exists(city.store):
        return {}
    with opening.reading(city.store, city.file) as db:
        return router_logins.read(db)


def _lines(made: BrokerFolder, logins: dict[str, RouterLogin]) -> Iterator[str]:
    succession = made.succession
    present = made.authority.trusted()[0]
    yield f"in force  {_shown(present)}"
    following, before = succession.following, succession.before
    if following is None:
        yield f"warning: there is no next authority: {NEXT}"
    else:
        where = "beside it" if succession.has_next_key else "elsewhere"
        yield f"next      {_shown(following)}  its key is {where}"
    if before is not None:
        yield f"before    {_shown(before)}, or titik broker authority forget"
    yield from _standing(succession.standing(logins))


def _shown(one: x509.Certificate) -> str:
    return f"{fingerprint(one)[:_SHOWN]}  until {ends(one):%Y-%m-%d}"


def _standing(found: Progress) -> Iterator[str]:
    rows: Sequence[tuple[str, str, tuple[str, ...]]] = (
        (
            "does not know the next one",
            "do not know the next one",
            tuple(one for one in found.lack_next if one not in found.beyond_reach),
        ),
        ("logs in by the one before", "log in by the one before", found.by_old),
        (
            "has not taken yet what it is sent",
            "have not taken yet what they are sent",
            found.waited_for,
        ),
    )
    for one, many, names in rows:
        if number := len(names):
            what = either(number, one, many)
            yield f"{amount(number, 'router')} {what}: {', '.join(names)}"
    yield from _kept_nowhere(found.in_memory, found.until_power_cut)
    if found.beyond_reach:
        yield f"warning: {beyond_reach(found.beyond_reach)}"
    if not any(found):
        yield "every router has all of it"


def _engineers_left(made: BrokerFolder) -> list[str]:
    """Whose file has not the authority in force."""
    ours = made.authority.ca_file.read_text().strip()
    files = {name: made.bundle_file(name) for name in made.settings.engineers}
    return [name for name, one in files.items() if one.exists() and ours not in one.read_text()]
