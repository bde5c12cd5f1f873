"""`titik router`: adds, lists and removes routers in the file and at the broker."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner, Result

from tests.ports import free_ports
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.broker_setup.broker_init import Request
from titik_collector.commands.engineer import engineer
from titik_collector.commands.router import router
from titik_collector.config import edit, model
from titik_collector.config.site_tables import Router

TEXT = """\
# Our city.
[city]
name = "kupang"
title = "Kota Kupang"   # people's name for it
timezone = "Asia/Makassar"

[store]
path = "titik.db"

[[site]]
name = "taman-tirosa"
title = "Taman Tirosa"

# The first router.
[[router]]
name = "tirosa-1"
site = "taman-tirosa"

# The second one stands behind the stage.
[[router]]
name = "tirosa-2"    # since the rains
site = "taman-tirosa"
since = 2026-01-01

[[site]]
name = "perumnas"
title = "Perumnas"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration of two sites and two routers, and no broker of its own."""
    path = tmp_path / "titik.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def broker(file: Path) -> BrokerFolder:
    """The same, with a broker's directory that knows the two routers."""
    made, _ = broker_init.init(file.parent / "broker", Request(routers=("tirosa-1", "tirosa-2")))
    file.write_text(TEXT + '\n[broker]\ndirectory = "broker"\n')
    return made


@pytest.fixture
def certified(file: Path) -> Path:
    """The configuration with a broker that has its own authority, and certified nobody yet."""
    broker_init.init(
        file.parent / "broker", Request(host="localhost", collector_port=free_ports(1)[0])
    )
    file.write_text(TEXT + '\n[broker]\ndirectory = "broker"\n')
    return file


def credentials(file: Path) -> dict[str, str]:
    """Each router's, as `titik router list` says."""
    lines = run(file, "list").output.splitlines()[1:]
    return {line.split()[0]: line.split()[-1] for line in lines}


def run(file: Path, *arguments: str) -> Result:
    """`titik router ARGUMENTS --config FILE`."""
    return CliRunner().invoke(router, [*arguments, "--config", str(file)])


def names(file: Path) -> list[tuple[str, str]]:
    """Routers and their sites, as the file says."""
    return [(one.name, one.site) for one in model.load(file).router]


def test_adding_appends_and_touches_nothing_else(file: Path) -> None:
    """Comments, order and spelling of what was there stay."""
    assert 0 == run(file, "add", "perumnas-1", "--site", "perumnas").exit_code
    added = '\n[[router]]\nname = "perumnas-1"\nsite = "perumnas"\nsince = '
    assert file.read_text().startswith(TEXT + added)
    assert ("perumnas-1", "perumnas") in names(file)


def test_adding_writes_down_since_when(file: Path) -> None:
    """To the second, in the city's time: a store that is begun again knows it too."""
    before = datetime.now(UTC).replace(microsecond=0)
    run(file, "add", "perumnas-1", "--site", "perumnas")
    since = model.load(file).router[-1].since
    assert isinstance(since, datetime)
    assert before <= since <= datetime.now(UTC)
    assert timedelta(hours=8) == since.utcoffset()


def test_removing_takes_the_table_and_leaves_the_comments(file: Path) -> None:
    """A comment may belong to what follows, so it stays."""
    assert 0 == run(file, "remove", "tirosa-1").exit_code
    expected = TEXT.replace('[[router]]\nname = "tirosa-1"\nsite = "taman-tirosa"\n', "", 1)
    assert expected == file.read_text()
    assert [("tirosa-2", "taman-tirosa")] == names(file)


def test_adding_and_removing_leaves_the_file_as_it_was(file: Path) -> None:
    """The two are each other's inverse."""
    run(file, "add", "perumnas-1", "--site", "perumnas")
    run(file, "remove", "perumnas-1")
    assert TEXT == file.read_text()


def test_a_router_has_words_of_its_own(file: Path) -> None:
    """They are read, and written with a router that is new."""
    file.write_text(TEXT.replace('name = "tirosa-1"\n', 'name = "tirosa-1"\ntags = ["roof"]\n'))
    city = model.load(file)
    edit.add_many(city, [Router(name="x", site="perumnas", tags=("lte", "roof"))])
    assert [("roof",), (), ("lte", "roof")] == [one.tags for one in model.load(file).router]


def test_the_file_keeps_its_mode(file: Path) -> None:
    """An edit is no reason for others to read it."""
    file.chmod(0o640)
    run(file, "add", "perumnas-1", "--site", "perumnas")
    assert 0o640 == file.stat().st_mode & 0o777


