"""What an engineer is given: the file, the certificate, the login and the lines of each shell."""

import re
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import enrolled
from tests.broker.enrolled import City
from tests.broker.running import Client, RunningBroker
from tests.project.sources import ROOT
from titik_collector.enrolment import engineer_login
from titik_collector.enrolment.engineer_login import PROGRAM
from titik_wire.topics import CLIENT_ID

NOW = "titik/v1/now/city"
TELEGRAF = ROOT / "deploy" / "telegraf" / "titik.conf"
ONCE = ("-C", "1", "-W", "60")
AWKWARD = '-it\'s $HOME `id` "50%" & \\n ^é\\'
LOGIN = ("ina", "mqtt.example.org", 8884)
WINDOWS = ("x", "-Pw_9", "two  words", "it's", "$HOME`n", "a&b|c<d>e^f", "!x!;(y)", "C:\\x", "#1,")
NOT_WINDOWS = ('a"b', "%PATH%", "50%", "end\\", "é", "a\tb")


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A city whose `now` is on the broker."""
    city = enrolled.made(tmp_path_factory.mktemp("city"))
    broker = city.broker
    password = broker.password("collector")
    with RunningBroker(broker):
        with Client(broker.ports.collector, "collector", password, f"{CLIENT_ID}main") as collector:
            collector.publish(NOW, b"17", retain=True)
        yield city


def output(*words: str, folder: Path | None = None) -> str:
    """What a program writes."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert "" == done.stderr
    return done.stdout


def line_for(heading: str, text: str) -> str:
    """Of what `titik engineer add` prints."""
    found = text.splitlines()
    return found[found.index(heading) + 1].strip()


@pytest.mark.system
def test_an_engineers_file_is_all_it_takes(reading: City) -> None:
    """The script runs as it stands, and the user can read until they are removed."""
    reading.says("engineer", "add", "ina")
    file = reading.folder / "broker/secrets/ina.sh"
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert f"{NOW} 17\n" == output("sh", str(file), *ONCE)
    assert "ina" in reading.says("engineer", "list").split()
    reading.says("engineer", "remove", "ina")
    assert "ina" not in reading.says("engineer", "list").split()
    assert "ina" not in reading.broker.users()


@pytest.mark.system
def test_options_are_added_to_the_default_topic(reading: City) -> None:
    """A format alone needs no topic; who names a topic gets that one alone."""
    reading.says("engineer", "add", "budi")
    file = str(reading.folder / "broker/secrets/budi.sh")
    assert f"{NOW}: 17\n" == output("sh", file, "-F", "%t: %p", *ONCE)
    version = "$SYS/broker/version"
    for option in ("-t", "--topic"):
        assert "mosquitto version" in output("sh", file, *ONCE, option, version)


@pytest.mark.system
@pytest.mark.parametrize(("name", "password"), [("sari", None), ("awkward", AWKWARD)])
def test_the_login_works_in_a_shell(
    reading: City, name: str, password: str | None, tmp_path: Path
) -> None:
    """The line as it is printed, with the certificate beside it, and the file."""
    if password is not None:  # the operator chose it
        (reading.folder / f"broker/secrets/{name}.password").write_text(password + "\n")
    printed = reading.says("engineer", "add", name)
    (certificate,) = re.findall(r"give them (\S+/ca\.crt) and this login", printed)
    laptop = tmp_path / "a laptop"
    laptop.mkdir()
    (laptop / "ca.crt").write_bytes(Path(certificate).read_bytes())
    line = line_for("  Linux, macOS", printed)
    assert f"{NOW} 17\n" == output("sh", "-c", f"{line} {' '.join(ONCE)}", folder=laptop)
    file = str(reading.folder / f"broker/secrets/{name}.sh")
    assert f"{NOW} 17\n" == output("sh", file, *ONCE)
    assert f"  password  {reading.broker.password(name)}\n" in printed


