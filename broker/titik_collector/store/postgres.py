"""PostgreSQL: a schema of a server's database, read by many and written by the holder of its lease.

Rule: where the url names several servers, a session is with the one that takes writes.
Rule: a session writes in a transaction only, and each transaction of the writer renews the lease.
So a holder that was stopped, and lost the lease by then, commits nothing.
Rule: a lost connection is made again at the next statement, never inside a transaction.
Rule: a COMMIT whose wait for another server was cut short is an error: that one may lack it.
"""

import gc
import math
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from itertools import count
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
import psycopg
from psycopg.abc import ConnDict
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import Diagnostic, QueryCanceled
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from titik_collector.languages.codes import marked
from titik_collector.store import collecting
from titik_collector.store.database import (
    HALF,
    Row,
    Rows,
    SecondServer,
    StoreError,
    StoreHeld,
    TableShape,
    Unstorable,
    Value,
    Values,
    at_fault,
    tables_of,
)
from titik_collector.store.postgres_errors import worded

CONNECT_S = 3  # unless the url has `connect_timeout`
# A server that does not answer for so long is reported, and so often: what is shorter is no outage,
# and a server that is well may be busy for some seconds.
SILENT_S = 10
BUSY_MS = 1000  # as on SQLite
LEASE_S = 30  # a holder that renews nothing for so long has lost it
AT_ONCE = 1000  # rows that a long answer brings in one message
T = TypeVar("T")
_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "bigint",
    float: "double precision",
    str: "text",
    bytes: "bytea",
}


class Patience(NamedTuple):
    """How long it takes until a server counts as gone."""

    dead_ms: int  # a network that takes or answers nothing for so long is gone
    ask_s: int  # a server that is silent for so long is asked whether it is still there
    answer_s: int  # a server that answers nothing to the writer for so long has stopped


ALONE = Patience(15_000, 5, 120)
AMONG_SEVERAL = Patience(6_000, 2, LEASE_S)  # another may have taken its place by then


class PostgresPlace(NamedTuple):
    """Where a store is."""

    url: str  # as libpq reads it, without a password
    schema: str
    password: str | None = None  # None: libpq finds one, as in PGPASSFILE, or needs none

    def __str__(self) -> str:
        return f"{self.url} schema {self.schema}"

    @property
    def patience(self) -> Patience:
        """With its server."""
        return AMONG_SEVERAL if self.is_of_several() else ALONE

    @property
    def wanted(self) -> str | None:
        """Which of its servers; None: as the url says.

        libpq's `read-write` refuses each, because our sessions write where they say so alone.
        """
        asked = self._parts().get("target_session_attrs")
        return "primary" if asked == "read-write" or self.is_of_several() else None

    def is_of_several(self) -> bool:
        """It names more than one server."""
        parts = self._parts()
        return any("," in str(parts.get(name, "")) for name in ("host", "hostaddr"))

    def _parts(self) -> ConnDict:
        with suppress(psycopg.ProgrammingError):  # whoever connects reports it
            return conninfo_to_dict(self.url)
        return {}


class _Heard:
    """What the server says beside its answers."""

    is_alone = False  # a COMMIT was answered, and no other server is known to have it

    def __call__(self, notice: Diagnostic) -> None:
        """The function is named in each language, and is as old as synchronous standbys."""
        self.is_alone |= notice.source_function == "SyncRepWaitForLSN"


class _Session(psycopg.Connection[Row]):
    """A connection that ends where its server stops in the middle; libpq would wait for ever."""

    is_patient = True
    answer_s = ALONE.answer_s
    silent: Callable[[str], object] = staticmethod(lambda _: None)
    heard: _Heard

    @cached_property
    def used(self) -> "psycopg.Cursor[Row]":
        """One for all statements: to make it would take as long as a short one."""
        return self.cursor()

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        """Whatever psycopg waits for; OperationalError if it does not come."""
        if self.is_patient:
            return super().wait(gen, *args, **options)
        try:
            return super().wait(_in_time(gen, self.answer_s, self.silent), *args, **options)
        except _Stopped:
            self.close()
            raise


class _Stopped(psycopg.OperationalError):
    """The server does not answer."""