def test_a_linked_file_stays_a_link(file: Path) -> None:
    """The edit goes to where the link points."""
    link = file.with_name("link.toml")
    link.symlink_to(file)
    assert 0 == run(link, "add", "perumnas-1", "--site", "perumnas").exit_code
    assert link.is_symlink()
    assert ("perumnas-1", "perumnas") in names(file)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("add", "tirosa-3", "--site", "taman-tirosas"), "did you mean taman-tirosa?"),
        (("add", "x-1", "--site", "zoo"), 'no site "zoo"; allowed: taman-tirosa, perumnas'),
        (("add", "tirosa-1", "--site", "perumnas"), '"tirosa-1" is there already, at taman-tirosa'),
        (("add", "Tirosa_3", "--site", "perumnas"), '"Tirosa_3" is no such name; allowed: a name'),
        (("add", "collector", "--site", "perumnas"), "is the collector's user at the broker"),
        (("remove", "tirosa-9"), 'there is no router "tirosa-9"; see: titik router list'),
    ],
)
def test_what_cannot_be_done_is_one_line(
    file: Path, arguments: tuple[str, ...], expected: str
) -> None:
    """The file stays as it was, and the message says what is allowed."""
    done = run(file, *arguments)
    assert 1 == done.exit_code
    assert expected in done.output
    assert 1 == len(done.output.splitlines())
    assert TEXT == file.read_text()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (router, ("add", "tirosa-1", "--site", "taman-tirosa")),
        (router, ("rotate", "tirosa-1")),
        (engineer, ("add", "ina")),
    ],
)
def test_a_credential_without_a_broker_names_what_is_missing(
    file: Path, command: Group, arguments: tuple[str, ...]
) -> None:
    """A broker may well be there, which the file only has to name."""
    done = CliRunner().invoke(command, [*arguments, "--config", str(file)])
    assert 1 == done.exit_code
    assert f"{file}: broker.directory is not set, so" in done.output
    assert 'set directory = "DIR" under [broker] to what `titik broker init DIR` ma' in done.output


def test_a_router_that_is_new_without_a_broker_is_reported_the_same(file: Path) -> None:
    """It is registered, and its credential is another matter."""
    done = run(file, "add", "perumnas-1", "--site", "perumnas")
    assert 0 == done.exit_code
    assert 'set directory = "DIR" under [broker] to what `titik broker init DIR` ma' in done.output


def test_a_broker_that_is_elsewhere_is_to_be_named(file: Path) -> None:
    """Making a second one where the file points would give a city of two."""
    file.write_text(TEXT + '\n[broker]\ndirectory = "broker"\n')
    done = run(file, "add", "tirosa-1", "--site", "taman-tirosa")
    broker = file.parent / "broker"
    assert (
        f"{broker}: no broker there; make it: titik broker init {broker} --config titik.toml;"
        in done.output
    )
    assert "or let directory under [broker] of titik.toml name the one that there is" in done.output


def test_routers_written_otherwise_are_not_guessed_at(file: Path) -> None:
    """An inline array is right TOML, but nothing that lines can be taken from."""
    head = TEXT.partition("# The first")[0]
    text = 'router = [{ name = "a", site = "taman-tirosa" }]\n' + head
    file.write_text(text)
    for arguments in (("remove", "a"), ("add", "b", "--site", "taman-tirosa")):
        done = run(file, *arguments)
        assert "is not written as [[router]] tables; edit the file by hand" in done.output
    assert text == file.read_text()


def test_a_new_router_gets_a_password(file: Path, broker: BrokerFolder) -> None:
    """Its file is for its owner alone, and the broker's password file knows it."""
    done = run(file, "add", "perumnas-1", "--site", "perumnas")
    secret = broker.password_file("perumnas-1")
    assert str(secret) in done.output
    assert 0o600 == secret.stat().st_mode & 0o777
    assert "perumnas-1" in broker.users()


def test_a_removed_router_has_no_password(file: Path, broker: BrokerFolder) -> None:
    """Neither in the broker's file nor on the disk."""
    run(file, "remove", "tirosa-1")
    assert ["collector", "engineer", "tirosa-2"] == broker.users()
    assert not broker.password_file("tirosa-1").exists()


def test_a_router_cannot_have_an_engineers_name(file: Path, broker: BrokerFolder) -> None:
    """It would read what the engineer reads."""
    done = run(file, "add", "engineer", "--site", "perumnas")
    assert "engineer: is another user of the broker; name the router otherwise" in done.output
    assert broker.users() == BrokerFolder.open(broker.path).users()


def test_the_list_has_every_router(file: Path, broker: BrokerFolder) -> None:
    """By site and name, with what it logs in with; `show` says where a password lies."""
    broker.password_file("tirosa-2").unlink()
    lines = run(file, "list").output.splitlines()
    assert ["router", "site", "since", "credential"] == lines[0].split()
    assert ["tirosa-1", "taman-tirosa", "password"] == lines[1].split()
    assert ["tirosa-2", "taman-tirosa", "2026-01-01", "missing"] == lines[2].split()
    assert f"missing: titik broker init {broker.path} --config {file} makes it" == lines[3]
    assert str(broker.password_file("tirosa-1")) in run(file, "show", "tirosa-1").output


