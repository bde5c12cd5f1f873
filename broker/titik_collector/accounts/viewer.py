"""Who looks."""

from dataclasses import dataclass

from titik_collector.store.desk_accounts import Role


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who may look, and who, as an operator, may change something."""

    name: str  # empty: of an untouched demo, where nobody logs in
    role: Role
    language: str | None = None  # that the user prefers


ANYBODY = Viewer("", "viewer")