def _in_time(
    gen: Generator[Any, Any, T], answer_s: int, silent: Callable[[str], object]
) -> Generator[Any, Any, T]:
    """The same steps; psycopg asks for one every now and then, though the server is silent."""
    began = time.monotonic()
    reported = began
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            now = time.monotonic()
            if not ready and now > began + answer_s:
                raise _Stopped(f"the server has not answered for {answer_s} s")
            if not ready and now > reported + SILENT_S:
                reported = now
                silent(f"the server has not answered for {SILENT_S} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        return cast(T, end.value)


class PostgresDatabase:
    """A session with a server."""

    def __init__(self, place: PostgresPlace, is_shared: bool = False, name: str = "titik") -> None:
        """`name`: what its sessions say of themselves."""
        self._place, self._name = place, name
        self._is_shared = is_shared  # several write, each in short transactions, without a lease
        self._epoch: int | None = None  # of the lease; None: this session only reads
        self._is_patient = True  # a reader may ask for what takes an hour
        self._reads = True  # alone; who writes makes the schema first
        self._silent: Callable[[str], object] = lambda _: None
        self._inside = False
        self._end_s = math.inf  # of the snapshot
        self._cursors = 0
        self._types: dict[str, tuple[str, ...]] = {}
        self._raw = _connected(place, name)

    def execute(self, sql: str, values: Values = ()) -> Rows:
        """One statement; StoreError if it fails."""
        with self._worded():
            cursor = self._session().used.execute(translated(sql), values)
            rows = cursor.fetchall() if cursor.description else ()
            return Rows(rows, cursor.rowcount)

    def executemany(self, sql: str, rows: Iterable[Row]) -> None:
        """One statement for all rows, which travel column by column; StoreError if it fails."""
        columns = list(zip(*rows, strict=True))
        if columns:
            types = self._types_of(sql)
            self.execute(of_arrays(sql, types), [*map(array, columns, types)])

    def stream(self, sql: str, values: Values = ()) -> Iterator[Row]:
        """The rows of a long answer, which the server keeps until then; StoreError if it fails."""
        self._cursors += 1
        name = f"long_{self._cursors}"
        with self._worded(), self._session().cursor(name, withhold=not self._inside) as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(translated(sql), values)
            yield from cursor

    def keyed(
        self, columns: Sequence[str], rows: Sequence[Sequence[Value]]
    ) -> tuple[str, tuple[Value, ...]]:
        """The head of a statement that joins with rows; they travel column by column."""
        lists = list(zip(*rows, strict=True)) or [()] * len(columns)
        types = tuple(map(_type, lists))
        return _keyed(tuple(columns), types), tuple(map(array, lists, types))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; StoreError if it cannot be, StoreHeld if the lease is another's."""
        with self._begun("BEGIN READ WRITE"):
            if not self._is_shared:
                self._renew_lease()
            yield
            if self._raw.info.transaction_status == TransactionStatus.INERROR:
                # The server would answer COMMIT with ROLLBACK, which is no error.
                raise Unstorable(f"{self._place}: a statement failed, so nothing is kept")
            self._commit()

    def renew(self) -> None:
        """Hold the lease on, while nothing is written; StoreHeld: another collector has it."""
        with self.transaction():
            pass

    def _renew_lease(self) -> None:
        if self._epoch is None:
            raise Unstorable(f"{self._place}: is open for reading only")
        if not self.execute(_RENEW.format(seconds=LEASE_S), (self._epoch,)).rowcount:
            raise StoreHeld(f"{self._place}: another collector has taken over this store")

    def be_patient(self) -> None:
        """From now on an answer may take an hour; nobody waits for an ack."""
        self._raw.is_patient = self._is_patient = True

    def be_impatient(self) -> None:
        """From now on a server that answers nothing for long has stopped."""
        self._raw.is_patient = self._is_patient = False

    def when_silent(self, do: Callable[[str], object]) -> None:
        """Call it with the reason, again and again, while a statement waits for the server."""
        self._silent = self._raw.silent = do

    @contextmanager
    def snapshot(self, most_s: float | None = None) -> Iterator[None]:
        """All that is read inside is of one moment; StoreError if its statements take longer.

        Of a stream each part has so long.
        """
        with self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            try:
                if most_s is not None:
                    # The server's limit is of each statement, ours of all of them.
                    self._end_s = time.monotonic() + most_s
                    self.execute(f"SET LOCAL statement_timeout = {max(1, round(most_s * 1000))}")
                yield
                self.execute("COMMIT")
            finally:
                self._end_s = math.inf

    def written(self) -> str:
        """Which transactions are seen; others of the server count too, and cost a look in vain."""
        return str(self.execute("SELECT CAST(pg_current_snapshot() AS TEXT)")[0][0])

    def has_table(self, name: str) -> bool:
        """Whether there is such a table, as of now; to_regclass may answer from a cache."""
        # current_schema() is no schema to a user that may not enter it.
        sql = (
            "SELECT 1 FROM pg_class WHERE relname = ?"
            " AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ?)"
        )
        return bool(self.execute(sql, (name, self._place.schema)))

    def tables(self) -> list[TableShape]:
        """Those that hold the city."""
        return tables_of(self.execute(_TABLES))

    def raise_numbers(self) -> None:
        """Rows that came with a number leave the sequence as it was."""
        for table, column in self.execute(_NUMBERED):
            self.execute(
                f"SELECT setval(pg_get_serial_sequence(?, ?), max({column})) FROM {table}",
                (table, column),
            )

    def size(self) -> int:
        """Of tables and indexes."""
        ((size,),) = self.execute(
            "SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS BIGINT) FROM pg_class"
            " WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind = 'r'"
        )
        return int(size)

    def damage(self) -> Iterator[str]:
        """The server checks its own files."""
        yield from ()

    def place(self) -> str:
        """The server's own name of the schema; one that was restored has another."""
        found = self.execute(
            "SELECT current_database(), CAST(oid AS BIGINT) FROM pg_namespace WHERE nspname = ?",
            (self._place.schema,),
        ).fetchone()
        if found is None:
            gone = marked("there is no such schema; was it renamed?")
            raise StoreError(at_fault(self._place, gone))
        return f"{found[0]} {self._place.schema} {found[1]}"

    def second_server(self) -> SecondServer | None:
        """By the server that takes writes; of its standbys a user sees details by a right alone."""
        ((awaits, is_standby, is_there, is_hidden),) = self.execute(_FOLLOWED)
        if is_there or is_standby:
            return "there" if is_there else None
        if not awaits and not self._place.is_of_several():
            return "unwanted"
        if is_hidden:
            return None
        return "awaited" if awaits else "missing"

    def take_lease(self, holder: str) -> None:
        """Hold the store from now on; StoreHeld: another collector does."""
        taken = self._written(_TAKE.format(seconds=LEASE_S), (holder,))
        if not taken:
            ((other,),) = self.execute("SELECT holder FROM lease")
            raise StoreHeld(
                f"{self._place}: another collector ({other}) holds this store; stop it, or give"
                " each a store.schema of its own"
            )
        self._epoch, self._name = taken[0][0], collecting.session_name("collector")
        self.execute("SELECT set_config('application_name', ?, false)", (self._name,))
        self._is_patient = False
        self._write_on()

    def close(self) -> None:
        """Let go of it, and of the lease."""
        if self._epoch is not None and not self._raw.closed and not self._inside:
            with suppress(StoreError):  # then it ends by itself
                self._written(
                    "UPDATE lease SET until = '-infinity' WHERE epoch = ?", (self._epoch,)
                )
        self._raw.close()

    def apply(self, number: int, sql: str) -> None:
        """A migration, whole or not at all; nothing if another process has applied it before."""
        with self._begun("BEGIN READ WRITE"):
            self.execute("SET LOCAL lock_timeout = 0")
            self.execute("SELECT pg_advisory_xact_lock(hashtext(current_schema()))")
            if self.version() < number:
                self._raw.is_patient = True
                with self._worded():
                    self._raw.execute(sql.encode(), prepare=False)  # many statements
                self._raw.is_patient = self._is_patient
                self.execute("INSERT INTO schema_version (number) VALUES (?)", (number,))
            self._commit()

    def version(self) -> int:
        """The number of the newest migration that was applied; 0: none."""
        if not self.has_table("schema_version"):
            return 0
        sql = f'SELECT max(number) FROM "{self._place.schema}".schema_version'
        return int(self.execute(sql)[0][0])

    def make_schema(self, half: bool = False) -> None:
        """The schema, where the server has none of the name; `half`: for a copy."""
        schema, self._reads = self._place.schema, False
        if not self.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (schema,)):
            with self._begun("BEGIN READ WRITE"):
                # Of two that make it at once, one would fail in spite of IF NOT EXISTS.
                self.execute("SET LOCAL lock_timeout = 0")
                self.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (schema,))
                self.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
                self._commit()
        if half and not self.version():
            self._written(HALF, ())

    def _written(self, sql: str, values: Values) -> Rows:
        with self._begun("BEGIN READ WRITE"):
            rows = self.execute(sql, values)
            self._commit()
            return rows

    def _commit(self) -> None:
        """It is where it must be when this returns."""
        heard = self._raw.heard
        heard.is_alone = False
        self.execute("COMMIT")
        if heard.is_alone:
            raise StoreError(at_fault(self._place, _ALONE))

    @contextmanager
    def _begun(self, sql: str) -> Iterator[None]:
        self.execute(sql)
        self._inside = True
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._inside = False

    def _roll_back(self) -> None:
        """Whatever the error was, nothing is kept: a session that cannot say so is closed."""
        try:
            if not self._raw.closed:
                self._raw.execute("ROLLBACK")
        except psycopg.Error:
            self._raw.close()

    def _types_of(self, sql: str) -> tuple[str, ...]:
        """Of the values of a statement; the server knows them by what they are written to."""
        if sql not in self._types:
            numbers = count(1)
            numbered = re.sub(r"\?", lambda _: f"${next(numbers)}", sql)
            self.execute(f"PREPARE typed AS {numbered}")
            (types,) = self.execute(
                "SELECT CAST(parameter_types AS TEXT[]) FROM pg_prepared_statements"
                " WHERE name = 'typed'"
            )[0]
            self.execute("DEALLOCATE typed")
            self._types[sql] = tuple(types)
        return self._types[sql]

    def _session(self) -> _Session:
        if time.monotonic() > self._end_s:
            raise QueryCanceled("the time for this answer is over")
        if self._raw.closed and not self._inside:
            self._raw = _connected(self._place, self._name)
            self._raw.is_patient = self._is_patient
            if self._epoch is not None:
                self._write_on()
        return self._raw

    def _write_on(self) -> None:
        """This session is the writer's."""
        with self._worded():
            self._raw.execute(_PLANS)
        self._raw.is_patient, self._raw.silent = self._is_patient, self._silent

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise worded(error, self._place, reads=self._reads) from error


