"""Counters as a blob, and stores of before there was one."""

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from titik_collector.store.counters import pack, unpack
from titik_collector.store.sqlite import migrations, open_writer

NUMBERS = st.integers(0, 2**53 - 1)


@given(st.dictionaries(st.integers(1, 2**40), st.tuples(NUMBERS, NUMBERS), max_size=20))
def test_what_is_packed_is_unpacked_equal(counters: dict[int, tuple[int, int]]) -> None:
    """Any counters of the contract, in any order."""
    assert counters == unpack(pack(counters))
    assert pack(counters) == pack(dict(reversed(counters.items())))


def test_three_counters_of_gigabytes_are_34_bytes() -> None:
    """They are in every row."""
    assert 34 == len(pack({n: (3 * 10**11, 2 * 10**11) for n in (1, 2, 3)}))


def test_a_store_of_the_first_schema_keeps_everything(tmp_path: Path) -> None:
    """Its counters move into the samples and its messages into a table of their own."""
    with sqlite3.connect(tmp_path / "db", isolation_level=None) as old:
        old.executescript(f"{migrations()[0][1]} PRAGMA user_version = 1;")
        old.execute("INSERT INTO router VALUES (1, 'tirosa-1', 1, 0)")
        old.execute("INSERT INTO boot VALUES (1, 1, 'b', 1)")
        old.execute("INSERT INTO run (id, router_id, token) VALUES (1, 1, '0123456789abcdef')")
        old.execute("INSERT INTO interface VALUES (7, 1, 'uplink', 'wan', 'b/3')")
        for seq, arrived_ms, taken_ms in ((1, 2000, None), (2, 1000, 5)):
            values = (1, seq, seq, 1, 1, seq, taken_ms, arrived_ms, 5, "arrival", 6, 2)
            old.execute(
                f"INSERT INTO sample VALUES ({', '.join('?' * 24)})",
                (*values, *[None] * 11, b"\1" + bytes((seq,))),
            )
        old.execute("INSERT INTO counter VALUES (1, 2, 7, 300, 400)")
    old.close()

    db = open_writer(tmp_path / "db")
    try:
        samples = db.execute("SELECT seq, counters, taken_ms FROM sample ORDER BY seq").fetchall()
        assert [(1, {}, None), (2, {7: (300, 400)}, 5)] == [
            (seq, unpack(counters), taken_ms) for seq, counters, taken_ms in samples
        ]
        assert [(2, 1000, b"\1\2"), (1, 2000, b"\1\1")] == db.execute(
            "SELECT seq, arrived_ms, packed FROM body ORDER BY id"
        ).fetchall()
    finally:
        db.close()
