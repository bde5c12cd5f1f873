"""Messages that the tests of the contract share, with their exact bytes."""

from dataclasses import replace
from typing import Final

from titik_wire import topics
from titik_wire.city_messages import AlertNow, Message, Now, Rollup
from titik_wire.fleet_messages import (
    InForce,
    Outcome,
    Question,
    RouterCertificate,
    RouterReply,
    RouterSettings,
    RouterUpgrade,
    Running,
    Trust,
)
from titik_wire.messages import (
    Ack,
    AckedRun,
    AgentState,
    Bss,
    CollectorStatus,
    Held,
    Host,
    Net,
    Past,
    Probe,
    Radio,
    Reach,
    Sample,
    Status,
    Visitors,
)

RUN: Final = "9f2c41d07be35a68"
OLDER_RUN: Final = "0123456789abcdef"
BOOT: Final = "6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11"
AT: Final = 1_795_403_045_120  # 2026-11-23T03:04:05.120Z

BARE_SAMPLE: Final = Sample(
    router="tirosa-1",
    run=RUN,
    first_seq=184,
    seq=184,
    spool=(Held(RUN, (184, 184)),),
    boot=BOOT,
    uptime_ms=5_523_001,
    taken_at=AT,
    clock="ntp",
    covers_ms=30_000,
    agent=AgentState(rss_bytes=1, spooled=1, merged=0, lost=0, corrupt=0),
)

FULL_SAMPLE: Final = replace(
    BARE_SAMPLE,
    first_seq=185,
    seq=188,
    spool=(Held(OLDER_RUN, None), Held(RUN, (1, 188))),
    clock="guess",
    clients=17,
    clients_min=15,
    clients_max=19,
    active=12,
    client_ms=93_144_000,
    observed_ms=5_520_000,
    bss=(
        Bss(
            ifname="phy0-ap0",
            ssid="Kupang Smart City ☀",
            band="2g",
            channel=6,
            utilization_ratio=0.25,
            clients=17,
            clients_min=15,
            clients_max=19,
            client_ms=93_144_000,
            active=12,
            weak=0,
            since=f"{BOOT}/12",
            rx_bytes=81_233_011,
            tx_bytes=2**53 - 1,
        ),
    ),
    radios=(Radio("phy0", 6, -95, 81_230, 301_233),),
    net=(Net("wan", "uplink", True, f"{BOOT}/3", 1, 2, rx_errors=0),),
    past=(Past("phy0-ap0", "bss", f"{BOOT}/11", 5, 6),),
    visitors=Visitors(212, AT - AT % 86_400_000),
    leases=0,
    reach=Reach(
        dns_ms=12.5, dns_failures=0, tcp_ms=31.0, tcp_failures=1, attempts=184, answered=180
    ),
    probe=Probe(at_uptime_ms=5_500_000, gateway_up=False),
    host=Host(uptime_s=5523, load_1m=0.31, cpu_busy_ratio=0.0, temp_c=-3.5),
    agent=AgentState(1, 188, 3, 0, 0, failed=("reach",), saturated=True),
    truncated=True,
    kept=(Held(RUN, (1, 184)),),
)

