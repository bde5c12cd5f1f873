"""What a restart of the agent must know of the city's settings: one small file beside the spool.

On a router that is a RAM disk, so nothing here wears flash, and a power cut forgets it.

Rule: settings that were on trial when the agent died did harm. Those of another boot say nothing.
Rule: a file that cannot be read or written costs nothing but itself.
"""

import json
import logging
import os
from contextlib import suppress
from dataclasses import fields
from typing import Final, Literal, NamedTuple, get_args

from titik_agent import shared_files
from titik_agent.limits import MAX_WISH_FILE
from titik_wire import codec, topics
from titik_wire.errors import WireError
from titik_wire.fleet_messages import RouterSettings

log = logging.getLogger(__name__)

NAME: Final = "settings"
State = Literal["trying", "applied", "rolled-back"]


class SettingsMark(NamedTuple):
    """Settings, and what became of them."""

    state: State
    settings: RouterSettings
    boot: str
    reason: str | None = None  # why they were rolled back


def in_words(mark: SettingsMark) -> str:
    """A line of `titik-agent check`."""
    wish = mark.settings
    named = [(one.name, getattr(wish, one.name)) for one in fields(wish)]
    keys = [
        f"{name}={_text(value)}"
        for name, value in named
        if name not in ("router", "revision") and value is not None
    ]
    change = f"settings: change {wish.revision} of the city"
    if mark.state == "rolled-back":
        return f"--    {change} was taken back: {mark.reason}"
    word = "is on trial" if mark.state == "trying" else "counts"
    return f"ok    {change} {word} over this file: {' '.join(keys) or 'nothing in it'}"


def _text(value: object) -> str:
    """As `titik router set` takes it."""
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


class KeptSettings:
    """The file in that folder; None: there is none, and nothing is kept."""

    def __init__(self, directory: str | None, router: str) -> None:
        self._path = None if directory is None else os.path.join(directory, NAME)
        self._topic = topics.settings(router)

    def read(self) -> SettingsMark | None:
        """What an agent of this router left; None: nothing that can be read."""
        if self._path is None:
            return None
        try:
            with open(shared_files.open_found(self._path), "rb") as file:
                head, _, payload = file.read(MAX_WISH_FILE).partition(b"\n")
            about, settings = json.loads(head), codec.decode(self._topic, payload)
            state, boot, reason = about["state"], about["boot"], about["reason"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        if state not in get_args(State) or not isinstance(settings, RouterSettings):
            return None
        return SettingsMark(state, settings, str(boot), None if reason is None else str(reason))

    def write(self, kept: SettingsMark) -> None:
        """In the place of what was there."""
        if self._path is None:
            return
        about = {"state": kept.state, "boot": kept.boot, "reason": kept.reason}
        try:
            content = json.dumps(about).encode() + b"\n" + codec.encode(kept.settings)
            shared_files.replace(self._path, content)
        except (OSError, WireError) as error:
            log.debug("settings not remembered reason=%s", error)

    def remove(self) -> None:
        """Nothing is wished, or the agent ends as it should."""
        if self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)
