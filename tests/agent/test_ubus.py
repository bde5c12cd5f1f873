"""The ubus client, against bytes of a real ubusd and against the fake one."""

import contextlib
import os
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.fake_ubusd import CAPTURES, FakeUbusd, Short, Wide, answer, encode, hang
from titik_agent.hostapd import ubus, ubus_blob
from titik_agent.hostapd.ubus import Ubus, UbusEvent, UbusMessage, UbusRefused
from titik_agent.hostapd.ubus_blob import BlobTable, UbusError


def captured(prefix: str) -> bytes:
    """The bytes of the first captured line that starts so."""
    with open(os.path.join(CAPTURES, "g-ubus-wire-hex.txt")) as file:
        line = next(line for line in file if line.startswith(prefix))
    return bytes.fromhex(line.split()[2])


def plain(value: Any) -> Any:
    """A table as dictionaries, nested to the end; an array as a list."""
    if not isinstance(value, BlobTable):
        return value
    items = [(name, plain(each)) for name, each in value.items()]
    return dict(items) if all(name for name, _ in items) else [each for _, each in items]


def soon(seconds: float = 60) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def ubusd(tmp_path: Any) -> Iterator[FakeUbusd]:
    with FakeUbusd(str(tmp_path / "ubus.sock")) as fake:
        yield fake


@pytest.fixture
def client(ubusd: FakeUbusd) -> Iterator[Ubus]:
    connection = Ubus([ubusd.path])
    connection.open(soon())
    yield connection
    connection.close()


def test_captured_hello_is_read() -> None:
    """ubusd greets with our client id as the peer."""
    message = UbusMessage(captured("hostapd <- 0000"))
    assert (ubus.HELLO, 0x3CD25534) == (message.kind, message.peer)


STATION = {
    "auth": True,
    "assoc": True,
    "authorized": True,
    "wds": False,
    "rrm": [114, 0, 0, 0, 0],
    "aid": 1,
    "bytes": {"rx": Wide(5000000000), "tx": Wide(9223372036854775813)},
    "packets": {"rx": 2147483648, "tx": 4294967295},
    "rate": {"rx": 866700, "tx": 86670000},
    "signal": 0xFFFFFFCB,
    "capabilities": {},
}
CLIENTS = {"freq": 2412, "clients": {"02:00:5e:00:53:01": STATION}}


def test_captured_get_clients_reply_is_read() -> None:
    """Every value of a reply that a real ubusd relayed, unsigned."""
    message = UbusMessage(captured("hostapd -> 0002"))
    assert (ubus.DATA, 2, 0xC8359C3C) == (message.kind, message.seq, message.number(3))
    assert CLIENTS == plain(message.table())


def test_captured_get_clients_reply_is_written_alike() -> None:
    """So the fake's replies are those of libubox, byte for byte."""
    body = ubus_blob.number_attribute(ubus.ATTR_OBJID, 0xC8359C3C)
    body += ubus_blob.attribute(ubus.ATTR_DATA, encode(CLIENTS))
    header = struct.pack(">BBHI", 0, ubus.DATA, 2, 0xC59E0883)
    assert captured("hostapd -> 0002") == header + ubus_blob.attribute(0, body)


def test_captured_invocation_is_what_a_call_sends(ubusd: FakeUbusd, client: Ubus) -> None:
    """Object, method and data as ubusd passes them on, which adds user and group itself."""
    seen = captured("hostapd <- 0005")
    target = ubusd.add("hostapd.phy0-ap0", {"get_clients": answer({})})
    client.call(target, "get_clients", soon())
    object_id, method, data = seen[12:20], seen[20:36], seen[-4:]
    assert "get_clients" == UbusMessage(seen).text(ubus.ATTR_METHOD)
    assert object_id[:4] + struct.pack(">I", target) + method + data == ubusd.invocations[0][12:]


def test_captured_method_signatures_are_written_alike() -> None:
    """What the fake's encoder writes for tables is what libubox wrote."""
    methods = {
        "get_clients": {},
        "get_status": {},
        "del_client": {"addr": 3, "reason": 5, "deauth": 7, "ban_time": 5},
    }
    body = ubus_blob.text_attribute(ubus.ATTR_OBJPATH, "hostapd.phy0-ap0")
    body += ubus_blob.attribute(ubus.ATTR_SIGNATURE, encode(methods))
    header = struct.pack(">BBHI", 0, ubus.ADD_OBJECT, 1, 0)
    assert captured("hostapd -> 0006") == header + ubus_blob.attribute(0, body)


