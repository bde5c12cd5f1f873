"""What an operator can check when the broker cannot be reached, by the keys of titik.toml."""

from titik_mqtt.failures import Remedies


class CollectorRemedies(Remedies):
    """Of the collector's own connection."""

    machine = "this server"
    dns = "check broker.host"
    refused = "does the broker run? if elsewhere, check broker.port"
    timeout = "check broker.host, and the broker's firewall"
    tls = "check broker.port and broker.ca_file"
    authority = "check broker.ca_file"
    name = "broker.host"
    own_certificate = "check broker.port: routers need certificates, the collector has none"
    client_id = "check collector.id"
    credentials = "see broker.username and broker.password_file"
    permission = "see broker.username and broker.password_file"
    taken_over = "another collector connects with this collector.id"


def was_taken_over(reason: str) -> bool:
    """Whether a connection ended because another collector connected with the same id."""
    return reason.endswith("(0x8E)")
