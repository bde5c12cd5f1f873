"""What a command of the server half loads: none pays for what only others need."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from titik_collector.cli import COMMANDS, titik

# The libraries of the server half, by the name that is imported.
LIBRARIES = {
    "babel", "click", "cryptography", "h11", "jinja2", "msgspec", "paho", "prometheus_client",
    "psutil", "psycopg", "rich", "starlette", "uvicorn",
}  # fmt: skip
CITY = """
[city]
name = "kupang"
title = "Kota Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
[broker]
directory = "broker"
"""
# Of a city in a file, whose broker is not ours to read.
PAGE = ("commands.web", "web.app", "web.city_view", "web.serving")
NEEDED = [
    pytest.param(("cli",), {"click"}, id="titik --help"),
    pytest.param(
        PAGE, {"babel", "click", "h11", "jinja2", "msgspec", "starlette", "uvicorn"}, id="titik web"
    ),
    pytest.param(
        ("commands.collect",), {"click", "cryptography", "msgspec", "paho", "psutil"},
        id="titik collect",
    ),
    pytest.param(("commands.status",), {"click", "msgspec", "rich"}, id="titik status"),
    pytest.param(("commands.serve",), {"click", "msgspec"}, id="titik serve"),
]  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize(("modules", "needed"), NEEDED)
def test_a_command_loads_the_libraries_that_it_needs(
    modules: tuple[str, ...], needed: set[str]
) -> None:
    """A library is memory in every process that loads it, and time at each start."""
    names = ", ".join(f"titik_collector.{one}" for one in modules)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {names}\nprint(*sys.modules)"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert needed == LIBRARIES & {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.thorough
def test_a_broker_without_certificates_loads_nothing_for_them(tmp_path: Path) -> None:
    """A page that looks at its own trial keeps 9 MB."""
    (tmp_path / "broker").mkdir()
    (tmp_path / "titik.toml").write_text(CITY)
    look = (
        "import sys; from pathlib import Path; from titik_collector.config import model;"
        " from titik_collector.queries import server_warnings;"
        " server_warnings.look(model.load(Path('titik.toml')), 0, None); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    )
    assert "cryptography" not in done.stdout.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_has_of_a_command_what_it_says_of_itself(name: str) -> None:
    """The list is shown without a look at the command."""
    _, command, _ = titik.resolve_command(click.Context(titik), [name])
    assert command is not None
    assert COMMANDS[name][1] == command.get_short_help_str(100)