CASES: Final[list[tuple[Message, str, bytes]]] = [
    (
        Status("tirosa-1", "online", RUN, 1, BOOT, "0.1.0", "ZBT WE826", "OpenWrt 23.05.5"),
        "titik/v1/router/tirosa-1/status",
        b'{"v":1,"router":"tirosa-1","state":"online","run":"9f2c41d07be35a68","connection":1,'
        b'"boot":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11","version":"0.1.0","model":"ZBT WE826",'
        b'"firmware":"OpenWrt 23.05.5"}',
    ),
    (
        Status("tirosa-1", "offline", RUN, 2, BOOT, "0.1.0"),
        "titik/v1/router/tirosa-1/status",
        b'{"v":1,"router":"tirosa-1","state":"offline","run":"9f2c41d07be35a68","connection":2,'
        b'"boot":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11","version":"0.1.0"}',
    ),
    (
        BARE_SAMPLE,
        "titik/v1/router/tirosa-1/sample",
        b'{"v":1,"router":"tirosa-1","run":"9f2c41d07be35a68","first_seq":184,"seq":184,'
        b'"spool":{"9f2c41d07be35a68":[184,184]},"boot":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11",'
        b'"uptime_ms":5523001,"taken_at":"2026-11-23T03:04:05.120Z","clock":"ntp",'
        b'"covers_ms":30000,"agent":{"rss_bytes":1,"spooled":1,"merged":0,"lost":0,"corrupt":0}}',
    ),
    (
        FULL_SAMPLE,
        "titik/v1/router/tirosa-1/backlog",
        b'{"v":1,"router":"tirosa-1","run":"9f2c41d07be35a68","first_seq":185,"seq":188,'
        b'"spool":{"0123456789abcdef":[],"9f2c41d07be35a68":[1,188]},'
        b'"boot":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11","uptime_ms":5523001,'
        b'"taken_at":"2026-11-23T03:04:05.120Z","clock":"guess","covers_ms":30000,'
        b'"agent":{"rss_bytes":1,"spooled":188,"merged":3,"lost":0,"corrupt":0,'
        b'"failed":["reach"],"saturated":true},'
        b'"clients":17,"clients_min":15,"clients_max":19,"active":12,"client_ms":93144000,'
        b'"observed_ms":5520000,"bss":[{"ifname":"phy0-ap0",'
        b'"ssid":"Kupang Smart City \xe2\x98\x80",'
        b'"band":"2g","channel":6,"utilization_ratio":0.25,"clients":17,"clients_min":15,'
        b'"clients_max":19,"client_ms":93144000,"active":12,"weak":0,'
        b'"since":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11/12","rx_bytes":81233011,'
        b'"tx_bytes":9007199254740991}],"radios":[{"name":"phy0","channel":6,"noise_dbm":-95,'
        b'"airtime_busy_ms":81230,"airtime_active_ms":301233}],'
        b'"net":[{"ifname":"wan","role":"uplink","up":true,'
        b'"since":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11/3","rx_bytes":1,"tx_bytes":2,'
        b'"rx_errors":0}],"past":[{"ifname":"phy0-ap0","role":"bss",'
        b'"since":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11/11","rx_bytes":5,"tx_bytes":6}],'
        b'"visitors":{"count":212,"since":"2026-11-23T00:00:00.000Z"},"leases":0,'
        b'"reach":{"dns_ms":12.5,"dns_failures":0,"tcp_ms":31.0,"tcp_failures":1,"attempts":184,'
        b'"answered":180},'
        b'"probe":{"at_uptime_ms":5500000,"gateway_up":false},'
        b'"host":{"uptime_s":5523,"load_1m":0.31,"cpu_busy_ratio":0.0,"temp_c":-3.5},'
        b'"truncated":true,"kept":{"9f2c41d07be35a68":[1,184]}}',
    ),
    (
        Ack("tirosa-1", (AckedRun(OLDER_RUN, 0), AckedRun(RUN, 180, ((183, 184), (190, 190))))),
        "titik/v1/router/tirosa-1/ack",
        b'{"v":1,"runs":{"0123456789abcdef":{"upto":0},'
        b'"9f2c41d07be35a68":{"upto":180,"also":[[183,184],[190,190]]}}}',
    ),
    (
        Ack("tirosa-1", ()),
        "titik/v1/router/tirosa-1/ack",
        b'{"v":1,"runs":{}}',
    ),
    (
        CollectorStatus("kupang", "online", "0.1.0", packed=True),
        "titik/v1/collector/kupang/status",
        b'{"v":1,"collector":"kupang","state":"online","version":"0.1.0","packed":true}',
    ),
    (
        Now("site", "taman-tirosa", "online", AT, 900, 2, 2, 17, 12, 1_500_000, 90_000),
        "titik/v1/now/site/taman-tirosa",
        b'{"v":1,"scope":"site","name":"taman-tirosa","state":"online",'
        b'"at":"2026-11-23T03:04:05.120Z","age_ms":900,"routers_online":2,"routers_known":2,'
        b'"clients":17,"active":12,"wifi_down_bps":1500000,"wifi_up_bps":90000}',
    ),
    (
        Now("city", "kupang", "offline", AT, 0, 0, 10),
        "titik/v1/now/city",
        b'{"v":1,"scope":"city","name":"kupang","state":"offline",'
        b'"at":"2026-11-23T03:04:05.120Z","age_ms":0,"routers_online":0,"routers_known":10}',
    ),
    (
        Rollup("router", "tirosa-1", "1m", AT - AT % 60_000, 1, 1.0, 16.5, 15, 19),
        "titik/v1/rollup/1m/router/tirosa-1",
        b'{"v":1,"scope":"router","name":"tirosa-1","window":"1m",'
        b'"window_start":"2026-11-23T03:04:00.000Z","revision":1,"coverage_ratio":1.0,'
        b'"clients_mean":16.5,"clients_min":15,"clients_max":19}',
    ),
    (
        Rollup("city", "kupang", "1d", AT - AT % 86_400_000, 7, 0.0),
        "titik/v1/rollup/1d/city",
        b'{"v":1,"scope":"city","name":"kupang","window":"1d",'
        b'"window_start":"2026-11-23T00:00:00.000Z","revision":7,"coverage_ratio":0.0}',
    ),
    (
        Rollup(
            "site",
            "tirosa",
            "1h",
            AT - AT % 3_600_000,
            2,
            1.0,
            internet_ratio=0.975,
            flow_offload_ratio=0.5,
        ),
        "titik/v1/rollup/1h/site/tirosa",
        b'{"v":1,"scope":"site","name":"tirosa","window":"1h",'
        b'"window_start":"2026-11-23T03:00:00.000Z","revision":2,"coverage_ratio":1.0,'
        b'"internet_ratio":0.975,"flow_offload_ratio":0.5}',
    ),
    (
        replace(
            BARE_SAMPLE,
            bss=(Bss("a", off_air=True), Bss("b", undercounted=True)),
            off_air=True,
            flow_offload=True,
        ),
        "titik/v1/router/tirosa-1/sample",
        b'{"v":1,"router":"tirosa-1","run":"9f2c41d07be35a68","first_seq":184,"seq":184,'
        b'"spool":{"9f2c41d07be35a68":[184,184]},"boot":"6b0f3c52-1f0a-4c55-9a57-2f3f1c0d9e11",'
        b'"uptime_ms":5523001,"taken_at":"2026-11-23T03:04:05.120Z","clock":"ntp",'
        b'"covers_ms":30000,"agent":{"rss_bytes":1,"spooled":1,"merged":0,"lost":0,"corrupt":0},'
        b'"bss":[{"ifname":"a","off_air":true},{"ifname":"b","undercounted":true}],'
        b'"off_air":true,"flow_offload":true}',
    ),
    (
        Now("router", "tirosa-1", "online", AT, 0, 1, 1, off_air=True, flow_offload=True),
        "titik/v1/now/router/tirosa-1",
        b'{"v":1,"scope":"router","name":"tirosa-1","state":"online",'
        b'"at":"2026-11-23T03:04:05.120Z","age_ms":0,"routers_online":1,"routers_known":1,'
        b'"off_air":true,"flow_offload":true}',
    ),
    (
        Now(
            *("router", "tirosa-1", "online", AT, 0, 1, 1),
            leases=21,
            dns_ms=12.5,
            gateway_up=False,
            icmp_loss_ratio=1.0,
            uptime_s=5523,
            temp_c=-3.5,
        ),
        "titik/v1/now/router/tirosa-1",
        b'{"v":1,"scope":"router","name":"tirosa-1","state":"online",'
        b'"at":"2026-11-23T03:04:05.120Z","age_ms":0,"routers_online":1,"routers_known":1,'
        b'"leases":21,"dns_ms":12.5,"gateway_up":false,"icmp_loss_ratio":1.0,"uptime_s":5523,'
        b'"temp_c":-3.5}',
    ),
    (
        CollectorStatus("kupang", "offline", "0.1.0", False, "disk is full", AT, 63_000, 8641),
        "titik/v1/collector/kupang/status",
        b'{"v":1,"collector":"kupang","state":"offline","version":"0.1.0","storing":false,'
        b'"problem":"disk is full","since":"2026-11-23T03:04:05.120Z","behind_ms":63000,'
        b'"beat":8641}',
    ),
    (
        AlertNow(
            *("site", "taman-tirosa", "site-offline", "critical", "firing", AT + 300_000, AT),
            *(True, False, False, "Taman Tirosa: mati", "Taman Tirosa: offline", 7),
        ),
        "titik/v1/alert/site/taman-tirosa/site-offline",
        b'{"v":1,"scope":"site","name":"taman-tirosa","kind":"site-offline",'
        b'"severity":"critical","state":"firing","since":"2026-11-23T03:09:05.120Z",'
        b'"began":"2026-11-23T03:04:05.120Z","known":true,"acked":false,"silenced":false,'
        b'"title_id":"Taman Tirosa: mati","title_en":"Taman Tirosa: offline","incident":7}',
    ),
    (
        AlertNow(
            *("server", "kupang", "disk-low", "critical", "recovering", AT, AT - 60_000),
            *(False, True, True, "Kota Kupang: disk hampir penuh"),
            *("Kota Kupang: the disk is nearly full", None, 0.07),
        ),
        "titik/v1/alert/server/kupang/disk-low",
        b'{"v":1,"scope":"server","name":"kupang","kind":"disk-low","severity":"critical",'
        b'"state":"recovering","since":"2026-11-23T03:04:05.120Z",'
        b'"began":"2026-11-23T03:03:05.120Z","known":false,"acked":true,"silenced":true,'
        b'"title_id":"Kota Kupang: disk hampir penuh",'
        b'"title_en":"Kota Kupang: the disk is nearly full","value":0.07}',
    ),
    (
        Ack(
            "tirosa-1",
            (AckedRun(OLDER_RUN, 0, lacks=((1, 700),)), AckedRun(RUN, 180, ((183, 184),))),
            "5b1f0c9e116b3c52",
            12,
        ),
        "titik/v1/router/tirosa-1/ack",
        b'{"v":1,"runs":{"0123456789abcdef":{"upto":0,"lacks":[[1,700]]},'
        b'"9f2c41d07be35a68":{"upto":180,"also":[[183,184]]}},'
        b'"store":"5b1f0c9e116b3c52","epoch":12}',
    ),
    (
        RouterSettings(
            "tirosa-1", 3, 60, ("example.net:443", "[2001:db8::1]:53"), (), log_level="debug"
        ),
        "titik/v1/router/tirosa-1/settings",
        b'{"v":1,"router":"tirosa-1","revision":3,"interval_s":60,'
        b'"reach_targets":["example.net:443","[2001:db8::1]:53"],"reach_names":[],'
        b'"log_level":"debug"}',
    ),
    (
        RouterCertificate("tirosa-1", 1, "MIIB", ("MIIC",), 5, "MIID", "MIIE"),
        "titik/v1/router/tirosa-1/certificate",
        b'{"v":1,"router":"tirosa-1","revision":1,"certificate":"MIIB","authorities":["MIIC"],'
        b'"edition":5,"witness":"MIID","witness_key":"MIIE"}',
    ),
    (
        RouterUpgrade("tirosa-1", 2, "0.2.0"),
        "titik/v1/router/tirosa-1/upgrade",
        b'{"v":1,"router":"tirosa-1","revision":2,"version":"0.2.0"}',
    ),
    (
        Question("tirosa-1", RUN, "check"),
        "titik/v1/router/tirosa-1/request",
        b'{"v":1,"router":"tirosa-1","id":"9f2c41d07be35a68","what":"check"}',
    ),
    (
        RouterReply("tirosa-1", RUN, ("ok    dns: mqtt.example.net",), ("INFO connected",)),
        "titik/v1/router/tirosa-1/answer",
        b'{"v":1,"router":"tirosa-1","id":"9f2c41d07be35a68",'
        b'"checks":["ok    dns: mqtt.example.net"],"log":["INFO connected"]}',
    ),
    (
        Running(
            *("tirosa-1", RUN, "0.2.0", Outcome(3, "applied", since=AT), InForce(60)),
            *(Outcome(1, "rolled-back", "no ack", AT), Trust(("ab" * 32,), "cd" * 32, AT, False)),
        ),
        "titik/v1/router/tirosa-1/running",
        b'{"v":1,"router":"tirosa-1","run":"9f2c41d07be35a68","version":"0.2.0",'
        b'"settings":{"revision":3,"state":"applied","since":"2026-11-23T03:04:05.120Z"},'
        b'"in_force":{"interval_s":60},'
        b'"certificate":{"revision":1,"state":"rolled-back","reason":"no ack",'
        b'"since":"2026-11-23T03:04:05.120Z"},'
        b'"trust":{"authorities":["' + b"ab" * 32 + b'"],"certificate":"' + b"cd" * 32 + b'",'
        b'"until":"2026-11-23T03:04:05.120Z","kept":false}}',
    ),
]


def topic_of(message: Message) -> str:
    """Where a message belongs; a sample's is `sample`."""
    match message:
        case Status():
            return topics.status(message.router)
        case Sample():
            return topics.sample(message.router)
        case Ack():
            return topics.ack(message.router)
        case CollectorStatus():
            return topics.collector(message.collector)
        case RouterSettings():
            return topics.settings(message.router)
        case RouterCertificate():
            return topics.certificate(message.router)
        case RouterUpgrade():
            return topics.upgrade(message.router)
        case Question():
            return topics.request(message.router)
        case RouterReply():
            return topics.answer(message.router)
        case Running():
            return topics.running(message.router)
        case Now():
            return topics.now(message.scope, message.name)
        case Rollup():
            return topics.rollup(message.window, message.scope, message.name)
        case AlertNow():
            return topics.alert(message.scope, message.name, message.kind)
