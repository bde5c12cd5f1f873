"""mosquitto's configuration, from what `titik broker init` decided."""

import sysconfig
from importlib import resources
from pathlib import Path
from string import Template

from titik_collector.access import plugin_file
from titik_collector.broker_setup.broker_folder import PLUGIN, Settings
from titik_collector.limits import MAX_QUEUED, MAX_QUEUED_BYTES
from titik_wire.limits import MAX_PACKET

# The oldest version that is let in; a router proves with its certificate who it is.
_TLS = """
tls_version tlsv1.2
cafile tls/ca.crt
certfile tls/server.crt
keyfile tls/server.key"""
_CERTIFIED = """
crlfile tls/crl.pem
require_certificate true
use_identity_as_username true"""
# By password, as on this machine; it is not the engineers', where a client id is the client's own.
_AWAY = """
# Collectors on other machines.
listener {port} {address}
use_username_as_clientid true"""


def text(settings: Settings) -> str:
    """The whole of broker.conf."""
    template = resources.files("titik_collector.broker_setup") / "mosquitto" / "broker.conf.in"
    return Template(template.read_text(encoding="utf-8")).substitute(
        max_packet=MAX_PACKET,
        max_queued=MAX_QUEUED,
        max_queued_bytes=MAX_QUEUED_BYTES,
        plugin=plugin(),
        access=plugin_file.FILE,
        account=settings.account,
        listen=settings.listen,
        engineer_listen=settings.engineer_listen,
        router_port=settings.ports.router,
        engineer_port=settings.ports.engineer,
        collector_port=settings.ports.collector,
        router_tls="" if settings.host is None else _TLS + _CERTIFIED,
        engineer_tls="" if settings.host is None else _TLS,
        away=_away(settings),
    )


def _away(settings: Settings) -> str:
    if settings.collector_listen is None:
        return ""
    return _AWAY.format(port=settings.ports.away, address=settings.collector_listen) + _TLS + "\n"


def plugin(root: Path = Path("/")) -> Path:
    """mosquitto's dynamic-security plugin; where Debian would put it, if it is nowhere."""
    own = root / "usr/lib" / (sysconfig.get_config_var("MULTIARCH") or "")
    others = (root / "usr/lib", root / "usr/lib64", root / "usr/local/lib")
    places = [own, *others, *sorted((root / "usr/lib").glob("*-linux-*"))]
    return next((one / PLUGIN for one in places if (one / PLUGIN).exists()), own / PLUGIN)
