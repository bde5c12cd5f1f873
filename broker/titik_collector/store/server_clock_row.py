"""What outlives the process of the server's clock: one row."""

from dataclasses import dataclass

from titik_collector.store.database import Database, upsert

_NAMES = (
    *("boot", "offset_ms", "sure", "unsure_ms"),
    *("forget_ms", "agreed_ms", "ahead_ms", "since_ms"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the time; times are those of the witnesses."""

    boot: str  # the server's, within which its uptime counts
    offset_ms: int  # time minus uptime
    sure: bool  # routers agreed in this boot
    unsure_ms: int  # stamps since then were never agreed to
    forget_ms: int  # what deletes goes by this; 0: nothing is known yet
    agreed_ms: int | None = None  # when routers last agreed; None: never
    ahead_ms: int = 0  # how far the server's clock is ahead of time
    since_ms: int | None = None  # since when it is wrong; None: it is right


def load(db: Database) -> Known | None:
    """What the store keeps; None if it is new."""
    row = db.execute(f"SELECT {', '.join(_NAMES)} FROM server_clock").fetchone()
    if row is None:
        return None
    boot, offset_ms, sure, unsure_ms, forget_ms, agreed_ms, ahead_ms, since_ms = row
    return Known(boot, offset_ms, bool(sure), unsure_ms, forget_ms, agreed_ms, ahead_ms, since_ms)


def keep(db: Database, known: Known) -> None:
    """For the next start, and until then for readers of the store."""
    db.execute(
        upsert("server_clock", ("one",), _NAMES),
        (
            1,
            known.boot,
            known.offset_ms,
            int(known.sure),
            known.unsure_ms,
            known.forget_ms,
            known.agreed_ms,
            known.ahead_ms,
            known.since_ms,
        ),
    )
