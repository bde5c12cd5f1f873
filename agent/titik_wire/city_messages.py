"""The messages of contract v1 that a collector publishes of routers, sites and the city.

What messages.py says of fields is so here, too. `down` and `up` are the visitors' view.

Rule: the agent's process never imports this.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from titik_wire.fleet_messages import FleetMessage
from titik_wire.kinds import (
    Bps,
    Count,
    Load,
    Mean,
    People,
    Ratio,
    Real,
    Rtt,
    Seq,
    Slug,
    Time,
    Title,
)
from titik_wire.messages import Celsius, RouterMessage


@dataclass(frozen=True, slots=True)
class Now:
    """This moment of a router, a site or the city, flat."""

    scope: Literal["router", "site", "city"]  # what `name` is
    name: Slug  # router, site or city
    state: Literal["online", "silent", "offline", "unknown"]  # silent: connected, no samples
    at: Time  # when the figures were taken
    age_ms: Count  # how old they were when this was published
    routers_online: Count  # routers that are online
    routers_known: Count  # routers that are registered
    clients: Count | None = None  # authorized stations
    active: Count | None = None  # that sent something in the last 60 s
    wifi_down_bps: Bps | None = None  # over the air, to the visitors
    wifi_up_bps: Bps | None = None  # over the air, from the visitors
    uplink_down_bps: Bps | None = None  # from the internet
    uplink_up_bps: Bps | None = None  # to the internet
    off_air: bool | None = None  # true: a router with its Wi-Fi off
    revoked: bool | None = None  # true: a router whose access was revoked, and not given again
    flow_offload: bool | None = None  # true: a router has flow offload on: rates may be too low
    leases: People | None = None  # of a router: devices that hold a DHCP lease
    dns_ms: Rtt | None = None  # of a router: median time of a DNS answer, milliseconds
    tcp_ms: Rtt | None = None  # of a router: median TCP round trip, milliseconds
    gateway_up: bool | None = None  # of a router: what its probe asked upstream answered
    icmp_ms: Rtt | None = None  # of a router: median round trip of its probe, milliseconds
    icmp_loss_ratio: Ratio | None = None  # of a router: share of its probe's echoes unanswered
    lan_devices: People | None = None  # of a router: devices of its LAN that answered its probe
    uptime_s: Count | None = None  # of a router: since its boot
    load_1m: Load | None = None  # of a router: runnable tasks, mean of a minute
    cpu_busy_ratio: Ratio | None = None  # of a router: since its previous sample
    mem_total_bytes: Count | None = None  # of a router: its memory
    mem_available_bytes: Count | None = None  # of a router: memory that can still be used
    disk_free_bytes: Count | None = None  # of a router: of its configuration's file system
    temp_c: Celsius | None = None  # of a router: the hottest sensor, degrees Celsius


@dataclass(frozen=True, slots=True)
class Rollup:
    """The summary of one window of a router, a site or the city; absent figures were not seen."""

    scope: Literal["router", "site", "city"]  # what `name` is
    name: Slug  # router, site or city
    window: Literal["1m", "1h", "1d"]  # days and hours are those of the city's time zone
    window_start: Time  # first instant of the window
    revision: Seq  # rises when the content changes
    coverage_ratio: Ratio  # share of the window that samples cover, of the most routers at once
    clients_mean: Mean | None = None  # exact over the observed time
    clients_min: Count | None = None  # fewest at once
    clients_max: Count | None = None  # most at once; of a site's minute the sum over its routers
    active_mean: Mean | None = None  # mean of active clients
    wifi_down_bytes: Count | None = None  # over the air, to the visitors
    wifi_up_bytes: Count | None = None  # over the air, from the visitors
    uplink_down_bytes: Count | None = None  # from the internet
    uplink_up_bytes: Count | None = None  # to the internet
    wifi_down_bps: Bps | None = None  # sum over routers: bytes by the time they are known
    wifi_up_bps: Bps | None = None  # sum over routers: bytes by the time they are known
    uplink_down_bps: Bps | None = None  # sum over routers: bytes by the time they are known
    uplink_up_bps: Bps | None = None  # sum over routers: bytes by the time they are known
    wifi_down_peak_bps: Bps | None = None  # highest between two samples
    uplink_down_peak_bps: Bps | None = None  # highest between two samples
    visitors_min: Count | None = None  # different clients of the day so far, at least
    visitors_max: Count | None = None  # at most: runs of one day may have met the same client
    uptime_ratio: Ratio | None = None  # share of the window the router was powered
    weak_ratio: Ratio | None = None  # share of client time with a weak signal
    airtime_busy_ratio: Ratio | None = None  # share of airtime sensed busy
    wifi_coverage_ratio: Ratio | None = None  # share of the window with known Wi-Fi bytes
    uplink_coverage_ratio: Ratio | None = None  # share of the window with known uplink bytes
    internet_ratio: Ratio | None = None  # share of the observed rounds of `reach` with an answer
    flow_offload_ratio: Ratio | None = None  # share with flow offload on: bytes may be too low


@dataclass(frozen=True, slots=True)
class AlertNow:
    """What is wrong with a router, a site, the city or the server; an empty payload: it is over."""

    scope: Literal["router", "site", "city", "server"]  # what `name` is
    name: Slug  # router, site, city or collector
    kind: Slug  # the rule, such as `site-offline`; docs/alerts.md has them all
    severity: Literal["info", "warning", "critical"]  # of its incident
    state: Literal["firing", "recovering"]  # recovering: it is over, and may come again
    since: Time  # since when it is in this state
    began: Time  # when what it is about began
    known: bool  # false: whether it goes on is not known now
    acked: bool  # somebody handles it
    silenced: bool  # nobody gets messages about it now
    title_id: Title  # where and what, in Indonesian
    title_en: Title  # the same in English
    incident: Seq | None = None  # the number of the event that it is part of
    value: Annotated[float, Real(-1e15, 1e15)] | None = None  # of a rule with a figure: at fire


Message = RouterMessage | FleetMessage | Now | Rollup | AlertNow
