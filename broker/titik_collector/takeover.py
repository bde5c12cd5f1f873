"""Taking over the session of a client that must go.

Rule: the session that takes over ends with its connection, and says nothing.
"""

import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from titik_collector.mqtt import LinkDown
from titik_wire import topics

PATIENCE_S = 8.0
RETRY_S = 0.2  # the broker reads new passwords a moment after it was told to


def take(port: int, user: str, password: str) -> None:
    """Connect on this machine as `user`, whose name is the client id there; LinkDown if refused."""
    deadline = time.monotonic() + PATIENCE_S
    while not _try(port, user, password):
        if time.monotonic() > deadline:
            raise LinkDown(f"the broker on port {port} did not let {user} be taken over")
        time.sleep(RETRY_S)


def _try(port: int, user: str, password: str) -> bool:
    answers: list[ReasonCode] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=topics.CLIENT_ID + user,
        protocol=paho.MQTTv5,
        reconnect_on_failure=False,
    )
    client.username_pw_set(user, password)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(reason)
    try:
        client.connect("127.0.0.1", port, clean_start=True)
    except OSError:
        return False
    deadline = time.monotonic() + PATIENCE_S
    while not answers and client.socket() is not None and time.monotonic() < deadline:
        client.loop(0.1)
    good = bool(answers) and not answers[0].is_failure
    client.disconnect()
    return good
