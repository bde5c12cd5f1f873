"""The built wheel works where there is no checkout: files, scripts, package data."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.project.sources import ROOT
from titik_wire import __version__, topics
from titik_wire.codec import decode
from titik_wire.messages import Sample

pytestmark = pytest.mark.system

SOURCES = ("agent", "broker", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; outside the checkout, with nothing of it on the path."""
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=bare, stdout=subprocess.PIPE, text=True,
        check=True, timeout=300,
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing left over in the checkout gets in."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", copy / "dist", ".", cwd=copy)
    return next((copy / "dist").glob("*.whl"))


def installed(wheel: Path, folder: Path, extras: str) -> Path:
    """A fresh environment with the wheel in it; its folder of scripts."""
    run(sys.executable, "-m", "venv", folder, cwd=wheel.parent)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", f"{wheel}{extras}", cwd=wheel.parent)
    return python.parent


@pytest.fixture(scope="module")
def router(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pip install titik`: the agent."""
    return installed(wheel, tmp_path_factory.mktemp("router"), "")


@pytest.fixture(scope="module")
def server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pip install titik[server]`: the server half too."""
    return installed(wheel, tmp_path_factory.mktemp("server"), "[server]")


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Templates and migrations included, tests and tools not."""
    wanted = {
        str(file.relative_to(folder))
        for folder in (ROOT / "agent", ROOT / "broker")
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file)
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert wanted == held


def test_the_wheel_carries_the_licence(wheel: Path) -> None:
    """Whoever has the wheel has the terms."""
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith("/LICENSE")] != []


def test_the_agent_takes_a_sample(router: Path, tmp_path: Path) -> None:
    """On any Linux machine, without the server half and without configuration."""
    printed = run(router / "titik-agent", "once", "--router", "laptop", cwd=tmp_path)
    sample = decode(topics.sample("laptop"), printed.encode())
    assert isinstance(sample, Sample)
    assert sample.host is not None
    assert json.loads(printed)["v"] == 1


@pytest.mark.parametrize("command", ["run", "once", "check", "probe"])
def test_the_agent_explains_its_commands(router: Path, tmp_path: Path, command: str) -> None:
    """`--help` loads the command and all it imports."""
    assert "Usage:" in run(router / "titik-agent", command, "--help", cwd=tmp_path)


@pytest.mark.parametrize("command", ["collect", "status", "db check", "broker init", "simulate"])
def test_the_server_explains_its_commands(server: Path, tmp_path: Path, command: str) -> None:
    """The same for `titik`."""
    assert "Usage:" in run(server / "titik", *command.split(), "--help", cwd=tmp_path)


def test_both_commands_show_the_version(server: Path, tmp_path: Path) -> None:
    """The one in titik_wire, because a router has no dist-info."""
    for name in ("titik", "titik-agent"):
        assert __version__ in run(server / name, "--version", cwd=tmp_path)


def test_the_server_finds_its_templates(server: Path, tmp_path: Path) -> None:
    """The broker's configuration comes out of package data."""
    run(server / "titik", "broker", "init", tmp_path / "broker", cwd=tmp_path)
    assert "listener" in (tmp_path / "broker" / "broker.conf").read_text()
