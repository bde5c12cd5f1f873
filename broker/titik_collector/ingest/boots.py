"""What the messages of a batch show of a boot: that it is, that it ran, and when it began."""

from titik_collector.ingest.caps import Caps
from titik_collector.limits import MAX_JUDGED
from titik_collector.received import Arrived
from titik_collector.store import boot_time
from titik_collector.store.database import Database
from titik_collector.store.ids import Names
from titik_collector.timeline.change import Change
from titik_collector.timeline.promptness import Promptness


class Boots:
    """Numbers boots, and notes which of them must be placed again."""

    def __init__(self, db: Database, names: Names, caps: Caps) -> None:
        self._db = db
        self._names = names
        self._caps = caps
        self._prompt = Promptness(db)
        self._changes: list[Change] = []

    def may_be(self, router_id: int, token: str, now_ms: int) -> bool:
        """The boot is known, or may be made."""
        return self._names.has_boot(router_id, token) or self._caps.allow("boot", router_id, now_ms)

    def make(self, router_id: int, token: str, online: bool) -> int:
        """The boot's number; `online` marks it as heard while it ran."""
        return self._names.boot(router_id, token, online)

    def hear(self, router_id: int, token: str) -> None:
        """The router spoke while the boot ran, which places samples of it that came before."""
        known = self._names.was_online(router_id, token)
        boot_id = self._names.boot(router_id, token, online=True)
        if not known and boot_time.is_bounded(self._db, boot_id):
            self._changes.append(Change(router_id, boot_id, 0, 0, 0, "stored", None))  # no new row

    def judge(self, router_id: int, boot_id: int, item: Arrived) -> bool:
        """Learn from a sample's arrival when its boot began; True if it came as it was taken."""
        prompt = item.live and self._prompt.is_prompt(router_id, item.sample, item.arrived_ms)
        if len(self._changes) < MAX_JUDGED and self._prompt.learn(
            boot_id, item.arrived_ms - item.sample.uptime_ms, prompt
        ):
            self._changes.append(Change(router_id, boot_id, 0, 0, 0, "judged", None))
        return prompt

    def prompt_ms(self, boot_id: int) -> int | None:
        """When the boot began, by samples that came as they were taken; None: not known."""
        return self._prompt.of(boot_id)

    def take_changes(self) -> list[Change]:
        """What must be placed again because of this batch, once."""
        changes, self._changes = self._changes, []
        return changes

    def time_jumped(self) -> None:
        """What is in memory was stamped before."""
        self._prompt.forget()

    def forget(self) -> None:
        """The transaction failed."""
        self._prompt.forget()
        self._changes = []
