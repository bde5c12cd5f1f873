"""How the collector and `titik` reach the broker: the file's keys, then the broker's directory."""

from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.config.model import COLLECTOR_USER, Config, ConfigError
from titik_collector.limits import MAX_PASSWORD_FILE
from titik_mqtt.endpoint import LOOPBACK, PORT, Endpoint, Tls


def login(config: Config) -> Endpoint:
    """ConfigError or BrokerError if something is missing or cannot be read."""
    broker = config.broker
    directory = BrokerFolder.open(broker.directory) if broker.directory is not None else None
    username = broker.username or (directory.settings.collector if directory else COLLECTOR_USER)
    password = None
    if broker.password_file is not None:
        password = _password(config)
    elif directory is not None:
        password = directory.password(username)
    tls = None if broker.ca_file is None else Tls(str(broker.ca_file))
    port = directory.ports.collector if directory else PORT
    if directory is not None and (away := _away(config, directory)) is not None:
        port, tls = away, tls or _trusts(directory)
    return Endpoint(broker.host or LOOPBACK, broker.port or port, username, password, tls)


def reading(config: Config) -> Endpoint | None:
    """A door at which the collector's user may read beside itself; None if none is known.

    At the collector's own listener a second client of its user would take over the first.
    """
    if config.broker.directory is None:
        return None
    directory = BrokerFolder.open(config.broker.directory)
    tls = None if directory.settings.host is None else _trusts(directory)
    host, port = readers_host(config, directory), directory.ports.engineer
    return login(config)._replace(host=host, port=port, tls=tls)


def readers_host(config: Config, directory: BrokerFolder) -> str:
    """Where the engineers' listener is of the broker that the collector is at."""
    name = config.broker.host
    return directory.engineer_host if name is None or directory.ports.away is None else name


def _away(config: Config, directory: BrokerFolder) -> int | None:
    """The port of the listener for collectors on other machines; None: this one's broker is ours.

    A name that moves between two brokers may lead to the other one.
    """
    return None if config.broker.host is None else directory.ports.away


def _trusts(directory: BrokerFolder) -> Tls:
    return Tls(str(directory.path / "tls" / "ca.crt"))


def _password(config: Config) -> str:
    assert config.broker.password_file is not None
    try:
        return config.broker.password_file.read_text(encoding="utf-8")[:MAX_PASSWORD_FILE].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            config.file, "broker.password_file", str(error), "allowed: a readable file"
        ) from error
