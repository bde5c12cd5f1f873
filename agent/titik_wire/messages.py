"""The messages of contract v1 between routers and collectors, as frozen data.

Absent means "not read" and is `None` here; zero means zero. The comment behind a field is its
entry in docs/wire.md and in the JSON Schema. A counter is cumulative and raw; its `since` changes
when it restarts. `rx` and `tx` are the interface's own view, so a BSS transmits (`tx`) what its
clients download; only `Now` and `Rollup` have `down` and `up`.

Rule: what a router neither writes nor reads is in city_messages.py, to spare its memory.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from titik_wire.kinds import (
    Boot,
    ByRun,
    Count,
    DayStarts,
    Ifname,
    Items,
    Label,
    Load,
    People,
    Ratio,
    Real,
    Rtt,
    RunId,
    Seq,
    Slug,
    Ssid,
    Time,
    Token,
    Whole,
)
from titik_wire.limits import MAX_ALSO, MAX_BSSES, MAX_FAILED, MAX_NETS, MAX_PAST, MAX_RADIOS
from titik_wire.value import Value

Dbm = Annotated[int, Whole(-120, -1)]
Channel = Annotated[int, Whole(1, 253)]
Celsius = Annotated[float, Real(-100.0, 200.0)]
Span = tuple[int, int]  # first and last seq, both included


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Status(Value):
    """The last state that a router published; its `offline` is the will, which the broker sends."""

    router: Slug  # the router, same as in the topic
    state: Literal["online", "stopping", "offline"]  # stopping: a clean stop; offline: the will
    run: RunId  # the life of the agent that spoke
    connection: Seq  # counts the connections of a run, from 1: an older one never overrules a newer
    boot: Boot  # the kernel's boot_id
    version: Label  # of the agent
    model: Label | None = None  # the board
    firmware: Label | None = None  # the operating system and its release


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Held(Value):
    """The lowest and highest seq of one run that the router's spool still holds."""

    run: RunId  # the key on the wire
    span: Span | None  # None, on the wire `[]`: the spool no longer holds anything of this run


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Bss(Value):
    """One BSS: an SSID on a radio."""

    ifname: Ifname  # the BSS's interface
    ssid: Ssid | None = None  # network name; bytes that are not UTF-8 are shown as U+FFFD
    band: Literal["2g", "5g", "6g", "60g"] | None = None  # frequency band
    channel: Channel | None = None  # primary channel
    utilization_ratio: Ratio | None = None  # share of time the channel was busy
    clients: People | None = None  # authorized stations now
    clients_min: People | None = None  # fewest seen since the previous sample
    clients_max: People | None = None  # most seen since the previous sample
    client_ms: Count | None = None  # sum of clients times milliseconds, cumulative in this run
    active: People | None = None  # clients that sent something within the last 60 s
    weak: People | None = None  # clients with a signal below -75 dBm
    since: Token | None = None  # changes when the byte counters restart
    rx_bytes: Count | None = None  # received by the BSS and its AP_VLANs: what visitors sent
    tx_bytes: Count | None = None  # sent by the BSS and its AP_VLANs: what visitors downloaded
    off_air: bool | None = None  # true: hostapd has it and does not transmit, so it has no clients
    undercounted: bool | None = None  # true: clients of further links (MLO) may be missing here


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Radio(Value):
    """One PHY."""

    name: Label  # as the driver names it
    channel: Channel | None = None  # primary channel
    noise_dbm: Dbm | None = None  # noise floor
    airtime_busy_ms: Count | None = None  # time the channel was sensed busy, cumulative
    airtime_active_ms: Count | None = None  # time the radio listened, cumulative


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Net(Value):
    """One network interface other than a BSS."""

    ifname: Ifname  # the interface
    role: Literal["uplink", "lan"]  # uplink: a way to the internet, each once; lan: to the visitors
    up: bool  # the link is up, and what has the route above it too
    since: Token  # changes when the counters restart
    rx_bytes: Count  # received
    tx_bytes: Count  # sent
    rx_packets: Count | None = None  # received
    tx_packets: Count | None = None  # sent
    rx_errors: Count | None = None  # received broken
    tx_errors: Count | None = None  # failed to send
    rx_drops: Count | None = None  # received and dropped
    tx_drops: Count | None = None  # dropped before sending


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Past(Value):
    """The last value of a counter that restarted inside a merged range."""

    ifname: Ifname  # the interface it was
    role: Literal["bss", "uplink", "lan"]  # what the interface was for
    since: Token  # of the counter that ended
    rx_bytes: Count  # its last value
    tx_bytes: Count  # its last value


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Visitors(Value):
    """How many different clients this run has authorized since `since`; an estimate (1 to 3 %)."""

    count: People  # different clients, rounded
    since: Time  # the city's midnight, else the router's; or the start of the run if later


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Reach(Value):
    """Whether the uplink carries traffic, from the configured targets."""

    dns_ms: Rtt | None = None  # median time of a DNS answer, milliseconds
    dns_failures: Count | None = None  # unanswered, or by a portal alone, cumulative in this run
    tcp_ms: Rtt | None = None  # median TCP round trip, milliseconds
    tcp_failures: Count | None = None  # unanswered, or without an address, cumulative in this run
    attempts: Count | None = None  # rounds made, cumulative in this run
    answered: Count | None = None  # rounds with an answer, cumulative in this run


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Probe(Value):
    """What the separate probe process last saw; absent when its result is stale."""

    at_uptime_ms: Count  # when, on this boot's clock
    gateway_up: bool  # the gateway answered ARP; where nobody can be asked, the link is up
    icmp_ms: Rtt | None = None  # median round trip to the targets, milliseconds
    icmp_loss_ratio: Ratio | None = None  # share of echo requests unanswered
    lan_devices: People | None = None  # devices of the LAN that answered ARP


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Host(Value):
    """The router as a computer."""

    uptime_s: Count | None = None  # since boot
    load_1m: Load | None = None  # runnable tasks, mean of a minute
    cpu_busy_ratio: Ratio | None = None  # since the previous sample
    mem_total_bytes: Count | None = None  # memory
    mem_available_bytes: Count | None = None  # memory that can still be used
    disk_free_bytes: Count | None = None  # of the file system that keeps the configuration
    temp_c: Celsius | None = None  # the hottest sensor, degrees Celsius


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AgentState(Value):
    """The agent about itself; the counts are of this run."""

    rss_bytes: Count  # resident memory of the agent's process
    spooled: Count  # records in the spool, this sample included
    merged: Count  # times two records became one
    lost: Count  # samples dropped because nothing could merge, or given up after ten resends
    corrupt: Count  # damaged records skipped
    failed: Annotated[tuple[Label, ...], Items(MAX_FAILED)] = ()  # sources that could not be read
    saturated: bool = False  # more clients than are tracked one by one; counts are still right


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Sample(Value):
    """What one router saw at one instant, or over an aligned block of instants merged into one.

    Identity: `(router, run, first_seq, seq)`. A merged sample covers seqs `first_seq` to `seq`,
    a block `k*2**n + 1` to `(k + 1)*2**n`, so any two ranges of a run nest or are disjoint.
    """

    router: Slug  # the router, same as in the topic
    run: RunId  # the life of the agent that took it
    first_seq: Seq  # first seq covered; equals `seq` unless merged
    seq: Seq  # counts from 1 in each run
    spool: Annotated[tuple[Held, ...], ByRun()]  # what the spool held when this was taken
    boot: Boot  # the kernel's boot_id
    uptime_ms: Count  # since boot, suspended time included
    taken_at: Time  # by the router's clock
    clock: Literal["ntp", "guess"]  # ntp: the clock was set in this boot; guess: not yet
    covers_ms: Count  # time since the previous sample, 0 for a run's first
    agent: AgentState  # the agent about itself
    clients: People | None = None  # of BSSes on the air; absent when any could not be read
    clients_min: People | None = None  # fewest seen in the time covered
    clients_max: People | None = None  # most seen in the time covered
    active: People | None = None  # of BSSes on the air; absent when any could not be read
    client_ms: Count | None = None  # sum of clients times milliseconds, cumulative in this run
    observed_ms: Count | None = None  # time in which `clients` was known, cumulative in this run
    bss: Annotated[tuple[Bss, ...], Items(MAX_BSSES)] | None = None  # every BSS
    radios: Annotated[tuple[Radio, ...], Items(MAX_RADIOS)] | None = None  # every radio
    net: Annotated[tuple[Net, ...], Items(MAX_NETS)] | None = None  # uplink and LAN interfaces
    past: Annotated[tuple[Past, ...], Items(MAX_PAST)] | None = None  # ended counters, if merged
    visitors: Visitors | None = None  # different clients today
    leases: People | None = None  # devices that hold a DHCP lease
    reach: Reach | None = None  # does the uplink carry traffic
    probe: Probe | None = None  # what the probe process saw
    host: Host | None = None  # the router as a computer
    truncated: bool | None = None  # true: sections were left out to fit the packet
    off_air: bool | None = None  # true: Wi-Fi is off: no BSS transmits, so `clients` is absent
    flow_offload: bool | None = None  # true: flow offload is on, so bytes may be counted too low
    kept: Annotated[tuple[Held, ...], ByRun()] | None = None  # what it can send again, though acked


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AckedRun(Value):
    """What the collector has settled of one run: stored, refused, or learnt to be lost."""

    run: RunId  # the key on the wire
    upto: Count  # every seq from 1 to this is settled
    also: Annotated[tuple[Span, ...], Items(MAX_ALSO)] = ()  # settled ranges above it, ascending
    lacks: Annotated[tuple[Span, ...], Items(MAX_ALSO)] = ()  # kept there, not here: wanted again


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Ack(Value):
    """What the collector has committed of one router: the samples that these ranges cover."""

    router: Slug  # in the topic only
    runs: Annotated[tuple[AckedRun, ...], ByRun()]  # the open runs
    store: Token | None = None  # with `lacks`: the id of the store that lacks it
    epoch: Count | None = None  # with `lacks`: of that store, for who reads along


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class CollectorStatus(Value):
    """Whether a collector is storing; its `offline` is its will."""

    collector: Slug  # same as in the topic
    state: Literal["online", "offline"]  # offline also while its store fails
    version: Label  # of the collector
    storing: bool | None = None  # false: its store fails, and routers keep what they have
    problem: Label | None = None  # why it is not storing, in words; absent: no problem
    since: Time | None = None  # since when `storing` and `problem` are so
    behind_ms: Count | None = None  # for how long its work has waited without a pause
    beat: Count | None = None  # rises with each status and beat it publishes, every 10 s at least
    store: Token | None = None  # the id of its store, for the store's life
    epoch: Count | None = None  # of the store; rises each time a collector opens it
    day_starts: DayStarts | None = None  # when the city's day began, and when the next ones do
    packed: bool | None = None  # true: it takes packed samples


RouterMessage = Status | Sample | Ack | CollectorStatus
