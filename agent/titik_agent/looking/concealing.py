"""Lines without addresses of people and without secrets, as they may leave a router.

What the agent logs and prints has neither. This is the second look, for a bug in the first.

Rule: an address is known by its shape, whosoever it is. What the router's own settings name, such
as the broker, stays. So does what the city sent.
"""

import re
from collections.abc import Sequence

from titik_agent.limits import MAX_LOOKED, MAX_SEARCHED

HIDDEN = "[hidden]"
# Of the check: where the broker's name leads, and what the city itself has sent.
_OF_THE_CITY = ("ok    dns: ", "ok    settings: ")
_ADDRESS = re.compile(
    r"(?:[0-9A-Fa-f]{1,2}[:-]){5,}[0-9A-Fa-f]{1,2}"  # of a device, or an id of DHCP
    # Without anything between; behind what begins an id of DHCP, and no part of a longer number.
    r"|(?<![0-9A-Fa-f])(?:00010001[0-9A-Fa-f]{8}|00030001|01)?[0-9A-Fa-f]{12}(?![0-9A-Fa-f])"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}"
    r"|[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*"  # IPv6, shortened
    r"|(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
)


class Concealing:
    """What may be seen of a line. `known` stays as it is; of `secret` nothing is seen."""

    def __init__(self, known: Sequence[str] = (), secret: Sequence[str] = ()) -> None:
        self._known = frozenset(known)
        self._secret = sorted((one for one in secret if one), key=len, reverse=True)

    def line(self, text: str) -> str:
        """One line, printable and bounded."""
        text = text[:MAX_SEARCHED]
        for one in self._secret:
            text = text.replace(one, HIDDEN)
        if not text.startswith(_OF_THE_CITY):
            text = _ADDRESS.sub(self._address, text)
        return "".join([one if one.isprintable() else " " for one in text])[:MAX_LOOKED]

    def _address(self, found: re.Match[str]) -> str:
        return found[0] if found[0] in self._known else HIDDEN
