"""Waits until a connection to the broker has something to read, and sends what waits."""

import select

from titik_mqtt.connection import Connection


def until_readable(connection: Connection, wait_s: float) -> bool:
    """Whether there is something to read; what waits to be sent leaves in that time.

    LinkDown, with the reason, if the connection has ended.
    """
    connection.check_open()
    if connection.has_pending():
        return True
    writers = [connection] if connection.want_write() else []
    readable, writable, _ = select.select([connection], writers, [], wait_s)
    if writable:
        connection.on_writable()
    return bool(readable)