@pytest.mark.usefixtures("broker")
def test_the_list_fits_a_terminal(file: Path) -> None:
    """Of 80 columns, with names such as cities give and the time at which a router was added."""
    site = "kantor-camat-kelapa-lima"
    file.write_text(f'{file.read_text()}\n[[site]]\nname = "{site}"\ntitle = "Kelapa Lima"\n')
    assert 0 == run(file, "add", "kelapa-lima-timur-1", "--site", site).exit_code
    assert 80 >= max(map(len, run(file, "list").output.splitlines()))


def test_a_router_that_the_file_lists_gets_its_first_certificate(certified: Path) -> None:
    """`add` makes it once, for the same site; the list shows what a router has."""
    text = certified.read_text()
    assert credentials(certified) == {"tirosa-1": "none", "tirosa-2": "none"}
    done = run(certified, "add", "tirosa-1", "--site", "taman-tirosa")
    assert 0 == done.exit_code, done.output
    assert (certified.parent / "broker/secrets/tirosa-1.sh").exists()
    assert credentials(certified) == {"tirosa-1": "certificate", "tirosa-2": "none"}
    again = run(certified, "add", "tirosa-1", "--site", "taman-tirosa")
    assert (1, True) == (again.exit_code, "titik router rotate tirosa-1" in again.output)
    elsewhere = run(certified, "add", "tirosa-2", "--site", "perumnas")
    assert '"tirosa-2" is there already, at taman-tirosa' in elsewhere.output
    assert text == certified.read_text()


def test_the_list_says_what_is_revoked(certified: Path) -> None:
    """Until it has a new one, which replaces nothing that could be revoked."""
    run(certified, "add", "tirosa-1", "--site", "taman-tirosa")
    assert "titik router rotate tirosa-1" in run(certified, "revoke", "tirosa-1").output
    for site in ("taman-tirosa", "perumnas"):
        again = run(certified, "add", "tirosa-1", "--site", site)
        assert (1, True) == (again.exit_code, "titik router rotate tirosa-1" in again.output)
    assert "revoked" == credentials(certified)["tirosa-1"]
    assert "revoke" not in run(certified, "rotate", "tirosa-1").output
    assert "certificate" == credentials(certified)["tirosa-1"]
    assert "titik router revoke tirosa-1 --old" in run(certified, "rotate", "tirosa-1").output


def test_the_file_says_since_when_a_router_is_revoked(certified: Path) -> None:
    """The collector reads it there; with a new certificate the file is what it was."""
    for name in ("tirosa-1", "tirosa-2"):
        run(certified, "add", name, "--site", "taman-tirosa")
        text = certified.read_text()
        assert 0 == run(certified, "revoke", name).exit_code
        (line,) = set(certified.read_text().splitlines()) - set(text.splitlines())
        assert line.startswith("revoked = 20")
        (revoked,) = (one for one in model.load(certified).router if one.revoked)
        assert name == revoked.name
        assert 0 == run(certified, "rotate", name).exit_code
        assert text == certified.read_text()


def test_a_file_that_cannot_be_edited_keeps_nobody_in(certified: Path) -> None:
    """Its routers are no tables of their own: they are revoked at the broker, with a warning."""
    run(certified, "add", "tirosa-1", "--site", "taman-tirosa")
    head = certified.read_text().split("# The first router.")[0]
    inline = 'router = [{name = "tirosa-1", site = "taman-tirosa"}]\n'
    certified.write_text(inline + head + '[broker]\ndirectory = "broker"\n')
    done = run(certified, "revoke", "tirosa-1")
    assert (0, True) == (done.exit_code, "1 certificate revoked" in done.output)
    assert "warning: the collector shows tirosa-1 as before" in done.output


def test_what_cannot_be_revoked_says_why(certified: Path) -> None:
    """One certificate has nothing older; a router that is not there has none."""
    run(certified, "add", "tirosa-1", "--site", "taman-tirosa")
    for arguments, expected in (
        (("tirosa-1", "--old"), "tirosa-1: has only one certificate, and nothing older to revoke"),
        (("tirosa-2",), "tirosa-2: has no certificate to revoke"),
        (("nope",), 'there is no router "nope"; see: titik router list'),
    ):
        done = run(certified, "revoke", *arguments)
        assert (1, True) == (done.exit_code, expected in done.output)


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_without_tls_it_is_reported_what_cuts_a_router_off(file: Path, verb: str) -> None:
    """Passwords cannot be revoked; and what would make certificates is named."""
    done = run(file, verb, "tirosa-1")
    assert 1 == done.exit_code
    assert "--host NAME" in done.output
    assert "titik router remove NAME" in done.output


def test_a_router_that_the_file_lists_gets_its_missing_password(
    file: Path, broker: BrokerFolder
) -> None:
    """As it would be made with the router; one that has it is there already."""
    broker.remove_users(["tirosa-2"])
    assert 0 == run(file, "add", "tirosa-2", "--site", "taman-tirosa").exit_code
    assert "tirosa-2" in broker.users()
    done = run(file, "add", "tirosa-2", "--site", "taman-tirosa")
    assert '"tirosa-2" is there already' in done.output
