"""Where a broker is, under which name we log in, and what we trust.

They are frozen as named tuples: a dataclass costs a router twice as much memory.
"""

from typing import NamedTuple

LOOPBACK = "127.0.0.1"
PORT, TLS_PORT = 1883, 8883  # MQTT's own
WINDOW = 20  # messages without PUBACK: mosquitto's default of what it takes at once


class Tls(NamedTuple):
    """Files in PEM; without a CA file the system's count."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True


class Endpoint(NamedTuple):
    """Where to connect, and under which name."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None  # None: no TLS

    @property
    def where(self) -> str:
        """The address in words."""
        return f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        """Without the password."""
        return f"Endpoint({self.where}, {self.username})"
