"""Files in folders where others may write too: what they put there is not followed."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from titik_agent import assemble, commands, shared_files
from titik_agent.clock import SystemClock
from titik_agent.config import ConfigError
from titik_agent.probe import process
from titik_agent.sampling.source import SourceError
from titik_agent.sources.leases import LeasesSource, read_unchanged
from titik_agent.sources.since import Since
from titik_agent.spool import checkpoint
from titik_agent.spool.record import Key

NOBODY = 65534


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that somebody wants to be written over."""
    file = tmp_path / "victim"
    file.write_text("of value")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of our own."""
    made = tmp_path / "titik"
    made.mkdir(mode=0o700)
    return made


def test_a_link_in_the_locks_place_is_not_followed(folder: Path, victim: Path) -> None:
    """Whoever made it wants the agent to cut a file of root's."""
    (folder / assemble.LOCK).symlink_to(victim)
    with pytest.raises(ConfigError, match="name another"), assemble._alone(str(folder), "a"):
        pass
    assert "of value" == victim.read_text()


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_folder_where_others_may_write_is_refused(folder: Path, mode: int) -> None:
    """With the command that mends it; `check` fails as well."""
    folder.chmod(mode)
    with (
        pytest.raises(ConfigError, match=f"chmod go-w {folder}"),
        assemble._alone(str(folder), "a"),
    ):
        pass
    output = CliRunner().invoke(commands.titik_agent, ["check", "--config", written(folder)]).output
    assert f"FAIL  spool: others may write in {folder}: chmod go-w {folder}" in output
    folder.chmod(0o755)
    with assemble._alone(str(folder), "a"):
        pass


@pytest.mark.system
def test_a_unknown_routers_folder_is_refused(folder: Path) -> None:
    """He may put another file in the place of each."""
    os.chown(folder, NOBODY, NOBODY)
    with (
        pytest.raises(ConfigError, match=f"is user {NOBODY}'s"),
        assemble._alone(str(folder), "a"),
    ):
        pass


@pytest.mark.system
def test_a_unknown_routers_link_to_a_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    """Root's own leads where root wants it to."""
    link = tmp_path / "link"
    link.symlink_to(folder)
    with assemble._alone(str(link), "a"):
        pass
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(ConfigError, match="is a link of user"), assemble._alone(str(link), "a"):
        pass


def test_a_persist_dir_where_others_may_write_is_refused(folder: Path) -> None:
    """What is there is read at start, and sent."""
    assemble._check_persist(None)
    assemble._check_persist(str(folder / "missing"))
    assemble._check_persist(str(folder))
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match="persist_dir: others may write"):
        assemble._check_persist(str(folder))


def test_a_new_file_takes_the_place_of_a_link(folder: Path, victim: Path) -> None:
    """The checkpoint, the counters' memory and the probe's result are written so."""
    (folder / "spool.checkpoint.tmp").symlink_to(victim)
    checkpoint.Checkpoint(str(folder)).write([(Key("0" * 16, 1, 1), b"record")])
    (folder / "since.new").symlink_to(victim)
    Since(str(folder / "since")).restart("eth0")
    (folder / "result.json.new").symlink_to(victim)
    process.write_result(str(folder / "result.json"), b"{}")
    assert "of value" == victim.read_text()
    assert ["result.json", "since", "spool.checkpoint"] == sorted(os.listdir(folder))


@pytest.mark.system
def test_the_probe_follows_no_unknown_routers_link(folder: Path, tmp_path: Path) -> None:
    """It runs with more rights than the agent."""
    link = tmp_path / "link"
    link.symlink_to(folder)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(shared_files.NotOurs, match="remove it"):
        process.write_result(str(link / "result.json"), b"{}")
    assert [] == os.listdir(folder)


def test_nobody_waits_for_a_pipe(folder: Path) -> None:
    """Anybody may make one where a file is looked for."""
    for name in ("leases", "since", assemble.LOCK):
        os.mkfifo(folder / name)
    with pytest.raises(SourceError):
        read_unchanged(str(folder / "leases"))
    Since(str(folder / "since"))
    assert "leases" == LeasesSource(SystemClock(False), ()).name
    with pytest.raises(ConfigError), assemble._alone(str(folder), "a"):
        pass
    os.unlink(folder / assemble.LOCK)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / assemble.LOCK))
        with pytest.raises(ConfigError), assemble._alone(str(folder), "a"):
            pass


@pytest.mark.thorough
def test_what_the_agent_makes_is_its_own(tmp_path: Path) -> None:
    """Folder and lock, whatever the umask."""
    code = "import os, sys; os.umask(0); from titik_agent import assemble\n"
    code += "with assemble._alone(sys.argv[1], 'a'): pass"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    place = tmp_path / "new" / "spool"
    subprocess.run([sys.executable, "-c", code, str(place)], env=environment, check=True)
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (place, place / assemble.LOCK)]
    assert [0o700, 0o600] == modes


def written(folder: Path) -> str:
    """A configuration whose spool is there."""
    file = folder.with_suffix(".toml")
    file.write_text(
        f'router = "a"\n[broker]\nhost = "127.0.0.1"\nport = 1\n'
        f'[spool]\ndirectory = "{folder}"\n[sources]\nhostapd = "off"\n'
    )
    return str(file)
