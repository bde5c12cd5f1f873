"""When a counter restarted: tokens that stay the same only while a counter goes on counting.

Rule: a set of counters whose kernel identity is the same keeps its token until it restarts.
Rule: a tmpfs file keeps how often it restarted. So the agent's next life never gives a later
counter an earlier one's token, which would count bytes twice.
"""

import logging

from titik_agent.limits import MAX_IDENTITIES, MAX_SINCE_FILE
from titik_agent.shared_files import open_found, replace

log = logging.getLogger(__name__)


class Since:
    """Gives each counter set its token. `path` None: remembered for this process only."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._restarts = _load(path) if path is not None else {}

    def token(self, identity: str) -> str:
        """The token of the counters as they are now."""
        restarts = self._restarts.get(identity, 0)
        return f"{identity}#{restarts}" if restarts else identity

    def restart(self, identity: str) -> None:
        """They count from zero, so their next token is another."""
        self._restarts[identity] = self._restarts.pop(identity, 0) + 1
        if len(self._restarts) > MAX_IDENTITIES:
            del self._restarts[next(iter(self._restarts))]
        if self._path is None:
            return
        try:
            rows = [f"{one} {count}\n" for one, count in self._restarts.items()]
            replace(self._path, "".join(rows).encode("ascii"))
        except OSError as error:
            log.debug("counter restarts not remembered reason=%s", error)


def _load(path: str) -> dict[str, int]:
    """What an earlier life of the agent saw restart; nothing if the file is gone or damaged."""
    try:
        with open(open_found(path), encoding="ascii") as file:
            rows = [line.rsplit(" ", 1) for line in file.read(MAX_SINCE_FILE).splitlines()]
        return {identity: int(restarts) for identity, restarts in rows[-MAX_IDENTITIES:]}
    except (OSError, ValueError):
        return {}
