"""Samples as the store keeps them: the JSON as received, deflated with a preset dictionary.

Rule: a dictionary is never changed, because stored bodies need it to be read again. A better one
gets a new number, which is the first byte of every body.
"""

import zlib

from titik_wire.limits import MAX_PAYLOAD

# What nearly every sample contains, the most frequent last, where deflate finds it cheapest.
_DICTIONARY_1 = (
    b'"probe":{"at_uptime_ms":1000,"gateway_up":true,"icmp_ms":1.0,"icmp_loss_ratio":0.0,'
    b'"lan_devices":1}"reach":{"dns_ms":1.0,"dns_failures":0,"tcp_ms":1.0,"tcp_failures":0,'
    b'"attempts":1},"truncated":true,"past":[{"clock":"guess","role":"lan","up":false,"band":"6g",'
    b'"radios":[{"name":"phy0","channel":6,"noise_dbm":-95,"airtime_busy_ms":1,'
    b'"airtime_active_ms":1}],"visitors":{"count":1,"since":"2026-11-22T16:00:00.000Z"},"leases":1,'
    b'"host":{"uptime_s":1,"load_1m":0.1,"cpu_busy_ratio":0.1,"mem_total_bytes":1,'
    b'"mem_available_bytes":1,"disk_free_bytes":1,"temp_c":51.0},'
    b'{"v":1,"router":"-1","run":"","first_seq":1,"seq":1,"spool":{"":[1,1]},"boot":"-","uptime_ms":1,'
    b'"taken_at":"2026-11-23T03:04:05.120Z","clock":"ntp","covers_ms":30000,"agent":{"rss_bytes":2,'
    b'"spooled":1,"merged":0,"lost":0,"corrupt":0,"failed":[],"saturated":false},"clients":1,'
    b'"clients_min":1,"clients_max":1,"active":1,"client_ms":1,"observed_ms":1,"net":[{"ifname":"wan",'
    b'"role":"uplink","up":true,"since":"/","rx_bytes":1,"tx_bytes":1,"rx_packets":1,"tx_packets":1,'
    b'"rx_errors":0,"tx_errors":0,"rx_drops":0,"tx_drops":0},{"bss":[{"ifname":"phy0-ap0","ssid":'
    b'"Kupang Smart City",'
    b'"band":"2g","channel":6,"utilization_ratio":0.1,"clients":1,"clients_min":1,'
    b'"clients_max":1,"client_ms":1,"active":1,"weak":0,"since":"/1","rx_bytes":1,"tx_bytes":1},'
    b'{"ifname":"phy1-ap0","band":"5g","channel":36,'
)

# Of 1.5 kB, 310 bytes are left. Level 6 leaves 28 fewer, and costs a third more.
_LEVEL = 3
# Its window is 8 KiB: a dictionary and a message. The usual one would be memory from the kernel
# for each message, which costs more than to deflate it.
_WINDOW, _MEMORY = 13, 7


def pack(payload: bytes) -> bytes:
    """The payload, smaller; `unpack` gives it back to the byte."""
    deflate = zlib.compressobj(
        _LEVEL, zlib.DEFLATED, -_WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY_1
    )
    return b"\x01" + deflate.compress(payload) + deflate.flush()


def unpack(body: bytes) -> bytes:
    """The payload; ValueError if the body is damaged."""
    if body[:1] != b"\x01":
        raise ValueError(f"body of an unknown dictionary {body[:1]!r}")
    inflate = zlib.decompressobj(-15, zdict=_DICTIONARY_1)
    try:
        return inflate.decompress(body[1:], MAX_PAYLOAD)
    except zlib.error as error:
        raise ValueError(f"damaged body: {error}") from error
