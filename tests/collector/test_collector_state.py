"""The file that says what the collector knows of itself."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from titik_collector.config import model
from titik_collector.limits import MAX_STATE
from titik_collector.own_state import collector_state
from titik_collector.own_state.collector_state import (
    STALE_MS,
    CollectorState,
    StateFile,
)
from titik_collector.queries.server_warnings import words

T0 = 1_700_000_000_000
WELL = CollectorState("main", 7, T0, T0 - 60_000, True, True, None, None, T0 - 100, 0, 3)
FULL = replace(WELL, storing=False, store_problem="database or disk is full")
GONE = replace(WELL, connected=False, broker_problem="nothing listens at 127.0.0.1:1883")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Every field of it."""
    file = tmp_path / "state"
    StateFile([file]).write(FULL)
    assert FULL == collector_state.read([file])


def test_the_newest_file_is_read(tmp_path: Path) -> None:
    """The collector may have found another place since it was last started."""
    files = [tmp_path / "memory", tmp_path / "disk"]
    StateFile(files[:1]).write(WELL)
    StateFile(files[1:]).write(replace(FULL, at_ms=T0 + 1))
    assert replace(FULL, at_ms=T0 + 1) == collector_state.read(files)


def test_a_place_that_cannot_be_written_gives_way_to_the_next(tmp_path: Path) -> None:
    """As `/run` does where the collector is not root."""
    files = [tmp_path / "absent" / "state", tmp_path / "state"]
    StateFile(files).write(WELL)
    assert WELL == collector_state.read(files)


def test_no_place_at_all_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The collector does its work without it."""
    file = StateFile([tmp_path / "absent" / "state"])
    for _ in range(3):
        file.write(WELL)
    assert 1 == caplog.text.count("state file cannot be written")


def test_a_stopped_collector_leaves_no_file(tmp_path: Path) -> None:
    """Nobody takes it for running."""
    file = StateFile([tmp_path / "state"])
    file.write(WELL)
    file.remove()
    file.remove()
    assert collector_state.read([tmp_path / "state"]) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"collector": "main"}', b"\xff", b"[" * 5000],
    ids=["empty", "half", "list", "too little", "no text", "deep"],
)
def test_a_damaged_file_is_no_state(tmp_path: Path, content: bytes) -> None:
    """A power cut may have left anything."""
    (tmp_path / "state").write_bytes(content)
    assert collector_state.read([tmp_path / "state"]) is None


def test_a_field_of_another_type_is_no_state(tmp_path: Path) -> None:
    """Somebody else wrote the file."""
    file = tmp_path / "state"
    StateFile([file]).write(WELL)
    file.write_text(json.dumps({**json.loads(file.read_text()), "at_ms": "now"}))
    assert collector_state.read([file]) is None


def test_a_later_version_may_write_more(tmp_path: Path) -> None:
    """`titik status` of this version still reads its file."""
    file = tmp_path / "state"
    StateFile([file]).write(WELL)
    file.write_text(json.dumps({**json.loads(file.read_text()), "shard": 7}))
    assert WELL == collector_state.read([file])


def test_the_longest_problems_fit(tmp_path: Path) -> None:
    """The file never grows, so that a full disk has room for it."""
    file = tmp_path / "state"
    StateFile([file]).write(replace(FULL, store_problem="é" * 999, broker_problem='"' * 999))
    assert MAX_STATE == file.stat().st_size
    assert collector_state.read([file]) is not None


@pytest.mark.parametrize(
    ("state", "after_ms", "expected"),
    [
        (WELL, 0, None),
        (FULL, 3000, "nothing is stored for 63 s: database or disk is full"),
        (GONE, 0, "no broker for 60 s: nothing listens at 127.0.0.1:1883"),
        (FULL, STALE_MS + 1, "the collector has not reported for 30 s: it hangs or was killed"),
    ],
)
def test_an_operator_reads_one_line(
    state: CollectorState, after_ms: int, expected: str | None
) -> None:
    """The worst of it, with the reason."""
    assert expected == words(state, T0 + after_ms)


def state_files(text: str) -> list[Path]:
    """What a configuration with these tables leads to."""
    city = '[city]\nname = "a"\ntitle = "A"\ntimezone = "UTC"\n'
    return model.parse(f"{city}[broker]\n{text}".encode(), Path("/srv/titik.toml")).state_files


def test_two_stores_on_a_machine_have_two_files() -> None:
    """Two cities may both call their collector `main`."""
    city = '[city]\nname = "a"\ntitle = "A"\ntimezone = "UTC"\n[store]\npath = "/srv/{}.db"\n'
    files = [
        model.parse(city.format(name).encode(), Path("titik.toml")).state_files for name in "ab"
    ]
    assert 4 == len(set(files[0] + files[1]))


def test_a_configured_file_is_the_only_place() -> None:
    """Else an old file elsewhere might answer."""
    text = '[store]\npath = "a.db"\n[collector]\nstate = "own.json"\n'
    assert [Path("/srv/own.json")] == state_files(text)


def test_the_folder_in_memory_is_made(tmp_path: Path) -> None:
    """It is gone after each start of the machine."""
    folder = tmp_path / "run"
    StateFile([folder / "state"], folder).write(FULL)
    assert FULL == collector_state.read([folder / "state"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.system
def test_a_full_disk_still_takes_the_state(small_disk: Path) -> None:
    """It is written over what is there."""
    file = StateFile([small_disk / "state"])
    file.write(WELL)
    with open(small_disk / "full", "wb", 0) as full, contextlib.suppress(OSError):
        while True:
            full.write(bytes(4096))
    file.write(FULL)
    assert FULL == collector_state.read([small_disk / "state"])
