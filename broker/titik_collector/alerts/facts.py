"""What the rules look at: the present of routers, sites and the server, as far as it is known.

Rule: `None` is not known. A figure of something that is not online is not known.
"""

from dataclasses import dataclass
from typing import Literal

State = Literal["online", "silent", "offline", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRouter:
    """One registered router now."""

    name: str
    site: str  # its name
    state: State
    since_ms: int  # since when it is in that state, or away; of an outage its beginning
    cause: str | None = None  # of the outage, as the store has it; None: not concluded yet
    internet: bool | None = None  # false: each `reach` round of the last 5 minutes failed
    internet_since_ms: int | None = None  # when the first of these rounds was
    unreadable: bool | None = None  # true: hostapd failed in the newest sample
    temperature_c: float | None = None
    lost: int | None = None  # samples that are lost for good, of all its runs
    clients: int | None = None
    in_doubt: bool = False  # after a fault of the broker its last state is doubted


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSite:
    """One registered site now."""

    name: str
    title: str
    district: str | None = None
    provider: str | None = None
    tier: int | None = None  # 1 is the most important
    is_open: bool | None = None  # None: it has no opening hours
    capacity: int | None = None
    uplink_mbps: float | None = None
    clients: int | None = None  # now
    clients_before: int | None = None  # the last that was known before it went away
    clients_mean: float | None = None  # of the last 15 minutes
    uplink_down_bps: float | None = None  # mean of the last 15 minutes
    without_clients_ms: int | None = (
        None  # for how long it is online with no client; 0: it has some
    )
    usual_clients: float | None = None  # median of this hour of the week, 4 weeks; None: too few


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """The collector about its own machine."""

    collector: str  # its id
    connected: bool  # to the broker
    connected_since_ms: int | None = None
    disconnected_since_ms: int | None = None
    storing: bool = True
    store_failed_ms: int | None = None
    disk_free_ratio: float | None = None
    disk_free_bytes: int | None = None
    certificate_days: int | None = None  # until the first certificate ends that nobody renews
    backup_ms: int | None = None  # when the newest backup was made
    backup_wanted: bool | None = None  # their folder is named; None: it cannot be read
    verified_ms: int | None = None  # when one was last looked into
    verified_well: bool = True  # false: it would not bring the city back
    collected_ms: int | None = None  # when a collector first had the store; None: none had yet
    unknown_routers: int | None = None  # unregistered routers that knocked in the last day
    line_down_since_ms: int | None = None  # the server's own line; None: it works, or is not tested
    is_line_tested: bool = True  # the configuration names addresses outside
    upgrade_halted_ms: int | None = None  # when the upgrade in waves halted by itself
    upgrade_failed: int | None = None  # routers, by which it did
    is_store_alone: bool | None = None  # no second server has what is stored, though one should
    is_copy: bool = False  # this store lost its broker to another collector: a copied city


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    """Everything the rules look at, at one instant."""

    at_ms: int
    hears: bool  # false: the collector cannot hear, so nothing of routers is known
    routers: tuple[LiveRouter, ...]
    sites: tuple[LiveSite, ...]
    server: LiveServer
    city: str  # its name
    city_title: str