def test_captured_answer_to_an_invocation_is_written_alike() -> None:
    """A STATUS with our object's id, as libubus answers."""
    body = ubus_blob.number_attribute(ubus.ATTR_STATUS, 0)
    body += ubus_blob.number_attribute(ubus.ATTR_OBJID, 0xC8359C3C)
    header = struct.pack(">BBHI", 0, ubus.STATUS, 2, 0xC59E0883)
    assert captured("hostapd -> 0001") == header + ubus_blob.attribute(0, body)


def test_captured_subscription_notice_is_read() -> None:
    """`active` is a single byte."""
    message = UbusMessage(captured("hostapd <- 000a0001"))
    assert (ubus.NOTIFY, 1) == (message.kind, message.number(ubus.ATTR_ACTIVE))


def test_numbers_keep_their_width_and_signs_are_restored_on_demand() -> None:
    """64 bits do not wrap at 32, and a signal is negative."""
    table = BlobTable(encode({"a": Wide(2**63 + 1), "b": -53, "c": Short(-6), "d": True}))
    wide, signal, short, flag = table.pick(b"a", b"b", b"c", b"d")
    assert (2**63 + 1, 1) == (wide, flag)
    assert isinstance(signal, int)
    assert isinstance(short, int)
    assert (-53, -6) == (ubus_blob.signed(signal), ubus_blob.signed(short, 16))


