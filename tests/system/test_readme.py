"""What README.md has a newcomer type, on a machine that is no access point."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from titik_collector.broker_setup.broker_folder import BrokerFolder

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PATIENCE_S = 60.0


def says(folder: Path, line: str) -> str:
    """What a command line prints there; it must succeed."""
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """With this checkout's commands in PATH."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@contextmanager
def terminal(folder: Path, line: str) -> Iterator[None]:
    """A command that runs on in another terminal, until Ctrl-C."""
    with subprocess.Popen(["sh", "-c", f"exec {line}"], cwd=folder, env=environment()) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def typed(program: str) -> list[str]:
    """The lines of README.md that begin so, without their comments."""
    return re.findall(rf"^({program} [^#\n]*?) *(?:#.*)?$", README, re.M)


def test_a_newcomer_s_trial_works_as_printed(tmp_path: Path) -> None:
    """Only the broker's port may differ, where another one holds MQTT's; init prints it."""
    shutil.copy(ROOT / "examples" / "kupang.toml", tmp_path / "titik.toml")
    init, run, serve, status = typed("titik")
    check, _ = typed("titik-agent")
    output = says(tmp_path, init)
    (settings,) = re.findall(r"```toml\n(# agent\.toml\n.*?)```", README, re.S)
    port = re.findall(r"routers=127\.0\.0\.1:(\d+)", output)[0]
    settings = re.sub(r"^port = \d+", f"port = {port}", settings, flags=re.M)
    (tmp_path / "agent.toml").write_text(settings)
    with ExitStack() as stack:
        stack.enter_context(terminal(tmp_path, run))
        deadline = time.monotonic() + PATIENCE_S
        while BrokerFolder.open(tmp_path / "broker").pid() is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        stack.enter_context(terminal(tmp_path, serve))
        while not (tmp_path / "titik.db").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        output = says(tmp_path, check)
        assert "ok    publish and ack" in output
        assert "City" in says(tmp_path, status)
