"""The systemd units that `titik broker init --host` writes, judged by systemd."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from titik_collector.enrolment.authority import SERVER_RENEW_DAYS
from titik_collector.enrolment.signing import CRL_DAYS
from titik_collector.units import systemd_units
from titik_collector.units.prerequisites import Layout
from titik_collector.units.systemd_units import Mosquitto

pytestmark = pytest.mark.system

UNITS = (
    "titik-backup-verify.service",
    "titik-backup-verify.timer",
    "titik-backup.service",
    "titik-backup.timer",
    "titik-broker.service",
    "titik-collector.service",
    "titik-litestream.service",
    "titik-notify.service",
    "titik-public.service",
    "titik-renew.service",
    "titik-renew.timer",
    "titik-twin.service",
    "titik-twin.timer",
    "titik-web.service",
)
SERVICES = [one for one in UNITS if one.endswith(".service")]
MAX_EXPOSURE = 3.0  # of 10; "OK" in systemd's own words begins below 5
DIRECTORIES = ("/var/lib/titik/broker", '/var/lib/a "broker" of 100 %')
BROKER = Mosquitto(
    directory=Path(DIRECTORIES[0]),
    account="mosquitto",
    collector="collector",
    lowest_port=1883,
    has_twins=True,
)


def place(directory: Path = Path(DIRECTORIES[0])) -> Layout:
    """A city of root's, with a program that is there."""
    return Layout(
        directory, Path("/etc/titik/titik.toml"), Path("/var/lib/titik city/titik.db"),
        Path("/bin/true"), "mosquitto", "titik", "titik-web", "titik-notify", "root",
    )  # fmt: skip


def written(
    folder: Path, directory: Path = Path(DIRECTORIES[0]), on_server: bool = False
) -> list[Path]:
    """The units of that city, in a folder."""
    city = replace(place(directory), store=None) if on_server else place(directory)
    for name, text in systemd_units.texts(city, BROKER).items():
        (folder / name).write_text(text)
    return sorted(folder.iterdir())


