"""paho's client over a socket of ours, with one face for 1.6.1 and 2.x.

paho's own way of opening a socket follows `mqtt_proxy` in the environment, and takes its TLS
deadline from the keep-alive (1.6.1). It calls `ssl.match_hostname` when the context does not check
by itself, which is gone in Python 3.12.
"""

import math
import socket
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

# paho notes a moment after us when it was sent something. A ping so much too late is none too late.
MOMENT_S = 0.05


class Client(mqtt.Client):
    """As paho 2.x has it; `dial` is set before `connect`."""

    dial: Callable[[], socket.socket]
    disconnect_code: int | None = None  # of a DISCONNECT that paho keeps to itself (1.6.1)
    puback_code: int = 0  # of the PUBACK at hand, likewise
    trouble: OSError | None = None  # what the socket raised, which paho turns into a number
    spoke_at: float = 0.0  # bytes left, by `time.monotonic`, and bytes came
    heard_at: float = 0.0

    def _create_socket_connection(self) -> socket.socket:
        return self.dial()

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            came = bytes(super()._sock_recv(bufsize))
        except BlockingIOError:
            raise
        except OSError as error:
            self.trouble = error
            raise
        self.heard_at = time.monotonic()
        return came

    def _sock_send(self, buf: Any) -> int:
        sent = int(super()._sock_send(buf))
        self.spoke_at = time.monotonic()
        return sent

    def rest_s(self) -> float:
        """Seconds until paho has a ping to send, or misses the answer to one; then below zero."""
        if not self._keepalive:
            return math.inf  # the broker's wish
        due = min(self.spoke_at, self.heard_at) + self._keepalive + MOMENT_S
        return due - time.monotonic()

    def follow_keep_alive(self, seconds: int | None) -> None:
        """The broker's wish; paho 2.x follows it by itself."""

    def has_sent(self) -> None:
        """Both lines forget to note what they send, and ping however much they publish."""
        self._last_msg_out = time.monotonic()

    def silence_s(self) -> int:
        """paho pings a broker that sent nothing for a keep-alive, and waits as long again."""
        return 2 * int(self._keepalive)


class OldClient(Client):
    """paho 1.6.1 parses the reason codes of PUBACK and DISCONNECT and reports them to nobody, and
    ignores what keep-alive the broker asks for. It is the last of its line, so its insides hold
    still.
    """

    def _packet_handle(self) -> Any:
        command = self._in_packet["command"] & 0xF0
        body = self._in_packet["packet"]
        if command == mqtt.PUBACK:
            self.puback_code = body[2] if len(body) > 2 else 0
        elif command == mqtt.DISCONNECT:
            self.disconnect_code = body[0] if body else 0
        return super()._packet_handle()

    def follow_keep_alive(self, seconds: int | None) -> None:
        if seconds:
            self._keepalive = seconds


def make(client_id: str) -> Client:
    """A client of the paho that is installed."""
    arguments: dict[str, Any] = {
        "client_id": client_id,
        "protocol": mqtt.MQTTv5,
        "reconnect_on_failure": False,
    }
    versions = getattr(mqtt, "CallbackAPIVersion", None)
    if versions is None:
        return OldClient(**arguments)
    return Client(callback_api_version=versions.VERSION2, **arguments)


def wanted(topics: Sequence[str], qos: int) -> list[tuple[str, Any]]:
    """What a SUBSCRIBE asks for."""
    return [(topic, SubscribeOptions(qos=qos)) for topic in topics]


def of_will(delay_s: int) -> Any:
    """The properties of a will that the broker publishes so long after it loses us."""
    return _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=delay_s or None)


def of_connect(session_s: int, receive_maximum: int | None, max_packet: int | None) -> Any:
    """The properties of CONNECT."""
    return _properties(
        PacketTypes.CONNECT,
        SessionExpiryInterval=session_s or None,
        ReceiveMaximum=receive_maximum,
        MaximumPacketSize=max_packet,
    )


def of_publish(content_type: str | None) -> Any:
    """The properties of a PUBLISH; None: it has none."""
    return (
        None if content_type is None else _properties(PacketTypes.PUBLISH, ContentType=content_type)
    )


@cache  # shared: paho keeps a table of all of MQTT's properties in each of them, 10 kB
def _properties(packet: int, **values: int | str | None) -> Any:
    make: Any = Properties
    properties = make(packet)
    for name, value in values.items():
        if value is not None:
            setattr(properties, name, value)
    return properties


def code_of(reason: Any) -> int:
    """A reason code of either paho; 1.6.1 gives a plain number now and then, or None."""
    return int(getattr(reason, "value", reason) or 0)


def is_from_broker(rest: Sequence[Any]) -> bool:
    """Whether `on_disconnect` is of a DISCONNECT of the broker, by what follows its user data.

    2.x: flags, reason, properties. 1.6.1: reason code or error number, properties.
    """
    if len(rest) == 3:
        return bool(rest[0].is_disconnect_packet_from_server)
    return not isinstance(rest[0], int)


def is_silence(reason: Any) -> bool:
    """Whether `on_disconnect` reports that pings were not answered."""
    return code_of(reason) in (mqtt.MQTT_ERR_KEEPALIVE, 0x8D)


def is_not_mqtt(reason: Any) -> bool:
    """Whether `on_disconnect` reports a packet that paho could not read."""
    return code_of(reason) in (mqtt.MQTT_ERR_PROTOCOL, 0x82)


def error_words(number: int) -> str | None:
    """What an error number of paho means; None: no error."""
    return None if number == mqtt.MQTT_ERR_SUCCESS else str(mqtt.error_string(number))