@pytest.mark.system
def test_telegraf_and_mqtt_explorer_are_let_in(reading: City) -> None:
    """Under the client ids that they are given; under those that they make up they are not."""
    printed = reading.says("engineer", "add", "telegraf")
    (telegraf,) = tomllib.loads(TELEGRAF.read_text())["inputs"]["mqtt_consumer"]
    assert "telegraf" == telegraf["username"]
    assert telegraf["servers"][0].startswith("ssl://")
    (explorer,) = re.findall(r"the MQTT Client ID is (\S+),", printed)
    file = str(reading.folder / "broker/secrets/telegraf.sh")
    (topic,) = telegraf["topics"]
    for client_id in (telegraf["client_id"], explorer):
        assert "17\n" == output("sh", file, *ONCE, "-i", client_id, "-t", topic)
    for client_id in ("Telegraf-Consumer-a1b2c", "mqtt-explorer-1a2b3c4d"):
        done = subprocess.run(
            ["sh", file, *ONCE, "-i", client_id], capture_output=True, text=True, check=False
        )
        assert "not authorised" in done.stderr


@pytest.mark.parametrize("password", [*WINDOWS, *NOT_WINDOWS, AWKWARD])
def test_a_line_for_sh_is_read_as_it_was_meant(password: str) -> None:
    """By the rules of POSIX."""
    assert expected(password, "mosquitto_sub") == shlex.split(
        engineer_login.in_sh(*LOGIN, password)
    )


@pytest.mark.parametrize("password", WINDOWS)
def test_a_line_for_windows_is_read_as_it_was_meant(password: str) -> None:
    """By the rules of the Command Prompt and of PowerShell, and of a program's own arguments."""
    wanted = expected(password, PROGRAM)
    assert wanted == arguments(obeyed(engineer_login.in_cmd(*LOGIN, password)))
    words = typed_in_powershell(engineer_login.in_powershell(*LOGIN, password))
    assert wanted == words
    assert wanted == arguments(" ".join(f'"{one}"' if " " in one else one for one in words))


@pytest.mark.parametrize("password", NOT_WINDOWS)
def test_windows_gets_no_line_that_would_not_work(password: str) -> None:
    """It gets the remedy; the other systems get their line."""
    found = engineer_login.lines(*LOGIN, password)
    assert engineer_login.in_sh(*LOGIN, password) in [one.strip() for one in found]
    assert not any("mosquitto_sub.exe" in one for one in found)
    assert any("secrets/ina.password" in one for one in found)


def expected(password: str, program: str) -> list[str]:
    """What the program must get."""
    login = ["-h", "mqtt.example.org", "-p", "8884", "-u", "ina", "-P", password]
    return [program, "-v", *login, "--cafile", "ca.crt", "-t", "titik/v1/now/#"]


def obeyed(line: str) -> str:
    """What cmd hands on: outside double quotes its special characters act, % anywhere."""
    outside = "".join(line.split('"')[::2])
    assert not set(outside) & set("&|<>^()!")
    assert "%" not in line
    return line


def arguments(line: str) -> list[str]:
    """A Windows program's: blanks part, quotes hold together, 2n backslashes before one are n."""
    found, word, is_quoted, is_word = [], "", False, False
    for part in re.findall(r'\\*"|\\+|[^\\"]', line):
        if part.endswith('"'):
            slashes = len(part) - 1
            word += "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                is_quoted = not is_quoted
            is_word = True
        elif part in " \t" and not is_quoted:
            found += [word] if is_word else []
            word, is_word = "", False
        else:
            word, is_word = word + part, True
    assert not is_quoted
    return [*found, word] if is_word else found


def typed_in_powershell(line: str) -> list[str]:
    """Words after the call operator: in single quotes all is itself, and two of them are one."""
    assert line.startswith("& ")
    found = re.findall(r"'((?:[^']|'')*)'(?: |$)|(-{1,2}[A-Za-z]+)(?: |$)", line[2:])
    words = [quoted.replace("''", "'") or bare for quoted, bare in found]
    assert line[2:] == " ".join(f"'{quoted}'" if quoted else bare for quoted, bare in found)
    return words