_TABLES = """
SELECT made.relname, one.attname,
  coalesce(array_position(CAST(pk.indkey AS SMALLINT[]), one.attnum) + 1, 0)
FROM pg_class AS made JOIN pg_attribute AS one ON one.attrelid = made.oid
LEFT JOIN pg_index AS pk ON pk.indrelid = made.oid AND pk.indisprimary
WHERE made.relnamespace = CAST(current_schema() AS regnamespace) AND made.relkind = 'r'
  AND made.relname NOT IN ('lease', 'schema_version')
  AND one.attnum > 0 AND NOT one.attisdropped AND one.attgenerated = ''
ORDER BY made.relname, one.attnum
"""
# Without the right of pg_read_all_stats a server that follows is a row without a state.
_FOLLOWED = """
SELECT current_setting('synchronous_standby_names') <> '', pg_is_in_recovery(),
  coalesce(bool_or(sync_state IN ('sync', 'quorum')), false),
  coalesce(bool_or(sync_state IS NULL), false)
FROM pg_stat_replication
"""
_NUMBERED = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND is_identity = 'YES'
"""
# The writer's statements name their tables in the order in which indexes lead from row to row. A
# plan that was made when a table was small is used when it is large.
_PLANS = """
SET join_collapse_limit = 1; SET from_collapse_limit = 1; SET enable_seqscan = off; SET jit = off
"""
# A holder whose session with the server is gone cannot write: it has to renew first.
_TAKE = """
UPDATE lease SET epoch = epoch + 1, holder = ?, backend = pg_backend_pid(),
  until = clock_timestamp() + interval '{seconds} s'
