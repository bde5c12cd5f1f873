"""How much a message of contract v1 may hold; the codec and the JSON Schemas read it."""

# Bytes, packed or not; bounds what anybody can make a reader parse.
MAX_PAYLOAD = 12 * 1024
# Bytes of a message with its topic and properties. The broker refuses larger ones, and a router
# asks it to send none.
MAX_PACKET = 20 * 1024

# Numbers.
MAX_WHOLE = 2**53 - 1  # every JSON reader keeps it exact
MAX_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write
MAX_PEOPLE = 1_000_000  # far above any router; the sum over a nation's routers stays exact
MAX_MEAN = 1e9
MAX_LOAD = 1e6
MAX_RTT_MS = 3.6e6

# Characters of a text.
MAX_LABEL = 64
MAX_SLUG = 64
MAX_TOKEN = 200
MAX_TITLE = 300  # of an alert: a name for people, and what is wrong there
MAX_SSID = 32
MAX_IFNAME = 15  # Linux has no longer ones
MAX_TARGET = 261  # a DNS name and a port
MAX_DER = 2048  # a certificate or key in base64; ours have some 700

# What a message lists. A router with thousands of runs cannot outgrow a packet.
MAX_RUNS = 32  # in a sample's `spool` or an ack
MAX_ALSO = 16  # ranges of one run in an ack
MAX_BSSES = 64
MAX_RADIOS = 16
MAX_NETS = 32
MAX_PAST = 64  # counters that ended
MAX_FAILED = 16  # sources that could not be read
MAX_DAY_STARTS = 4
MAX_REMOTE_TARGETS = 4  # that `reach` asks at a city's wish
MAX_AUTHORITIES = 3
MAX_CHECKS = 40  # lines of `titik-agent check`
MAX_LOG_LINES = 50