def test_text_is_fit_for_a_terminal() -> None:
    """Bytes that are not UTF-8 and control characters show as U+FFFD."""
    assert "Caf\ufffd 📶 \\\ufffd\ufffd\ufffd" == ubus_blob.to_text(
        b"Caf\xe9 \xf0\x9f\x93\xb6 \\\n\x01\x7f\0x"
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_an_error(data: bytes) -> None:
    """Decoding is total."""
    with contextlib.suppress(UbusError):
        plain(BlobTable(data))
        BlobTable(data).pick(b"a", b"")


@pytest.mark.parametrize(
    "bad",
    [
        bytes.fromhex("850000000000"),  # a member of no length: going on from it would never end
        bytes.fromhex("850000040000"),  # no room for its name
        bytes.fromhex("8500000c00ff0000") + bytes(4),  # a name longer than the member
        bytes.fromhex("0500000800000000"),  # no name at all
        bytes.fromhex("85000010000161000000"),  # cut off
    ],
)
def test_members_that_do_not_fit_are_refused(bad: bytes) -> None:
    """Each by a rule of its own."""
    with pytest.raises(UbusError):
        plain(BlobTable(bad))
    with pytest.raises(UbusError):
        BlobTable(bad).pick(b"other")


@pytest.mark.parametrize("bad", ["03000000", "03000003", "03000009", "0300"])
def test_attributes_that_do_not_fit_are_refused(bad: str) -> None:
    """One of no length would never end."""
    with pytest.raises(UbusError):
        UbusMessage(bytes(12) + bytes.fromhex(bad))


VALID = encode({"freq": 2412, "clients": {"a": {"packets": {"rx": 1}, "ssid": "x", "l": [1, 2]}}})


@given(st.data())
def test_damaged_tables_are_a_table_or_an_error(data: st.DataObject) -> None:
    """Flipped and missing bytes included."""
    damaged = bytearray(VALID[: data.draw(st.integers(0, len(VALID)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UbusError):
        plain(BlobTable(bytes(damaged)))


@given(st.binary(max_size=120))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    """Whatever ubusd sends, reading it raises nothing but UbusError."""
    with contextlib.suppress(UbusError):
        message = UbusMessage(data)
        message.number(3)
        message.text(4)
        plain(message.table())


def test_lookup_finds_what_a_wildcard_matches(ubusd: FakeUbusd, client: Ubus) -> None:
    """Only objects of the pattern, with their ids."""
    first = ubusd.add("hostapd.phy0-ap0", {"get_clients": hang})
    second = ubusd.add("hostapd.phy1-ap0", {"get_clients": hang})
    ubusd.add("hostapd", {})
    found = client.lookup("hostapd.*", soon())
    assert {"hostapd.phy0-ap0": first, "hostapd.phy1-ap0": second} == found


def test_lookup_of_nothing_is_empty(client: Ubus) -> None:
    """NOT_FOUND is no failure."""
    assert {} == client.lookup("hostapd.*", soon())


def test_call_returns_what_the_method_answered(ubusd: FakeUbusd, client: Ubus) -> None:
    """The table of the DATA before the STATUS."""
    target = ubusd.add("x", {"get": answer({"n": 5})})
    assert {"n": 5} == plain(client.call(target, "get", soon()))


def test_a_refused_call_says_why(ubusd: FakeUbusd, client: Ubus) -> None:
    """The status is kept for whoever knows what it means."""
    target = ubusd.add("x", {})
    with pytest.raises(UbusRefused, match="method not found") as refusal:
        client.call(target, "get", soon())
    assert ubus.METHOD_NOT_FOUND == refusal.value.status


def test_a_method_that_hangs_costs_its_deadline_only(ubusd: FakeUbusd, client: Ubus) -> None:
    """And the connection goes on with the next question."""
    target = ubusd.add("x", {"slow": hang, "get": answer({"n": 5})})
    with pytest.raises(UbusError, match="no answer in time"):
        client.call(target, "slow", soon(0.05))
    assert {"n": 5} == plain(client.call(target, "get", soon()))


def test_a_late_answer_is_not_taken_for_the_next(ubusd: FakeUbusd, client: Ubus) -> None:
    """Answers belong to the question with their number."""

    def respond() -> bytes:
        late = ubus_blob.attribute(0, ubus_blob.attribute(ubus.ATTR_DATA, encode({"n": 9})))
        ok = ubus_blob.attribute(0, ubus_blob.number_attribute(ubus.ATTR_STATUS, ubus.OK))
        ubusd.send_raw(struct.pack(">BBHI", 0, ubus.DATA, 1, 0) + late)
        ubusd.send_raw(struct.pack(">BBHI", 0, ubus.STATUS, 1, 0) + ok)
        return encode({"n": 5})

    target = ubusd.add("x", {"slow": hang, "get": respond})
    with pytest.raises(UbusError, match="no answer in time"):
        client.call(target, "slow", soon(0.05))
    assert {"n": 5} == plain(client.call(target, "get", soon()))


def test_a_hung_ubusd_costs_the_deadline_only(ubusd: FakeUbusd) -> None:
    """One that takes the connection and says nothing; the connection is given up."""
    ubusd.hung = True
    connection = Ubus([ubusd.path])
    with pytest.raises(UbusError, match="no answer in time"):
        connection.open(soon(0.05))
    assert not connection.is_open


def test_an_endless_flow_of_notifications_does_not_keep_a_call_waiting(
    ubusd: FakeUbusd, client: Ubus
) -> None:
    """The deadline holds although there is always something to read."""
    now = [0.0]
    busy = Ubus([ubusd.path], monotonic=lambda: now[0])

    def tick(_: UbusEvent) -> None:
        now[0] += 0.1
        ubusd.notify("x", "probe", {})

    busy._on_event = tick
    target = ubusd.add("x", {"slow": hang})
    busy.open(5)
    busy.subscribe(target, 5)
    ubusd.notify("x", "probe", {})
    with pytest.raises(UbusError, match="no answer in time"):
        busy.call(target, "slow", 5)
    assert now[0] < 6
    busy.close()
    client.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 64,
        bytes(64),
        struct.pack(">BBHII", 0, 2, 1, 0, 0xFFFFFF),
        struct.pack(">BBHIIII", 0, 2, 1, 0, 12, 0x03000004, 0x03FFFFFF),
    ],
)
def test_garbage_ends_the_connection(ubusd: FakeUbusd, client: Ubus, garbage: bytes) -> None:
    """What is not the protocol is an error, and nothing after it is believed."""

    def respond() -> None:
        for each in ubusd._clients.values():
            each.socket.sendall(garbage)

    target = ubusd.add("x", {"get": respond})
    with pytest.raises(UbusError):
        client.call(target, "get", soon(0.2))
    assert not client.is_open


def test_a_message_cut_off_by_the_end_is_an_error(ubusd: FakeUbusd, client: Ubus) -> None:
    """Half an answer is none."""

    def respond() -> None:
        for each in ubusd._clients.values():
            each.socket.sendall(struct.pack(">BBHII", 0, 2, 1, 0, 400) + b"half")
            each.socket.shutdown(2)

    target = ubusd.add("x", {"get": respond})
    with pytest.raises(UbusError, match="closed the connection"):
        client.call(target, "get", soon())


def test_without_ubusd_the_paths_are_named(tmp_path: Any) -> None:
    """So that the installer sees where it was looked for."""
    paths = [str(tmp_path / "a.sock"), str(tmp_path / "b.sock")]
    with pytest.raises(UbusError, match=r"no ubusd at .*a\.sock or .*b\.sock"):
        Ubus(paths).open(soon())


def test_the_older_path_is_used_where_the_newer_is_missing(ubusd: FakeUbusd, tmp_path: Any) -> None:
    """19.07 has /var/run/ubus.sock."""
    connection = Ubus([str(tmp_path / "missing.sock"), ubusd.path])
    connection.open(soon())
    assert connection.is_open
    connection.close()


def listening(ubusd: FakeUbusd, heard: list[str]) -> Ubus:
    connection = Ubus([ubusd.path], on_event=lambda event: heard.append(event.name))
    connection.open(soon())
    return connection


def test_notifications_of_a_subscribed_object_are_heard(ubusd: FakeUbusd) -> None:
    """They come in through `pump`."""
    heard: list[str] = []
    connection = listening(ubusd, heard)
    connection.subscribe(ubusd.add("x", {}), soon())
    ubusd.notify("x", "sta-authorized", {"address": "02:00:5e:00:53:01"})
    connection.pump()
    assert ["sta-authorized"] == heard
    connection.close()


def test_notifications_are_answered_only_if_an_answer_is_awaited(ubusd: FakeUbusd) -> None:
    """hostapd may wait 100 ms for an answer; NO_REPLY says that it does not."""
    heard: list[str] = []
    connection = listening(ubusd, heard)
    connection.subscribe(ubusd.add("x", {}), soon())
    ubusd.notify("x", "probe", {}, reply=False)
    ubusd.notify("x", "auth", {}, reply=True)
    connection.pump()
    assert ["probe", "auth"] == heard
    assert ubusd.wait_for(lambda: bool(ubusd.answers))
    connection.lookup("x", soon())  # ubusd reads in order: whatever was sent before is there
    assert [ubus.OK] == ubusd.answers
    connection.close()


def test_a_notification_right_behind_an_answer_is_heard_at_once(ubusd: FakeUbusd) -> None:
    """It is in our memory already, so no selector would ever wake us for it."""
    heard: list[str] = []
    connection = listening(ubusd, heard)

    def respond() -> None:
        ok = ubus_blob.attribute(0, ubus_blob.number_attribute(ubus.ATTR_STATUS, ubus.OK))
        join = ubus_blob.attribute(0, ubus_blob.text_attribute(ubus.ATTR_METHOD, "sta-authorized"))
        status = struct.pack(">BBHI", 0, ubus.STATUS, 1, 0) + ok
        ubusd.send_raw(status + struct.pack(">BBHI", 0, ubus.INVOKE, 9, 0) + join)

    connection.call(ubusd.add("x", {"get": respond}), "get", soon())
    assert ["sta-authorized"] == heard
    connection.close()


def test_objects_that_come_and_go_are_heard(ubusd: FakeUbusd) -> None:
    """By the pattern registered with ubusd."""
    heard: list[str] = []
    connection = listening(ubusd, heard)
    connection.listen("ubus.object.*", soon())
    ubusd.add("x", {})
    ubusd.remove("x")
    connection.pump()
    assert ["ubus.object.add", "ubus.object.remove"] == heard
    connection.close()


def test_the_end_of_a_subscription_is_heard(ubusd: FakeUbusd) -> None:
    """Even where the ACL does not let us listen to ubusd's own events."""
    heard: list[str] = []
    connection = listening(ubusd, heard)
    connection.subscribe(ubusd.add("x", {}), soon())
    ubusd.remove("x")
    connection.pump()
    assert ["unsubscribed"] == heard
    connection.close()


def test_a_flood_is_handled_in_bounded_pieces(ubusd: FakeUbusd) -> None:
    """One `pump` does a bounded amount of work, and none of the flood is lost."""
    heard: list[str] = []
    connection = listening(ubusd, heard)
    connection.subscribe(ubusd.add("x", {}), soon())
    ubusd.notify("x", "probe", {"address": "02:00:5e:00:53:01", "signal": -61}, times=500)
    connection.pump()
    first = len(heard)
    assert 0 < first < 300
    while len(heard) < 500:
        before = len(heard)
        connection.pump()
        assert len(heard) > before
    connection.close()


def test_pump_has_nothing_to_do_when_nothing_came(client: Ubus) -> None:
    """It does not block."""
    client.pump()
    assert client.is_open


def test_pump_shows_that_ubusd_has_gone(ubusd: FakeUbusd, client: Ubus) -> None:
    """And leaves nothing to wait on."""
    ubusd.stop()
    with pytest.raises(UbusError):
        client.pump()
    assert client.fileno() is None
