"""When a counter restarted: tokens that stay the same only while a counter goes on counting.

Rule: a set of counters whose kernel identity is the same and that did not fall keeps its token.
Rule: a value that fell is a restart, whatever the kernel says of the interface.
Rule: how often a counter fell is remembered in a tmpfs file, so that the agent's next life never
gives a later counter an earlier one's token, which would count bytes twice.
"""

import logging
import os

log = logging.getLogger(__name__)

# Identities remembered: interfaces of a boot. The least recently seen is forgotten first; the
# kernel never reuses an ifindex in a boot before it has counted through two thousand million.
MAX_IDENTITIES = 512
MAX_FILE = 64 * 1024


class Since:
    """Gives each counter set its token. `path` None: remembered for this process only."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._falls = _load(path) if path is not None else {}
        self._last: dict[str, tuple[int, ...]] = {}

    def token(self, identity: str, values: tuple[int, ...]) -> str:
        """The token of the counters that now read `values`; call it at every reading, in order."""
        before = self._last.pop(identity, None)
        self._last[identity] = values
        if len(self._last) > MAX_IDENTITIES:
            del self._last[next(iter(self._last))]
        if before is not None and any(new < old for new, old in zip(values, before, strict=True)):
            self._fell(identity)
        falls = self._falls.get(identity, 0)
        return f"{identity}#{falls}" if falls else identity

    def _fell(self, identity: str) -> None:
        self._falls[identity] = self._falls.pop(identity, 0) + 1
        if len(self._falls) > MAX_IDENTITIES:
            del self._falls[next(iter(self._falls))]
        if self._path is None:
            return
        try:
            _save(self._path, self._falls)
        except OSError as error:
            log.debug("counter restarts not remembered reason=%s", error)


def _load(path: str) -> dict[str, int]:
    """What an earlier life of the agent saw fall; nothing if the file is gone or damaged."""
    try:
        with open(path, encoding="ascii") as file:
            rows = [line.rsplit(" ", 1) for line in file.read(MAX_FILE).splitlines()]
        return {identity: int(falls) for identity, falls in rows[-MAX_IDENTITIES:]}
    except (OSError, ValueError):
        return {}


def _save(path: str, falls: dict[str, int]) -> None:
    new = path + ".new"
    with open(new, "w", encoding="ascii") as file:
        file.writelines(f"{identity} {count}\n" for identity, count in falls.items())
    os.replace(new, path)
