"""The agent's configuration file: what it says when it is wrong."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from titik_agent import config
from titik_agent.config import ConfigError

# What files say, or what is wrong with them: by a child, and then here.
READ_ALL = """
import re, sys
from titik_agent import config

def load(file, read):
    try:
        return repr(config.load(file, read=read))
    except config.ConfigError as error:
        return re.sub("datetime.date.*?[)]|{'1979-05-27': None}", "a date", str(error))

apart = [load(file, config.read_apart) for file in sys.argv[1:]]
parsers = [one for one in sys.modules if one.startswith("tomllib")]
print(apart)
print([load(file, config.read) for file in sys.argv[1:]])
print(parsers)
"""
GOOD = 'router = "tirosa-1"\n[broker]\nhost = "broker.example"\n'


def load(tmp_path: Path, text: str) -> config.Config:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    return config.load(str(file))


def test_a_broker_and_a_name_are_enough() -> None:
    """Any Linux machine runs with two flags."""
    settings = config.load(None, "laptop", "broker.example:1884")

    assert ("laptop", "broker.example", 1884, 30) == (
        settings.router,
        settings.broker.host,
        settings.broker.port,
        settings.interval_s,
    )


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """An installer tries another broker without editing."""
    (tmp_path / "a.toml").write_text(GOOD)

    settings = config.load(str(tmp_path / "a.toml"), "other-1", "[::1]:1883")

    assert ("other-1", "::1", 1883) == (
        settings.router,
        settings.broker.host,
        settings.broker.port,
    )


WRONG = [
    ("router = 3\n", "router: 3 must be text in quotes"),
    ('router = "Tirosa 1"\n', "router: 'Tirosa 1' is no router name"),
    ('router = "a"\n', "broker.host: is missing"),
    (GOOD + "prot = 1\n", "broker.prot: no such key; did you mean port?"),
    (GOOD + "xyzzy = 1\n", "broker.xyzzy: no such key; there are host, port"),
    ('[broker]\nhost = "a"\n', "router: is missing; give this router's name"),
    (
        'router = "a"\nbroker = "localhost"\n',
        'broker: must be a table: a line [broker], and below it host = "localhost"',
    ),
    ("interval_s = 0\n" + GOOD, "interval_s: 0 is out of range; use 1 to 3600"),
    ("interval_s = true\n" + GOOD, "interval_s: True must be a whole number"),
    (
        'interval_s = "30"\n' + GOOD,
        "interval_s: '30' must be a whole number, from 1 to 3600, without quotes",
    ),
    ("router = tirosa-1\n", "(at line 1, column 10); is a text without quotes?"),
    ('clock = "maybe"\n' + GOOD, "clock: 'maybe' is none of auto, trusted"),
    (GOOD + 'ca_file = "x"\n', "broker.ca_file: needs broker.tls = true"),
    (GOOD + 'tls = true\ncert_file = "x"\n', "broker.cert_file: and broker.key_file go together"),
    (GOOD + '[reach]\ntargets = ["a"]\n', "reach.targets: 'a' is no address"),
    (GOOD + f"[reach]\ntargets = {['a:1'] * 9}\n", "reach.targets: at most 8"),
    (GOOD + f"[reach]\nnames = {['a.test'] * 9}\n", "reach.names: at most 8"),
    (GOOD + "[reach]\ntargets = [1]\n", "reach.targets: [1] must be a list of texts"),
    (GOOD + "[spool]\nlimit_bytes = 10\n", "spool.limit_bytes: 10 is out of range"),
    ("spool = 1\n" + GOOD, "spool: must be a table"),
    ('router = "a\n', "at line 1"),
    ("\ud800", "agent.toml"),
]


@pytest.mark.parametrize(("text", "output"), WRONG)
def test_an_error_names_file_key_and_remedy(tmp_path: Path, text: str, output: str) -> None:
    """The operator mends it without reading code."""
    file = tmp_path / "agent.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as caught:
        config.load(str(file))

    assert str(file) in str(caught.value)
    assert output in str(caught.value)


@pytest.mark.thorough
def test_an_agent_that_runs_reads_the_same_in_a_child(tmp_path: Path) -> None:
    """With every error, and with dates, which JSON has none of; the parser is not left behind."""
    texts = [*[text for text, _ in WRONG], GOOD, GOOD + "port = 1979-05-27\n", GOOD + "x = nan\n"]
    files = [tmp_path / f"{number}.toml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, *map(str, files), str(tmp_path / "none.toml")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    in_child, here, parsers = done.stdout.splitlines()
    assert [here, "[]"] == [in_child, parsers]


@pytest.mark.parametrize(
    "trouble",
    [OSError(errno.ENOMEM, "no memory for a child"), ValueError("half an answer"), None],
)
def test_what_no_child_reads_is_read_here(tmp_path: Path, trouble: Exception | None) -> None:
    """So no agent stays away for the lack of one, and the errors have their reasons."""

    def call(_: Callable[[], Any]) -> None:
        if trouble is not None:
            raise trouble

    file = tmp_path / "agent.toml"
    file.write_text(GOOD)
    assert config.read(str(file)) == config.read_apart(str(file), call)
    with pytest.raises(ConfigError, match=r"none\.toml: No such file .*docs/config.md"):
        config.read_apart(str(tmp_path / "none.toml"), call)


def test_a_date_is_no_text(tmp_path: Path) -> None:
    """Nor is what a child makes of it."""
    file = tmp_path / "agent.toml"
    file.write_text("router = 1979-05-27\n" + GOOD.partition("\n")[2])
    with pytest.raises(ConfigError, match=r"router: .*must be text in quotes"):
        config.load(str(file))


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    """The default file may be missing; a named one may not."""
    with pytest.raises(ConfigError, match=r"No such file.*--config"):
        config.load(str(tmp_path / "none.toml"))


def test_the_password_is_read_from_its_file(tmp_path: Path) -> None:
    """It is never in the configuration, on the command line or in the environment."""
    (tmp_path / "secret").write_text("hush\n")
    settings = load(tmp_path, GOOD + f'password_file = "{tmp_path / "secret"}"\n')

    assert "hush" == config.password(settings)
    with pytest.raises(ConfigError, match=r"broker\.password_file"):
        config.password(load(tmp_path, GOOD + 'password_file = "/none"\n'))


def test_a_missing_password_file_is_named_once_with_the_remedy(tmp_path: Path) -> None:
    """The path as it was looked for, whatever directory the command was typed in."""
    settings = load(tmp_path, GOOD + 'password_file = "keys/secret"\n')
    path = tmp_path / "keys" / "secret"

    with pytest.raises(ConfigError) as caught:
        config.password(settings)
    assert 1 == str(caught.value).count("secret")
    assert f"{path}: No such file or directory; put the router's password there" in str(
        caught.value
    )


def test_a_relative_path_starts_at_the_files_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service starts in another directory than the one who wrote the file; all paths alike."""
    (tmp_path / "etc").mkdir()
    text = (
        GOOD + 'tls = true\npassword_file = "p"\nca_file = "ca"\ncert_file = "c"\nkey_file = "k"\n'
        '[spool]\ndirectory = "d"\npersist_dir = "f"\n'
        '[sources]\nubus_socket = "u"\ncontrol_dir = "h"\nlease_files = ["l", "/l"]\n'
        '[probe]\nresult_file = "r"\n'
    )
    (tmp_path / "etc" / "agent.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    settings = config.load("etc/agent.toml")
    broker, spool, sources = settings.broker, settings.spool, settings.sources

    single = (
        broker.password_file, broker.ca_file, broker.cert_file, broker.key_file, spool.directory,
        spool.persist_dir, sources.ubus_socket, sources.control_dir, settings.probe.result_file,
    )  # fmt: skip
    assert tuple(f"{tmp_path}/etc/{one}" for one in ("p", "ca", "c", "k", *"dfuhr")) == single
    assert (f"{tmp_path}/etc/l", "/l") == sources.lease_files


def test_ranges_of_port(tmp_path: Path) -> None:
    """A port is a port."""
    with pytest.raises(ConfigError, match=r"broker\.port: 70000 is out of range; use 0 to 65535"):
        load(tmp_path, GOOD + "port = 70000\n")
