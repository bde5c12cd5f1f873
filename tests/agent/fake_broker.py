"""A broker that says what a test wants, on a real socket; the test reads and writes its packets.

No thread: the kernel completes a TCP connect before anyone accepts it, so a test may let the
client connect first and answer afterwards.
"""

import socket
import struct
from types import TracebackType
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
TIMEOUT_S = 60.0  # a test that waits so long has failed


class Packet(NamedTuple):
    """One packet of the client."""

    kind: int
    flags: int
    body: bytes


class Published(NamedTuple):
    """A PUBLISH of the client."""

    topic: str
    payload: bytes
    retain: bool
    mid: int
    properties: bytes = b""


class Session:
    """One client's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(TIMEOUT_S)

    def read(self) -> Packet:
        """The client's next packet; EOFError when it hung up."""
        head = self._exactly(1)[0]
        length = shift = 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return Packet(head >> 4, head & 15, self._exactly(length))

    def published(self) -> Published:
        """The client's next packet, which must be a PUBLISH with QoS 1."""
        packet = self.read()
        assert (packet.kind, packet.flags & 6) == (PUBLISH, 2)
        (size,) = struct.unpack_from("!H", packet.body)
        topic = packet.body[2 : 2 + size].decode()
        (mid, properties) = struct.unpack_from("!HB", packet.body, 2 + size)
        known, payload = packet.body[5 + size :][:properties], packet.body[5 + size + properties :]
        return Published(topic, payload, bool(packet.flags & 1), mid, known)

    def send(self, kind: int, body: bytes = b"", flags: int = 0) -> None:
        """Any packet, well formed or not."""
        assert len(body) < 128
        self.sock.sendall(bytes([kind << 4 | flags, len(body)]) + body)

    def connack(self, code: int = 0, properties: bytes = b"") -> None:
        """Accept or refuse the connection."""
        self.send(CONNACK, bytes([0, code, len(properties)]) + properties)

    def puback(self, mid: int, code: int | None = None) -> None:
        """Answer for a PUBLISH."""
        self.send(PUBACK, struct.pack("!H", mid) + (b"" if code is None else bytes([code])))

    def suback(self, *codes: int) -> None:
        """Read a SUBSCRIBE and answer for it."""
        packet = self.read()
        assert packet.kind == SUBSCRIBE
        self.send(SUBACK, packet.body[:2] + b"\0" + bytes(codes))

    def publish(self, topic: str, payload: bytes) -> None:
        """A message with QoS 0 for the client."""
        name = topic.encode()
        self.send(PUBLISH, struct.pack("!H", len(name)) + name + b"\0" + payload)

    def hung_up(self) -> bool:
        """Whether the client closed; waits for it."""
        try:
            while self.sock.recv(4096):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self.sock.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data


class FakeBroker:
    """Listens on a free loopback port."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(TIMEOUT_S)
        self.port = int(self._server.getsockname()[1])
        self.sessions: list[Session] = []

    def accept(self) -> Session:
        """The next client, before it sent anything."""
        try:
            session = Session(self._server.accept()[0])
        except TimeoutError:
            raise AssertionError(f"no client came within {TIMEOUT_S:.0f} s") from None
        self.sessions.append(session)
        return session

    def __enter__(self) -> "FakeBroker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in self.sessions:
            session.close()
        self._server.close()
