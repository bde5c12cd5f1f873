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
    return Endpoint(
        host=broker.host or LOOPBACK,
        port=broker.port or (directory.ports.collector if directory else PORT),
        username=username,
        password=password,
        tls=None if broker.ca_file is None else Tls(str(broker.ca_file)),
    )


def reading(config: Config) -> Endpoint | None:
    """A door at which the collector's user may read beside itself; None if none is known.

    At the collector's own listener a second client of its user would take over the first.
    """
    if config.broker.directory is None:
        return None
    directory = BrokerFolder.open(config.broker.directory)
    ca_file = str(directory.path / "tls" / "ca.crt")
    tls = None if directory.settings.host is None else Tls(ca_file)
    host, port = directory.engineer_host, directory.ports.engineer
    return login(config)._replace(host=host, port=port, tls=tls)


def _password(config: Config) -> str:
    assert config.broker.password_file is not None
    try:
        return config.broker.password_file.read_text(encoding="utf-8")[:MAX_PASSWORD_FILE].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            config.file, "broker.password_file", str(error), "allowed: a readable file"
        ) from error