WHERE until < clock_timestamp() OR NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = backend)
RETURNING epoch
"""
_RENEW = """
UPDATE lease SET backend = pg_backend_pid(), until = clock_timestamp() + interval '{seconds} s'
WHERE epoch = ?
"""
HELD = """
SELECT until >= clock_timestamp()
  AND EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = backend) FROM lease
"""
# By pg_cancel_backend, or by a statement_timeout of the server: then each commit would end so.
_ALONE = marked(
    "a commit did not wait for the other server; is that one there, and statement_timeout 0?"
)


def _connected(place: PostgresPlace, name: str) -> _Session:
    """A session that writes only where a transaction says so; StoreError if there is none."""
    patience = place.patience
    settings = {
        "search_path": f'"{place.schema}"',
        "lock_timeout": BUSY_MS,
        "default_transaction_read_only": "on",
        "synchronous_commit": "on",  # an ack outlives the server's end, whatever is usual there
        # A holder that was stopped inside a transaction would keep the lease's row.
        "idle_in_transaction_session_timeout": LEASE_S * 1000,
        # The server ends a session whose machine is gone, and with it the lease.
        "tcp_keepalives_idle": patience.ask_s,
        "tcp_keepalives_interval": patience.ask_s,
        "tcp_keepalives_count": patience.dead_ms // patience.ask_s // 1000,
        "tcp_user_timeout": patience.dead_ms,
    }
    try:
        raw = _Session.connect(
            place.url,
            autocommit=True,
            prepare_threshold=1,
            password=place.password,
            connect_timeout=None if "connect_timeout" in place.url else CONNECT_S,
            application_name=name,
            target_session_attrs=place.wanted,
            tcp_user_timeout=patience.dead_ms,
            keepalives_idle=patience.ask_s,
            keepalives_interval=patience.ask_s,
            options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
        )
    except psycopg.Error as error:
        # psycopg leaves a circle with a socket of each attempt whose time is over. A collector
        # collects circles so rarely that an outage of an hour would take all its descriptors.
        gc.collect()
        raise worded(error, place, connecting=True) from error
    raw.answer_s, raw.heard = patience.answer_s, _Heard()
    raw.add_notice_handler(raw.heard)
    # Else the type of a number depends on its size, and each is another statement.
    raw.adapters.register_dumper(int, Int8Dumper)
    return raw


@cache
def translated(sql: str) -> str:
    """The placeholders `?` and `:name` as psycopg wants them."""
    sql = re.sub(r"(?<![:\w]):([a-z_]+)\b", r"%(\1)s", sql.replace("%", "%%"))
    return sql.replace("?", "%s")


@cache
def of_arrays(sql: str, types: tuple[str, ...]) -> str:
    """A statement with one array for each of its `?`, instead of a statement for each row.

    It begins as those of `insert` and `upsert` do, with UPDATE or with DELETE.
    """
    names = [f"p{number}" for number in range(len(types))]
    rows = f"{_unnest(types)} AS given ({', '.join(names)})"
    head, marks, tail = re.split(r" VALUES \(([?, ]*)\)| WHERE ", sql, maxsplit=1)
    if marks is not None:
        return f"{head} SELECT {', '.join(names)} FROM {rows}{tail}"
    given = iter(names)
    head, tail = (re.sub(r"\?", lambda _: f"given.{next(given)}", one) for one in (head, tail))
    return f"{head} {'FROM' if head.startswith('UPDATE') else 'USING'} {rows} WHERE {tail}"


def array(values: Sequence[Value], of_type: str) -> Value:
    """A column as PostgreSQL reads it; JSON is, but for bytes and what it escapes in a text."""
    if of_type != "bytea":
        text = msgspec.json.encode(values)
        if b"\\" not in text:
            return f"{{{text[1:-1].decode()}}}"
    return list(values)


def _unnest(types: tuple[str, ...]) -> str:
    return f"unnest({', '.join(f'CAST(? AS {one}[])' for one in types)})"


@cache
def _keyed(columns: tuple[str, ...], types: tuple[str, ...]) -> str:
    return f"WITH key ({', '.join(columns)}) AS MATERIALIZED (SELECT * FROM {_unnest(types)})"


def _type(column: Sequence[Value]) -> str:
    """Of the first value that is known."""
    return next((_TYPES[type(one)] for one in column if one is not None), "bigint")
