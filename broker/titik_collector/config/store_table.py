"""`[store]`: where the city's data is, and how long each kind of it is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, parse_qs, urlsplit

from titik_collector.config.schema import FILE, SCHEMA, ConfigError, Setting, text, whole
from titik_collector.limits import MAX_STORE_SERVERS

# Unless the file says otherwise.
SAMPLES_PER_HOUR, RUNS_PER_HOUR = 5000, 60  # taken of one router
# A week and the day that goes on, so an outage of a week is drawn whole; two weeks to compare.
SAMPLES_DAYS, MINUTES_DAYS = 8, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """[store]"""

    path: Annotated[
        Path | None,
        Setting(
            FILE, "the SQLite file; made if it is missing", "none; this or `url` has to be given"
        ),
    ] = None
    url: Annotated[
        str | None,
        Setting(
            text(1000),
            "in place of `path`: a database of PostgreSQL 15 or newer, such as"
            ' `"postgresql://titik@db.example/city"`, without a password. Of several servers, as in'
            " `titik@db-1,db-2,db-3`, the one that takes writes is used",
        ),
    ] = None
    schema: Annotated[
        str,
        Setting(SCHEMA, "the schema of that database which is the store; made if it is missing"),
    ] = "titik"
    password_file: Annotated[
        Path | None,
        Setting(
            FILE,
            "file with the password of the url's user, mode 0600",
            "none; libpq then looks into PGPASSFILE",
        ),
    ] = None
    messages_days: Annotated[
        int,
        Setting(whole(1, 3650), "days that samples are kept as received, with every field"),
    ] = 1
    samples_days: Annotated[
        int | None,
        Setting(
            whole(2, 3650),
            "days that the figures of samples are kept; what arrives later is counted, not drawn",
            f"`{SAMPLES_DAYS}`; `30` in a store of an earlier version",
        ),
    ] = None
    minutes_days: Annotated[
        int | None,
        Setting(
            whole(2, 3650),
            "days that `1m` rollups are kept; at least `samples_days`",
            f"`{MINUTES_DAYS}`, or `samples_days` if more; `90` in a store of an earlier version",
        ),
    ] = None
    max_samples_per_hour: Annotated[
        int,
        Setting(
            whole(120, 1_000_000),
            "new samples taken of one router in an hour; the rest wait in its spool, so that a"
            " stolen key fills no disk",
        ),
    ] = SAMPLES_PER_HOUR
    max_runs_per_hour: Annotated[
        int,
        Setting(whole(1, 10_000), "new runs (starts of the agent) taken of one router in an hour"),
    ] = RUNS_PER_HOUR


def check_store(file: Path, store: Store) -> None:
    """It is in one place, and no password is in a file that many read."""
    if (store.path is None) == (store.url is None):
        wrong = "is missing" if store.path is None else "is given, and so is store.url"
        raise ConfigError(file, "store.path", wrong, "give one of store.path and store.url")
    if store.password_file is not None and store.url is None:
        raise ConfigError(
            file, "store.password_file", "is of no use to a file", "give it with store.url"
        )
    if store.url is not None:
        check_url(file, store.url)
    _check_kept(file, store)


def _check_kept(file: Path, store: Store) -> None:
    """A late sample's hour is computed again from its minutes, which must be there."""
    samples_days, minutes_days = store.samples_days or SAMPLES_DAYS, store.minutes_days
    if minutes_days is not None and minutes_days < samples_days:
        raise ConfigError(
            file,
            "store.minutes_days",
            f"{minutes_days} is less than store.samples_days, {samples_days}",
            f"allowed: from {samples_days} on",
        )


def check_url(
    file: Path, text: str, key: str = "store.url", password: str = "store.password_file"
) -> None:
    """Of an engine that we know, and without a password; ConfigError."""
    url = urlsplit(text)
    if url.scheme not in ("postgresql", "postgres"):
        allowed = "allowed: postgresql://USER@HOST/DATABASE"
        raise ConfigError(file, key, "is of no engine that is known", allowed)
    if url.password or "password" in parse_qs(url.query):
        remedy = f"put it into a file of mode 0600, and name that in titik.toml: {password}"
        raise ConfigError(file, key, "has a password in it", remedy)
    _check_servers(file, url, key)


def _check_servers(file: Path, url: SplitResult, key: str) -> None:
    """Of several each has its name, and the one that takes writes is meant."""
    query = parse_qs(url.query, keep_blank_values=True)
    named = ",".join(query.get("host", ())) or url.netloc.rpartition("@")[2]
    servers = named.split(",")
    if len(servers) == 1:
        return
    form = "allowed: postgresql://USER@HOST1,HOST2:PORT2/DATABASE"
    if "" in servers:
        raise ConfigError(file, key, "has a comma without a host beside it", form)
    # Of one host, ports may stand in the query.
    if twice := [one for one in servers if servers.count(one) > 1 and "port" not in query]:
        raise ConfigError(file, key, f"names {twice[0]} twice", form)
    if len(servers) > MAX_STORE_SERVERS:
        wrong = f"names {len(servers)} servers"
        raise ConfigError(file, key, wrong, f"allowed: up to {MAX_STORE_SERVERS}")
    asked = query.get("target_session_attrs", ["primary"])[-1]
    if asked not in ("primary", "read-write"):
        wrong = f"asks several servers for {asked}, which may take no writes"
        raise ConfigError(file, key, wrong, "leave target_session_attrs out")
