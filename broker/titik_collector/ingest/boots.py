"""What the messages of a batch show of a boot: that it is, that it ran, and when it began."""

from titik_collector.ingest.caps import Caps
from titik_collector.limits import MAX_JUDGED
from titik_collector.received import Arrived
from titik_collector.store import boot_time
from titik_collector.store.database import Database
from titik_collector.store.ids import NamedBoot, Names
from titik_collector.timeline.change import Change, of_boot
from titik_collector.timeline.promptness import Promptness, learn


class Boots:
    """Knows the boots of a batch, and which of them must be placed again."""

    def __init__(self, db: Database, names: Names, caps: Caps) -> None:
        self._db = db
        self._names = names
        self._caps = caps
        self._prompt = Promptness()
        self._heard: list[NamedBoot] = []  # for the first time while they ran
        self._judged: list[NamedBoot] = []

    def find(self, router_id: int, boot_name: str) -> NamedBoot | None:
        """The boot, if the store has it."""
        return self._names.find_boot(router_id, boot_name)

    def may_be(self, router_id: int, boot_name: str, now_ms: int) -> bool:
        """The boot is known, or may be made."""
        known = self._names.find_boot(router_id, boot_name)
        return known is not None or self._caps.allow("boot", router_id, now_ms)

    def make(self, router_id: int, boot_name: str, online: bool) -> NamedBoot:
        """The boot, new if it is not known; `online` marks it as heard while it ran."""
        boot = self._names.find_boot(router_id, boot_name) or self._names.make_boot(
            router_id, boot_name
        )
        if online and not boot.online:
            boot.online = True
            self._names.change(boot)
        return boot

    def hear(self, router_id: int, boot_name: str) -> None:
        """The router spoke while the boot ran, which places samples of it that came before."""
        boot = self.find(router_id, boot_name)
        if boot is not None and boot.id and not boot.online:
            self._heard.append(boot)
        self.make(router_id, boot_name, online=True)

    def judge(self, router_id: int, boot: NamedBoot, item: Arrived) -> bool:
        """Learn from a sample's arrival when its boot began; True if it came as it was taken."""
        prompt = item.live and self._prompt.is_prompt(router_id, item.sample, item.arrived_ms)
        if len(self._judged) < MAX_JUDGED and learn(
            boot, item.arrived_ms - item.sample.uptime_ms, prompt
        ):
            self._names.change(boot)
            self._judged.append(boot)
        return prompt

    def take_changes(self) -> list[Change]:
        """What must be placed again because of this batch, once; after its boots are written."""
        changes = [of_boot(boot.name[0], boot.id, "judged") for boot in self._judged]
        if self._heard:
            known = boot_time.load(self._db, [boot.id for boot in self._heard])
            changes += [
                of_boot(boot.name[0], boot.id, "stored")
                for boot in self._heard
                if known[boot.id].is_bounded
            ]
        self._heard, self._judged = [], []
        return changes

    def forget(self) -> None:
        """The transaction failed, or what is in memory was stamped before time jumped."""
        self._prompt.forget()
        self._heard, self._judged = [], []
