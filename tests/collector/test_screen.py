"""What is shown of what routers named: nothing turns or breaks a line."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from titik_collector.config import model
from titik_collector.config.model import ConfigError
from titik_collector.wording.clean import UNSEEN, over

ROOT = Path(__file__).parents[2]
HOSTILE = "".join([chr(one) for one in UNSEEN])


def test_unseen_characters_are_made_visible() -> None:
    """One by one; everything else stays, right-to-left letters too."""
    raw = io.BytesIO()
    below = io.TextIOWrapper(raw, encoding="utf-8")
    stream = over(below, "strict")
    text = "Wi-Fi \u05d0\u0628 \U0001f600 é\n"
    assert len(text + HOSTILE) == stream.write(text + HOSTILE)
    stream.flush()
    assert text + "\ufffd" * len(UNSEEN) == raw.getvalue().decode()


def test_a_stream_without_bytes_stays() -> None:
    """As of a test."""
    stream = io.StringIO()
    assert stream is over(stream, "strict")


@pytest.mark.thorough
@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "\ufffd\ufffdx"), ("latin-1", "??x")])
def test_the_program_shows_it_so(encoding: str, shown: str) -> None:
    """With Unicode and without."""
    path = os.pathsep.join([str(ROOT / "agent"), str(ROOT / "broker")])
    done = subprocess.run(
        [sys.executable, "-m", "titik_collector", "status", "--config", "/\u202e\u2028x"],
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert f"/{shown}: No such file" in done.stderr


@pytest.mark.parametrize(
    "char", [chr(one) for one in UNSEEN], ids=lambda char: f"U+{ord(char):04X}"
)
def test_a_configuration_has_none(tmp_path: Path, char: str) -> None:
    """Titles are shown on the same lines."""
    text = f"""\
[city]
name = "kupang"
title = "Kota{char}Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
"""
    with pytest.raises(ConfigError, match=r"city\.title: .* does not fit"):
        model.parse(text.encode(), tmp_path / "titik.toml")
