"""What PostgreSQL says of a store, as an error of ours: the cause, then one remedy.

Rule: the error of a connection has no code, so it is known by the server's words. In a language
that we do not read it gets the last remedy.
"""

import re
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import Identifier

from titik_collector.languages.codes import marked
from titik_collector.store.database import StoreBusy, StoreError, Unstorable
from titik_collector.wording.sentence import Sentence

if TYPE_CHECKING:
    from titik_collector.store.postgres import PostgresPlace

_BUSY = (
    *(errors.LockNotAvailable, errors.QueryCanceled),
    *(errors.SerializationFailure, errors.DeadlockDetected),
)
_BUGS = (
    *(errors.IntegrityError, errors.DataError, errors.ProgrammingError),
    errors.ReadOnlySqlTransaction,  # outside a transaction
    errors.InFailedSqlTransaction,  # a statement before it failed, and was reported
)
# What psycopg says of one of several servers.
_TRIED = re.compile(
    r"'?([^']*)'?, port: '?([^',]*)'?, hostaddr: (?:'[^']*'|None): (?:.* failed: )?(.*)", re.S
)
# By the words of a connection's error.
_CONNECTING = (
    (
        "no password supplied",
        marked("set store.password_file, and name titik.toml instead of the url"),
    ),
    (
        "password authentication failed",
        marked("correct store.password_file, or make the user as docs/operating.md shows"),
    ),
    ("(Peer|Ident) authentication", marked("name a host in store.url, or run as the user {user}")),
    (
        "role .* does not exist",
        marked("correct the user in store.url, or make the user as docs/operating.md shows"),
    ),
    ("database .* does not exist", marked("in psql, as postgres: CREATE DATABASE {database}")),
    (
        "for database",
        marked("in psql, as postgres: GRANT CONNECT ON DATABASE {database} TO {user}"),
    ),
    ("pg_hba.conf", marked("let this machine and user in with a line of the server's pg_hba.conf")),
    (
        "in hot standby mode",
        marked(
            "no server of store.url takes writes; is one being chosen? Patroni: patronictl list"
        ),
    ),
    ("refused|No such file", marked("start PostgreSQL, or correct host and port of store.url")),
    (
        "timeout|timed out|not answered",
        marked("is the server on, and does a firewall let its port through?"),
    ),
    ("No route|unreachable|resolve host", marked("correct the host of store.url, or the network")),
    ('"port"|port number', marked("correct the port of store.url")),
    ("closed|terminat|EOF|reset|receive|send", marked("read the log of PostgreSQL")),
    (
        "SSL|certificate",
        marked("correct sslmode and sslrootcert of store.url, or TLS of the server"),
    ),
    ("too many|connection slots", marked("raise max_connections of the server")),
    ("starting up|shutting down|recovery mode", marked("wait until PostgreSQL has started")),
    ("", marked("is store.url right, and does the server let the user {user} in?")),
)
_OWN = marked("in psql, as postgres: ALTER SCHEMA {schema} OWNER TO {user}")
_GRANT = marked("in psql, as postgres: GRANT CREATE ON DATABASE {database} TO {user}")
_LET_READ = marked(
    "in psql, as postgres: GRANT USAGE ON SCHEMA {schema} TO {user};"
    " GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {user}"
)
# By the kind of a statement's error.
_STATING = (
    (errors.InvalidSchemaName, _OWN),
    (errors.InsufficientPrivilege, _OWN),
    (errors.FeatureNotSupported, marked("a standby? target_session_attrs=primary in the url")),
    (errors.UndefinedTable, marked("was the schema renamed? else bring back a backup")),
    (errors.DiskFull, marked("free the disk of the server")),
)


def worded(
    error: psycopg.Error, place: "PostgresPlace", connecting: bool = False, reads: bool = False
) -> StoreError:
    """With the remedy; `connecting`: there is no session yet; `reads`: it never writes."""
    reason = "; ".join(_reasons(error))
    text = f"{place}: {reason}"
    if isinstance(error, _BUSY):
        return StoreBusy(text)
    if template := _remedy(error, reason, connecting, reads):
        remedy = Sentence(template, **_names(place))
        return StoreError(Sentence("{reason}; {remedy}", reason=text, remedy=remedy))
    if isinstance(error, _BUGS):
        return Unstorable(text)
    return StoreError(text)


def _reasons(error: psycopg.Error) -> list[str]:
    """In a line; of several servers that were tried, each has its own."""
    text = re.sub(r"\s*Is the server running [^?]*\?", "", str(error))
    tried = [match.groups() for match in map(_TRIED.match, text.split("\n- host: ")[1:]) if match]
    if not tried:
        return [" ".join(text.split()).removeprefix("connection failed: ")]
    return [
        f"{host}{'' if port == 'None' else f':{port}'}: {' '.join(why.split())}"
        for host, port, why in tried
    ]


def _remedy(error: psycopg.Error, reason: str, connecting: bool, reads: bool) -> str | None:
    if connecting or (error.sqlstate is None and isinstance(error, psycopg.OperationalError)):
        # libpq names the server first, as `connection to server at "HOST", port N failed:`.
        cause = reason.rpartition(" failed: ")[2]
        return next(remedy for words, remedy in _CONNECTING if re.search(words, cause))
    if isinstance(error, errors.InsufficientPrivilege) and "for database" in reason:
        return _GRANT
    if isinstance(error, errors.InsufficientPrivilege) and reads:
        return _LET_READ  # the schema stays its writer's
    return next((remedy for kind, remedy in _STATING if isinstance(error, kind)), None)


def _names(place: "PostgresPlace") -> dict[str, str]:
    """What to write in a statement of SQL."""
    try:
        parts = conninfo_to_dict(place.url)
    except psycopg.Error:
        parts = {}
    names = {"database": parts.get("dbname"), "user": parts.get("user"), "schema": place.schema}
    return {
        key: "NAME" if name is None else Identifier(str(name)).as_string()
        for key, name in names.items()
    }