def analyzed(*words: str) -> str:
    """What systemd itself says, in UTC; its exit status is 0 also when it complains."""
    done = subprocess.run(
        ["systemd-analyze", *words],
        env={**os.environ, "TZ": "UTC"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def value(unit: Path, key: str) -> str:
    """What a unit says of a key."""
    (found,) = re.findall(rf"^{key}=(.*)$", unit.read_text(), re.M)
    return str(found)


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_systemd_has_no_complaint(tmp_path: Path, directory: str) -> None:
    """About any unit, wherever the broker's directory is."""
    found = written(tmp_path, Path(directory))
    assert sorted(UNITS) == [one.name for one in found]
    assert "" == analyzed("verify", "--man=no", *map(str, found))


def test_a_twin_renews_nothing() -> None:
    """Its first broker does, so it has no unit that fails each week."""
    found = systemd_units.texts(place(), replace(BROKER, has_twins=False, is_twin=True))
    left = ("titik-renew.", "titik-twin.")
    assert [one for one in UNITS if not one.startswith(left)] == sorted(found)


@pytest.mark.parametrize("key", ["ExecStart", "Restart", "ProtectHome", "OnCalendar"])
def test_a_misspelled_key_is_a_complaint(tmp_path: Path, key: str) -> None:
    """So the test above can fail."""
    found = written(tmp_path)
    for unit in found:
        unit.write_text(unit.read_text().replace(f"{key}=", f"{key}s="))
    assert f"{key}s" in analyzed("verify", "--man=no", *map(str, found))


@pytest.mark.parametrize("name", SERVICES)
def test_little_is_exposed(tmp_path: Path, name: str) -> None:
    """What a program can do that was taken over, by systemd's own measure."""
    written(tmp_path)
    output = analyzed("security", "--offline=yes", str(tmp_path / name))
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", output)
    assert float(exposure) <= MAX_EXPOSURE, output


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_limits(tmp_path: Path, name: str) -> None:
    """Memory and processes of one never take the machine from the others."""
    written(tmp_path)
    assert value(tmp_path / name, "MemoryMax").endswith(("M", "G"))
    # The page may serve a folder by 40 threads, and each receiver has one.
    most = {"titik-web.service": 64, "titik-notify.service": 256}.get(name, 32)
    assert int(value(tmp_path / name, "TasksMax")) <= most


@pytest.mark.parametrize(
    "needed",
    [
        "from titik_collector.timeline.server_clock import boot_id; boot_id()",
        "import psutil; psutil.net_connections('tcp')",
    ],
)
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_finds_in_proc_what_it_reads(tmp_path: Path, name: str, needed: str) -> None:
    """Mounted as systemd mounts it for the unit: without it the collector does not start."""
    written(tmp_path)
    (subset,) = re.findall(r"^ProcSubset=(.*)$", (tmp_path / name).read_text(), re.M) or ["all"]
    options = "subset=pid" if subset == "pid" else "rw"
    script = f'mount -t proc -o {options} proc /proc && exec "$0" -c "$1"'
    inside = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, sys.executable, needed]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_a_path_is_quoted_where_systemd_needs_it(tmp_path: Path) -> None:
    """Else `%` begins a specifier, and a space the next argument."""
    written(tmp_path, Path("/srv/100 % broker"))
    started = value(tmp_path / "titik-broker.service", "ExecStart")
    assert started.endswith(' broker run "/srv/100 %% broker"')


def test_the_collector_may_write_where_the_store_is(tmp_path: Path) -> None:
    """And nowhere else; the configuration may lie in /etc."""
    written(tmp_path)
    unit = tmp_path / "titik-collector.service"
    assert '"/var/lib/titik city"' == value(unit, "ReadWritePaths")


def test_the_page_may_write_the_desk_alone(tmp_path: Path) -> None:
    """Its folder is made before, whoever owns the store's; no link in it is followed."""
    written(tmp_path)
    unit = tmp_path / "titik-web.service"
    desk = "/var/lib/titik city/titik.db.desk"
    assert ("titik-web", f'"{desk}"') == (value(unit, "User"), value(unit, "ReadWritePaths"))
    made = f"mkdir -p -m 710 '{desk}' && chown -hR titik-web:titik '{desk}'"
    assert f'+/bin/sh -c "{made}"' == value(unit, "ExecStartPre")
    assert "0027" == value(tmp_path / "titik-collector.service", "UMask")


def test_a_store_on_a_server_is_reached_and_no_folder_is_written(tmp_path: Path) -> None:
    """By the collector and by the nightly backup."""
    found = written(tmp_path, on_server=True)
    assert "" == analyzed("verify", "--man=no", *map(str, found))
    for name in ("titik-collector.service", "titik-backup.service"):
        assert "ReadWritePaths" not in (tmp_path / name).read_text()
        assert "AF_UNIX AF_INET AF_INET6" == value(tmp_path / name, "RestrictAddressFamilies")


def test_the_collector_may_look_how_old_backups_are(tmp_path: Path) -> None:
    """And at nothing in them: new files are their owner's alone."""
    written(tmp_path)
    unit = tmp_path / "titik-backup.service"
    assert ("titik-backups", "0755", "0077") == tuple(
        value(unit, key) for key in ("StateDirectory", "StateDirectoryMode", "UMask")
    )


def test_the_public_page_is_off_until_somebody_enables_it(tmp_path: Path) -> None:
    """Its folder is made by systemd, and everybody may read it; nothing else is written."""
    written(tmp_path)
    unit = tmp_path / "titik-public.service"
    assert "titik-public" not in systemd_units.ENABLED
    assert ("titik-public", "0755", "0022") == tuple(
        value(unit, key) for key in ("StateDirectory", "StateDirectoryMode", "UMask")
    )
    assert "ReadWritePaths" not in unit.read_text()


def test_the_store_is_shipped_where_that_is_configured(tmp_path: Path) -> None:
    """By the collector's user, to what is mounted; without the file systemd skips the unit."""
    written(tmp_path)
    unit = tmp_path / "titik-litestream.service"
    assert ("titik", "/etc/titik/litestream.yml") == tuple(
        value(unit, key) for key in ("User", "ConditionPathExists")
    )
    assert value(unit, "ExecStart").endswith("replicate -config /etc/titik/litestream.yml")
    paths = ['"/var/lib/titik city"', "-/mnt -/srv"]
    assert paths == re.findall(r"^ReadWritePaths=(.*)$", unit.read_text(), re.M)


def test_a_store_on_a_server_is_not_shipped(tmp_path: Path) -> None:
    """Its server has an archive of its own."""
    names = [one.name for one in written(tmp_path, on_server=True)]
    assert "titik-litestream.service" not in names


def test_who_reports_that_it_lives_is_watched(tmp_path: Path) -> None:
    """A process that never reports to systemd that it lives would be killed again and again."""
    watched = [one.name for one in written(tmp_path) if "WatchdogSec" in one.read_text()]
    assert ["titik-collector.service", "titik-notify.service"] == watched


def test_the_timer_renews_long_before_anything_ends(tmp_path: Path) -> None:
    """Every week, and missed weeks are made up for; it may fail for years and nothing has ended."""
    written(tmp_path)
    timer = tmp_path / "titik-renew.timer"
    base = "--base-time=2026-11-24 12:00:00 UTC"
    reported = analyzed("calendar", value(timer, "OnCalendar"), base, "--iterations=3")
    days = [int(day) for day in re.findall(r"2026-1[12]-(\d\d) 00:00:00 UTC", reported)][-3:]
    assert [30, 7, 14] == days, reported
    assert "true" == value(timer, "Persistent")
    assert 7 * 52 < SERVER_RENEW_DAYS < CRL_DAYS
    assert "titik-renew.timer titik-backup.timer" in systemd_units.ENABLED


def test_a_backup_is_looked_into_each_week(tmp_path: Path) -> None:
    """After that of the night, and the newest one is older than a week for no longer than a day."""
    written(tmp_path)
    timer = tmp_path / "titik-backup-verify.timer"
    base = "--base-time=2026-11-28 00:00:00 UTC"
    reported = analyzed("calendar", value(timer, "OnCalendar"), base, "--iterations=3")
    days = [int(day) for day in re.findall(r"2026-1[12]-(\d\d) 04:30:00 UTC", reported)][-3:]
    assert [29, 6, 13] == days, reported
    unit = tmp_path / "titik-backup-verify.service"
    assert value(unit, "ExecStart").endswith(
        " backup verify --config /etc/titik/titik.toml %S/titik-backups"
    )
    assert "root" == value(unit, "User")
    assert systemd_units.ENABLED.endswith(timer.name)


def test_who_delivers_may_write_its_own_folder_alone(tmp_path: Path) -> None:
    """It reads the store by its group; the desk and the page's secrets are not its own."""
    written(tmp_path)
    unit = tmp_path / "titik-notify.service"
    folder = "/var/lib/titik city/titik.db.notify"
    assert ("titik-notify", f'"{folder}"') == (value(unit, "User"), value(unit, "ReadWritePaths"))
    made = f"mkdir -p -m 2750 '{folder}' && chown -hR titik-notify:titik '{folder}'"
    again = f"find '{folder}' -maxdepth 0 -type d -exec chmod 2750 {{}} +"
    assert f'+/bin/sh -c "{made} && {again}"' == value(unit, "ExecStartPre")
    assert "broker:/var/lib/titik/broker/secrets/engineer.password" == value(unit, "LoadCredential")
