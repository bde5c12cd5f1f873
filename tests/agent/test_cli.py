"""What an installer types, and what the agent answers."""

import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from titik_agent import assemble, commands, config
from titik_agent.config import ConfigError
from titik_wire import codec, topics
from titik_wire.messages import Sample


@pytest.mark.usefixtures("caplog")  # this machine may lack an access point, which is reported
def test_once_prints_a_sample_of_this_machine(tmp_path: Path) -> None:
    """A laptop without an access point still has an uplink or a host to report."""
    file = tmp_path / "agent.toml"
    file.write_text('router = "laptop"\nspool.directory = "spool"\n')
    arguments = ["once", "--config", str(file), "--broker", "localhost"]
    result = CliRunner().invoke(commands.titik_agent, arguments)
    payload = json.dumps(json.loads(result.stdout)).encode()
    sample = codec.decode(topics.sample("laptop"), payload)

    assert 0 == result.exit_code
    assert isinstance(sample, Sample)
    assert sample.host is not None
    assert sample.clients is None


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["run"], "/agent.toml: No such file or directory; write it as docs/config.md shows"),
        (["run", "--router", "a"], "or give --router and --broker"),
        (["check", "--config", "/none.toml"], "/none.toml: No such file or directory"),
        (["run", "--router", "a", "--broker", "a b"], "--broker: 'a b' is no address"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, and the remedy beside it."""
    # This machine may have an agent of its own.
    monkeypatch.setattr(config, "DEFAULT_FILE", str(tmp_path / "agent.toml"))
    result = CliRunner().invoke(commands.titik_agent, arguments)

    assert 1 == result.exit_code
    assert output in result.output
    assert 1 == len(result.output.splitlines())


@pytest.mark.parametrize(
    ("arguments", "start", "end"),
    [
        (["rnu"], "Error: No such command 'rnu'", "Try 'titik-agent --help'."),
        (["--rnu"], "Error: No such option", "Try 'titik-agent --help'."),
        (["check", "--rnu"], "Error: No such option", "Try 'titik-agent check --help'."),
        (["run", "x"], "Error: Got unexpected extra argument (x).", "run --help'."),
        (["check", "--config"], "Error: Option '--config' requires", "--help'."),
        (["probe", "--every", "1"], "Error: Invalid value for", "Try 'titik-agent probe --help'."),
    ],
)
def test_what_is_typed_wrong_is_one_line(arguments: list[str], start: str, end: str) -> None:
    """An installer reads it on a phone: what it is, and where to look."""
    result = CliRunner().invoke(commands.titik_agent, arguments, prog_name="titik-agent")
    lines = result.output.splitlines()

    assert 2 == result.exit_code
    assert [True] == [line.startswith(start) and line.endswith(end) for line in lines]


def test_a_second_agent_on_one_spool_is_refused(tmp_path: Path) -> None:
    """Two would report the same clients twice."""
    with (
        assemble._alone(str(tmp_path), "tirosa-1"),
        pytest.raises(ConfigError, match="the agent of tirosa-1 runs"),
        assemble._alone(str(tmp_path), "tirosa-2"),
    ):
        pass


def test_a_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """An installer mends a wrong path; an agent in RAM for ever would hide it."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"spool\.directory: .*; name another"),
        assemble._alone(str(tmp_path / "file" / "spool"), "tirosa-1"),
    ):
        pass


def test_a_disk_that_is_full_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """It costs the spool's directory, not the reports."""

    def full(path: str, mode: int, exist_ok: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path, mode, exist_ok)

    monkeypatch.setattr(os, "makedirs", full)
    with assemble._alone(str(tmp_path / "spool"), "tirosa-1"):
        pass

    assert ["spool not locked, going on"] == [one.getMessage()[:26] for one in caplog.records]


def test_help_names_every_command() -> None:
    """The first thing that is typed."""
    result = CliRunner().invoke(commands.titik_agent, ["--help"])

    assert all(name in result.stdout for name in ("check", "once", "probe", "run"))
