"""Where a broker is, as whom we log in, and what we trust."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM; without a CA file the system's count."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and as whom."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None  # None: no TLS

    @property
    def where(self) -> str:
        """The address in words."""
        return f"{self.host}:{self.port}"
