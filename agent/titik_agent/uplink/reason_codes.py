"""The reason codes of MQTT 5, in words an installer understands."""

FAILURE = 0x80  # codes from here on are failures

_WORDS = {
    0x01: "the broker does not speak MQTT 5",  # what a 3.1.1 broker answers
    0x84: "the broker does not speak MQTT 5",
    0x85: "the broker does not accept this client id: check the router's name",
    0x86: "wrong user name or password: check broker.username and broker.password_file",
    0x87: "not authorized: is this router registered, and its password right?",
    0x88: "the broker is not available",
    0x89: "the broker is busy",
    0x8A: "the broker has banned this router",
    0x8B: "the broker is shutting down",
    0x8D: "the broker heard nothing from us for a while",
    0x8E: "session taken over: another device connects under this router's name",
    0x93: "too many messages without PUBACK",
    0x95: "a packet was too large for the broker",
    0x96: "message rate too high",
    0x97: "a quota of the broker is exceeded",
    0x98: "ended by the broker's administrator",
    0x99: "the broker does not accept the payload's format",
    0x9A: "the broker keeps no retained messages; it must",
    0x9F: "too many connections at once",
}
# Only a person can mend these, so they are retried slowly.
_SLOW = frozenset((0x01, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8E, 0x97, 0x98, 0x9A, 0x9B))


def words(code: int) -> str:
    """What went wrong, and what to check."""
    return f"{_WORDS.get(code, 'refused by the broker')} (0x{code:02X})"


def slow(code: int) -> bool:
    """Whether trying again soon is useless."""
    return code in _SLOW
