"""`titik router import` and `titik router bundles`: many routers at once."""

import io
import os
import re
import tarfile
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result

from tests.collector.test_router_command import TEXT, credentials
from tests.ports import free_ports
from titik_collector.broker_setup import broker_init
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.broker_setup.broker_init import Request
from titik_collector.commands.router import router
from titik_collector.config import model

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration of two sites and two routers, the first with a tag and a comment behind."""
    path = tmp_path / "titik.toml"
    tags = 'name = "tirosa-1"\ntags = [\n  "roof",\n] # since May\n'
    path.write_text(TEXT.replace('name = "tirosa-1"\n', tags))
    return path


@pytest.fixture
def broker(file: Path) -> BrokerFolder:
    """The same with a broker that has its own authority, and certified nobody yet."""
    request = Request(host="localhost", collector_port=free_ports(1)[0])
    made, _ = broker_init.init(file.parent / "broker", request)
    file.write_text(file.read_text() + '\n[broker]\ndirectory = "broker"\n')
    return made


def taken(file: Path, table: str | bytes, *options: str) -> Result:
    """`titik router import` of such a table."""
    there = file.with_name("list.csv")
    there.write_bytes(table if isinstance(table, bytes) else table.encode())
    given = ["import", str(there), *options, "--config", str(file)]
    return CliRunner().invoke(router, given)


def packed(file: Path, *options: str) -> Result:
    """`titik router bundles` into `bundles.tar.age`."""
    to = str(file.with_name("bundles.tar.age"))
    given = ["bundles", "--to", to, *options, "--config", str(file)]
    return CliRunner().invoke(router, given)


def opened(file: Path) -> dict[str, str]:
    """What the archive has, opened with the identity."""
    plain = pyrage.decrypt(file.with_name("bundles.tar.age").read_bytes(), [IDENTITY])
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        members = [(one.name, tar.extractfile(one)) for one in tar.getmembers()]
        return {name: found.read().decode() for name, found in members if found is not None}


LIST = """\
name,site,tags
perumnas-1,perumnas,roof lte
tirosa-1,taman-tirosa,lte
tirosa-2,taman-tirosa,
"""


def test_a_list_adds_routers_and_tags(file: Path) -> None:
    """All else in the file stays, to the comment behind a tag."""
    before = file.read_text()
    done = taken(file, LIST)
    assert (
        "+ perumnas-1 at perumnas, tags roof lte\n"
        "~ tirosa-1 at taman-tirosa, tags + lte\n"
        "1 router is new, 1 gets tags, 1 is so already\n"
    ) == done.output
    tags = {one.name: one.tags for one in model.load(file).router}
    assert {"tirosa-1": ("roof", "lte"), "tirosa-2": (), "perumnas-1": ("roof", "lte")} == tags
    changed = before.replace('tags = [\n  "roof",\n]', 'tags = ["roof", "lte"]')
    assert file.read_text().startswith(changed + '\n[[router]]\nname = "perumnas-1"\n')


def test_what_is_noted_between_tags_stays(file: Path) -> None:
    """Above the line that they become."""
    file.write_text(file.read_text().replace('"roof",', '"roof",  # the tall one'))
    assert taken(file, LIST).exit_code == 0
    assert '# the tall one\ntags = ["roof", "lte"] # since May\n' in file.read_text()


def test_a_router_without_tags_gets_its_line(file: Path) -> None:
    """In its own table, before the comment that leads to the next one."""
    taken(file, "name,site,tags\ntirosa-2,taman-tirosa,roof\ntirosa-1,taman-tirosa,b\n")
    assert 'since = 2026-01-01\ntags = ["roof"]\n\n[[site]]' in file.read_text()


def test_the_same_list_again_changes_nothing(file: Path) -> None:
    """So it may be kept, extended and taken again."""
    taken(file, LIST)
    before = file.read_text()
    assert "0 routers are new, 0 get tags, 3 are so already\n" == taken(file, LIST).output
    assert before == file.read_text()


def test_a_dry_run_shows_and_changes_nothing(file: Path) -> None:
    """The lines are those of the real one."""
    before, shown = file.read_text(), taken(file, LIST, "--dry-run").output
    assert before == file.read_text()
    last = "nothing was changed; without --dry-run it is\n"
    assert taken(file, LIST).output + last == shown


@pytest.mark.parametrize(
    "table",
    [
        "\ufeffSite;Name;Tags\r\nperumnas;perumnas-1;roof lte\r\n",
        'tags, name ,site\n"roof, lte",perumnas-1,perumnas\n\n,,\n',
        "name,site\nperumnas-1,perumnas\n",
    ],
    ids=["as Excel saves it in Indonesia", "another order, with blanks", "no tags"],
)
def test_columns_are_named_by_the_header(file: Path, table: str) -> None:
    """Whatever their order, and whichever separator the spreadsheet writes."""
    done = taken(file, table)
    assert 0 == done.exit_code, done.output
    last = model.load(file).router[-1]
    assert ("perumnas-1", "perumnas") == (last.name, last.site)
    assert ("roof", "lte")[: len(last.tags)] == last.tags


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "list.csv: is empty; begin the file with the line name,site,tags"),
        ("name,tags\n", "line 1: there is no column site; begin"),
        ("name,sites\n", "line 1, column 2: there is no column 'sites'; did you mean site?"),
        ("name,site,kind\n", "line 1, column 3: there is no column 'kind'; allowed: name, site, t"),
        ("name,site,name\n", "line 1, column 3: name is there twice"),
        ("name,site\nA b,perumnas\n", 'line 2, column name: "A b" is no name; allowed: a-z, 0-9'),
        ("name,site\n,perumnas\n", "line 2, column name: is empty; allowed:"),
        ("name,site\n-x,perumnas\n", 'line 2, column name: "-x" begins with -; begin a name'),
        ("name,site\nx,perumnass\n", 'line 2, column site: no site "perumnass"; did you mean per'),
        ("name,site\nx,perumnas\nx,perumnas\n", "line 3, column name: x is in line 2 already"),
        ("name,site\ntirosa-1,perumnas\n", "line 2, column site: tirosa-1 stands at taman-tirosa"),
        ("name,site,tags\nx,perumnas,Roof\n", 'line 2, column tags: "Roof" is no name; allowed'),
        ("name,site,tags\nx,perumnas,a,b\n", "line 2: has 4 columns, the header 3; put tags into"),
        (
            "name,site,tags\nx,perumnas," + " ".join(f"t{one}" for one in range(21)) + "\n",
            "line 2, column tags: makes more than 20 tags; leave some out",
        ),
        ('name,site\n"x,perumnas\n', "is no CSV (unexpected end of data); save it as CSV again"),
        (b"name,site\nx,\xff\n", "line 2: is not UTF-8; save it as CSV UTF-8"),
    ],
)
def test_what_is_wrong_is_reported_with_line_and_column(
    file: Path, table: str | bytes, expected: str
) -> None:
    """And with what is allowed; nothing of the list is taken."""
    before = file.read_text()
    done = taken(file, table)
    assert 1 == done.exit_code, done.output
    assert expected in done.output
    assert before == file.read_text()


def test_all_that_is_wrong_is_reported_at_once(file: Path) -> None:
    """The first ones where a column was mixed up all the way down; the good lines wait too."""
    table = "name,site\ngood,perumnas\n" + "".join(f"x{one},?\n" for one in range(30))
    output = taken(file, table).output
    assert 20 == output.count('column site: "?" is no name')
    assert output.endswith("\nand 10 more\n")
    assert 2 == len(model.load(file).router)


def test_faults_of_all_kinds_are_reported_at_once(file: Path) -> None:
    """By line: what is no name, and what does not fit the file or the other lines."""
    table = "name,site\nx,perumnass\nA b,perumnas\nx,perumnas\ntirosa-1,perumnas\ny,?\n"
    found = re.findall(r"line \d, column \w+", taken(file, table).output)
    assert [
        "line 2, column site",
        "line 3, column name",
        "line 4, column name",
        "line 5, column site",
        "line 6, column site",
    ] == found


def test_a_list_brings_credentials_where_it_is_asked_for(file: Path, broker: BrokerFolder) -> None:
    """Those of the list that lack them, new or not, and no other."""
    done = taken(file, "name,site\nperumnas-1,perumnas\ntirosa-1,taman-tirosa\n", "--bundles")
    assert "2 routers got credentials; run each on its router" in done.output
    expected = {"tirosa-1": "certificate", "perumnas-1": "certificate", "tirosa-2": "none"}
    assert expected == credentials(file)
    assert broker.bundle_file("perumnas-1").exists()


def test_a_name_of_another_user_is_no_routers(file: Path, broker: BrokerFolder) -> None:
    """It would be let in as the collector."""
    name = broker.settings.collector
    done = taken(file, f"name,site\n{name},perumnas\n")
    assert f"line 2, column name: {name} is another user of the broker" in done.output


def test_many_bundles_are_one_sealed_archive(file: Path, broker: BrokerFolder) -> None:
    """Its key opens it; no key of a router lies on the server in plain."""
    done = packed(file, "--all", "--recipient", RECIPIENT)
    assert 0 == done.exit_code, done.output
    assert "2 bundles are in " in done.output
    found = opened(file)
    assert ["tirosa-1.sh", "tirosa-2.sh"] == sorted(found)
    assert all("PRIVATE KEY" in one and one.startswith("#!/bin/sh") for one in found.values())
    keys = [one.split("PRIVATE KEY-----")[1].split("-----END")[0] for one in found.values()]
    for folder, _, names in os.walk(file.parent):
        for name in names:
            content = (Path(folder) / name).read_bytes()
            assert not any(key.encode() in content for key in keys), name
    assert {"tirosa-1": "certificate", "tirosa-2": "certificate"} == credentials(file)
    assert {"tirosa-1", "tirosa-2"} <= set(broker.users())


def test_bundles_that_lie_there_move_into_the_archive(file: Path, broker: BrokerFolder) -> None:
    """With the key that they have; a router whose bundle was fetched is left alone."""
    for name in ("tirosa-1", "tirosa-2"):
        CliRunner().invoke(router, ["add", name, "--config", str(file)])
    plain = broker.bundle_file("tirosa-1").read_text()
    broker.bundle_file("tirosa-2").unlink()
    assert "1 of them was in " in packed(file, "--all", "--recipient", RECIPIENT).output
    assert {"tirosa-1.sh": plain} == opened(file)
    assert not broker.bundle_file("tirosa-1").exists()


def test_an_archive_is_whole_or_not_there(file: Path, broker: BrokerFolder) -> None:
    """Where it fails in the middle nobody was certified, so it can be tried again."""
    CliRunner().invoke(router, ["add", "tirosa-2", "--config", str(file)])
    broker.bundle_file("tirosa-2").unlink()
    broker.bundle_file("tirosa-2").mkdir()
    done = packed(file, "--all", "--recipient", RECIPIENT)
    assert "Is a directory" in done.output
    assert {"tirosa-1": "none", "tirosa-2": "certificate"} == credentials(file)
    assert not file.with_name("bundles.tar.age").exists()


def test_what_cannot_be_packed_says_why(file: Path, broker: BrokerFolder) -> None:
    """In one line, with the remedy."""
    assert "give --recipient, because backup.recipient is not set" in packed(file, "--all").output
    bad = packed(file, "--all", "--recipient", "age1x").output
    assert "--recipient: is no public key of age" in bad
    assert {"tirosa-1": "none", "tirosa-2": "none"} == credentials(file)
    given = ("--recipient", RECIPIENT)
    assert "give the NAMEs of routers, or --all alone" in packed(file, *given).output
    assert 'there is no router "nope"' in packed(file, "nope", *given).output
    CliRunner().invoke(router, ["add", "tirosa-1", "--config", str(file)])
    broker.bundle_file("tirosa-1").unlink()
    output = packed(file, "tirosa-1", *given).output
    assert (
        "tirosa-1: no bundle waits, because the router has its key; for another: titik router"
        in (output)
    )
    packed(file, "--all", *given)
    assert (
        "is there already, and may hold keys; name another" in packed(file, "--all", *given).output
    )
    file.with_name("bundles.tar.age").unlink()
    broker.bundle_file("tirosa-2").unlink(missing_ok=True)
    assert "nothing to do: none of 2 routers waits" in packed(file, "--all", *given).output
