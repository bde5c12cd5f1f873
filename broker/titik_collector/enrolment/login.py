"""How the collector reaches its broker: the file's keys first, then the broker's directory."""

from dataclasses import replace

from titik_collector.broker_link.connection import Login
from titik_collector.config.model import COLLECTOR_USER, Config, ConfigError
from titik_collector.enrolment.broker_dir import BrokerDir


def login(config: Config) -> Login:
    """ConfigError or BrokerError if something is missing or cannot be read."""
    broker = config.broker
    directory = BrokerDir.open(broker.directory) if broker.directory is not None else None
    username = broker.username or (directory.settings.collector if directory else COLLECTOR_USER)
    password = None
    if broker.password_file is not None:
        password = _password(config)
    elif directory is not None:
        password = directory.password(username)
    return Login(
        host=broker.host or "127.0.0.1",
        port=broker.port or (directory.ports.collector if directory else 1883),
        username=username,
        password=password,
        ca_file=None if broker.ca_file is None else str(broker.ca_file),
    )


def reading(config: Config) -> Login | None:
    """A door at which the collector's user may read beside itself; None if none is known.

    At the collector's own listener a second client of its user would take over the first.
    """
    if config.broker.directory is None:
        return None
    directory = BrokerDir.open(config.broker.directory)
    tls = None if directory.settings.host is None else str(directory.path / "tls" / "ca.crt")
    return replace(
        login(config), host=directory.engineer_host, port=directory.ports.engineer, ca_file=tls
    )


def _password(config: Config) -> str:
    assert config.broker.password_file is not None
    try:
        return config.broker.password_file.read_text(encoding="utf-8")[:4096].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            config.file, "broker.password_file", str(error), "allowed: a readable file"
        ) from error
