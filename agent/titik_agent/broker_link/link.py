"""The router's connection: session and will outlast a break of up to 30 s.

The will's delay and the session's life are one time: resuming the session suppresses the will.
"""

import time
from collections.abc import Callable

from titik_agent.limits import MAX_IN_FLIGHT
from titik_mqtt.connection import Connection, Events, Terms, Will
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import Remedies
from titik_wire import packed
from titik_wire.limits import MAX_PACKET
from titik_wire.topics import CLIENT_ID

CONNECT_TIMEOUT_S = 10.0  # each: TCP, TLS handshake, and the broker's answer to CONNECT
# A dead peer is noticed after one to two of these. Shorter costs radio time on LTE uplinks and
# gives up on stalls that pass.
KEEPALIVE_S = 45
# The broker waits this long before it publishes the will, and keeps the session as long: an
# uplink that flaps for less does not flap the router's status.
WILL_DELAY_S = 30


class RouterRemedies(Remedies):
    """What an installer can check, by the keys of agent.toml."""

    machine = "this router"
    dns = "check broker.host, a name alone (no mqtt://), and the router's DNS"
    refused = "check broker.port, and that the broker runs"
    timeout = "check the uplink, and the broker's firewall"
    silence = "check the uplink"
    tls = "check broker.port and broker.tls"
    authority = "check broker.ca_file"
    name = "broker.host"
    own_certificate = "check broker.cert_file"
    revoked = "ask for a new bundle (titik router rotate)"
    client_id = "check the router's name"
    credentials = "check the router's name and broker.password_file"
    permission = (
        "is this router registered (titik router list), its password right, and this the city's"
        " broker? titik broker check on the server shows its ports"
    )
    taken_over = "another device connects under this router's name"


class Link(Connection):
    """One connection of a router, whose name is its user name."""

    def __init__(
        self,
        endpoint: Endpoint,
        will: Will,
        events: Events,
        *,
        keepalive_s: int = KEEPALIVE_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        terms = Terms(
            f"{CLIENT_ID}{endpoint.username}",
            keepalive_s,
            connect_timeout_s,
            clean_start=False,
            session_s=WILL_DELAY_S,
            will_delay_s=WILL_DELAY_S,
            max_packet=MAX_PACKET,
            window=MAX_IN_FLIGHT,
        )
        super().__init__(endpoint, terms, will, events, RouterRemedies, monotonic=monotonic)

    def publish(
        self, topic: str, payload: bytes, retain: bool, content_type: str | None = None
    ) -> int:
        """Send at least once; a packed payload is marked as one."""
        if content_type is None and packed.is_packed(payload):
            content_type = packed.CONTENT_TYPE
        return super().publish(topic, payload, retain, content_type)
