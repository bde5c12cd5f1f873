"""The agent's configuration: any file gives a Config or a ConfigError."""

from collections.abc import Sequence

from tests.fuzz.targets import folder
from titik_agent.config import ConfigError, load, targets

SMALL = b'router = "r-1"\n[broker]\nhost = "h"\n'
FULL = b"""router = "tirosa-1"
interval_s = 30
clock = "trusted"
watchdog = "titik-agent"
[broker]
host = "broker.example"
port = 8883
password_file = "p"
tls = true
ca_file = "ca"
cert_file = "c"
key_file = "k"
[spool]
directory = "/tmp/titik"
limit_bytes = 1048576
persist_dir = "/etc/titik"
[interfaces]
uplink = "wan"
lan = ["br-lan"]
[sources]
hostapd = "off"
ubus_socket = "u"
control_dir = "c"
lease_files = ["l"]
[reach]
targets = ["example.net:443", "[fd00::1]:53"]
names = ["*.example"]
every_s = 60
[probe]
result_file = "r"
targets = ["192.0.2.1"]
max_age_s = 900
"""


def seeds() -> Sequence[bytes]:
    return [SMALL, FULL]


def one(data: bytes) -> None:
    file = folder("agent-config") / "agent.toml"
    file.write_bytes(data)
    try:
        config = load(str(file))
    except ConfigError:
        return
    assert len(config.reach.targets) == len(targets(config.reach))
    hash(config)
