"""How much and how many at most, in the router half; the contract's are in `titik_wire.limits`.

Rule: what is above is cut, refused or forgotten. How much at a time stands where it is done.
"""

# Bytes read of a file.
MAX_SMALL_FILE = 4096  # a password, resolv.conf, what the probe or an earlier agent left
MAX_WISH_FILE = 8192  # settings of a city, and what became of them
MAX_SYSFS_FILE = 256
MAX_PPPOE_FILE = 64 * 64  # 64 sessions
MAX_SINCE_FILE = 64 * 1024
MAX_MODULES = 64 * 1024  # some 1000 of the kernel's
MAX_SEGMENT = 1 << 20  # of the spool's; one is read whole, and is deflated in one go
MAX_LEASE_FILE = 1 << 20  # ten times what dnsmasq's default limit of 1000 leases can fill

# Bytes of one message.
MAX_DNS_ANSWER = 4096
MAX_CONTROL_REPLY = 8192  # twice hostapd's own buffer
MAX_NETLINK_ANSWER = 1 << 20  # 10,000 routes; the default ones of a table come first
# Above the 1 MiB that ubusd itself relays (some 1500 clients of one BSS), and little enough for a
# router with 64 MB.
MAX_UBUS_MESSAGE = 4 << 20
MAX_LOG_TAIL = 6144  # of the log's end, which is kept for a city that asks
MAX_CHECK_OUTPUT = 32 * 1024  # that `titik-agent check` prints; it is some 3 KiB

# Entries of one answer.
MAX_STATIONS = 8192  # of a BSS; 802.11 numbers 2007
MAX_OBJECTS = 256  # of a lookup on ubus, and so BSSes
MAX_SERVERS = 3  # for names, as in the C library
MAX_RECORDS = 64  # of DNS, looked at

# What is remembered.
MAX_TRACKED = 4096  # clients; some 1 MB; a stadium, not a hotspot
MAX_SUMMED = 128  # interfaces whose sums are kept; a message holds 64, the rest are long gone
MAX_COUNTED = 512  # interfaces whose counters are known; the least recently read is forgotten first
# Interfaces of a boot. The least recently restarted is forgotten first; the kernel never reuses an
# ifindex in a boot before it has counted through two thousand million.
MAX_IDENTITIES = 512
MAX_PHYS = 64  # no router has as many, but names may change
MAX_COLLECTORS = 64  # there are one or two
# Entries of blocks that are gone stay among the candidates; beyond this surplus start afresh.
MAX_SURPLUS = 64

# What is sent, asked and walked through.
MAX_RESENDS = 10  # of a record that later ones overtook
# Times that one part of the spool is sent again because a collector lacks it. A store that is
# restored twice asks twice, and one that restarts meanwhile once more.
MAX_ASKED = 4
ASKED_S = 3600.0  # after which these are forgotten, so that a drill does not use up the day
MAX_IN_FLIGHT = 32  # all that can be without PUBACK: backlog window, live samples and status
MAX_TARGETS = 8  # names, hosts and addresses: bounds how long a round can take
MAX_SWEEP = 1024  # addresses; a larger LAN would fill the air with our questions
MAX_PROBE_MEMORY = 256 << 20  # bytes of address space; scapy needs 80 MB
MAX_WAYS = 8  # more lines to the internet than a router has ports
MAX_DEPTH = 6  # of interfaces: session, VLAN, bridge, VLAN, port, and one to spare

# Values.
MAX_DNS_NAME = 253  # characters
MAX_PHY_NAME = 60  # characters, so that its band fits into a label with it
MAX_DEVICES = 1 << 16
MAX_SHOWN = 120  # characters of a section in `titik-agent check`
MAX_LOOKED = 240  # characters of a line that a router answers with
MAX_SEARCHED = 16 * MAX_LOOKED  # of one, for what is to be hidden: takes the square, and shortens
MAX_REASON = 200  # characters of a reason in the state file
