"""Why there is no connection, in words that an installer or an operator understands.

Rule: what failed is worded here, once for both halves. What to check names configuration keys, so
each half passes its own `Remedies`; without them a text only states what failed.
"""

from typing import Literal

Step = Literal["dns", "tcp", "tls", "login", "lost"]

FAILURE = 0x80  # reason codes of MQTT 5 from here on are failures


class LinkDown(Exception):
    """There is no connection. `slow`: trying again soon is useless until a person mends it."""

    def __init__(self, reason: str, step: Step = "lost", slow: bool = False) -> None:
        super().__init__(reason)
        self.step = step  # where it ended; lost: it had been connected
        self.reason = reason
        self.slow = slow


class Redial(LinkDown):
    """We ended the connection ourselves, to begin another one soon; nothing has failed."""


class Remedies:
    """What to check when something fails; empty: the text ends without advice.

    Each half has one subclass, and no object: a dataclass of these costs a router 15 kB.
    """

    machine = "this machine"
    dns = ""
    refused = ""  # nothing listens at the port
    timeout = ""  # nothing answers there
    silence = ""  # a broker that was connected no longer answers
    tls = ""  # a port without TLS is taken for one with TLS, or the other way round
    authority = ""  # the broker's certificate is of an authority that is not trusted
    name = ""  # the key whose value the certificate does not bear
    own_certificate = ""  # the broker refused ours
    revoked = ""  # the broker revoked ours
    client_id = ""
    credentials = ""
    permission = ""
    taken_over = ""  # somebody else connects with our client id


# Reason code: what it means, and the field of `Remedies` that says what to check.
_CODES = {
    0x01: ("the broker does not speak MQTT 5", ""),  # what a 3.1.1 broker answers
    0x84: ("the broker does not speak MQTT 5", ""),
    0x85: ("the broker does not accept this client id", "client_id"),
    0x86: ("wrong user name or password", "credentials"),
    0x87: ("not authorized", "permission"),
    0x88: ("the broker is not available", ""),
    0x89: ("the broker is busy", ""),
    0x8A: ("the broker has banned {machine}", ""),
    0x8B: ("the broker is shutting down", ""),
    0x8D: ("the broker heard nothing from us for a while", ""),
    0x8E: ("session taken over", "taken_over"),
    0x93: ("too many messages without PUBACK", ""),
    0x95: ("a packet was too large for the broker", ""),
    0x96: ("message rate too high", ""),
    0x97: ("a quota of the broker is exceeded", ""),
    0x98: ("ended by the broker's administrator", ""),
    0x99: ("the broker does not accept the payload's format", ""),
    0x9A: ("the broker keeps no retained messages; it must", ""),
    0x9F: ("too many connections at once", ""),
}
# Only a person can mend these, so they are retried slowly.
_SLOW = frozenset((0x01, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8E, 0x97, 0x98, 0x9A, 0x9B))

# What OpenSSL says of a broker's certificate (X509_V_ERR_*).
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64


def reason(code: int, remedies: type[Remedies]) -> str:
    """What a reason code of MQTT 5 means, and what to check."""
    what, remedy = _CODES.get(code, ("refused by the broker", ""))
    what = what.format(machine=remedies.machine)
    return f"{advise(what, getattr(remedies, remedy) if remedy else '')} (0x{code:02X})"


def refused(step: Step, code: int, remedies: type[Remedies], where: str) -> LinkDown:
    """The broker ended the connection with this reason code, 0: with none."""
    if code == 0:
        return closed()
    return LinkDown(f"{where}: {reason(code, remedies)}", step, slow=code in _SLOW)


def closed() -> LinkDown:
    """The broker hung up and gave no reason."""
    return LinkDown("the broker closed the connection")


def not_mqtt() -> LinkDown:
    """What came is no packet; at first that is another kind of server."""
    return LinkDown("the broker sent bytes that are not valid MQTT")


def silent(seconds: int, remedies: type[Remedies]) -> LinkDown:
    """A broker that was connected answered nothing for so long."""
    return LinkDown(advise(f"no answer from the broker for {seconds} s", remedies.silence))


def unanswered(packet: str, where: str) -> LinkDown:
    """Something accepts connections and is silent."""
    words = f"no answer to {packet} from {where}: is there an MQTT broker at this port?"
    return LinkDown(words, "login")


def no_address(host: str, error: Exception, remedies: type[Remedies]) -> LinkDown:
    """The name could not be resolved."""
    return LinkDown(f"{advise(f'no address for {host}', remedies.dns)} ({error})", "dns")


def unreachable(where: str, error: OSError, remedies: type[Remedies]) -> LinkDown:
    """TCP found no listener."""
    if isinstance(error, ConnectionRefusedError):
        return LinkDown(advise(f"nothing listens at {where}", remedies.refused), "tcp")
    if isinstance(error, TimeoutError):
        return LinkDown(advise(f"no answer from {where}", remedies.timeout), "tcp")
    return LinkDown(f"cannot reach {where}: {error.strerror or error}", "tcp")


def unreadable_files(files: str, error: OSError) -> LinkDown:
    """Certificates or a key of our own."""
    words = f"cannot load {files}: check that they exist, are PEM and belong together ({error})"
    return LinkDown(words, "tls", slow=True)


def tls_failure(error: OSError, where: str, remedies: type[Remedies]) -> LinkDown:
    """What an error of TLS means."""
    code = getattr(error, "verify_code", None)
    if code is not None:
        return _certificate(code, getattr(error, "verify_message", ""), where, remedies)
    words = str(getattr(error, "reason", None) or error)
    if "ALERT" in words and ("CERTIFICATE" in words or "UNKNOWN_CA" in words):
        what = f"{where} refused {remedies.machine}'s certificate ({words})"
        if "CERTIFICATE_REVOKED" in words:
            return LinkDown(advise(f"{what}: it was revoked", remedies.revoked, "; "), "tls", True)
        return LinkDown(advise(what, remedies.own_certificate), "tls", slow=True)
    if isinstance(error, TimeoutError):
        return LinkDown(f"no answer to the TLS handshake from {where}", "tls")
    return LinkDown(advise(f"no TLS with {where} ({words})", remedies.tls), "tls")


def _certificate(code: int, message: str, where: str, remedies: type[Remedies]) -> LinkDown:
    if code == _NOT_YET_VALID:
        # A router boots months in the past; NTP mends this soon, so the wait is a short one.
        words = f"the certificate of {where} is not yet valid: is {remedies.machine}'s clock set?"
        return LinkDown(words, "tls")
    remedy = remedies.authority
    if code == _EXPIRED:
        remedy = f"renew it, or set {remedies.machine}'s clock"
    elif code in (_OTHER_NAME, _OTHER_ADDRESS) and remedies.name:
        what = "an address" if code == _OTHER_ADDRESS else "a name"
        remedy = f"{remedies.name} must be {what} that the certificate bears"
    return LinkDown(advise(f"the certificate of {where}: {message}", remedy, "; "), "tls", True)


def advise(what: str, remedy: str, between: str = ": ") -> str:
    """What failed, and what to check if there is advice."""
    return f"{what}{between}{remedy}" if remedy else what
