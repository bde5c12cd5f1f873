"""`titik collect`: one thread that takes a batch, then does the jobs that are due.

Rule: samples first. Jobs fill the time between batches, in steps short enough that a waiting
message is not late. While more wait than a batch takes, rollups have a tenth of the time at most.
Rule: while the store fails the connection stays, the status says `offline`, and nothing is
acknowledged. At most one more batch is read.
"""

import logging
from dataclasses import dataclass

from titik_collector.assemble import Parts
from titik_collector.ingest.saved import Saved
from titik_collector.limits import MAX_BATCH
from titik_collector.store import writable
from titik_collector.store.database import StoreError, StoreHeld

log = logging.getLogger(__name__)

IDLE_S = 0.2  # so long it waits for a message when there is nothing else to do
RETRY_S = 1.0  # between tries of a store that fails
FINISH_S = 2.0  # for rollups when it ends; the rest is done at the next start


@dataclass(eq=False)
class Collector:
    """Everything `titik collect` does; `turn` is one round of it."""

    parts: Parts

    def turn(self) -> None:
        """One batch, then the jobs that are due."""
        try:
            self._get_ready()
            saved = self.parts.ingest.step(self._patience_s())
            if saved is not None:
                self.take_in(saved)
            self.parts.jobs.run(idle=saved is None, flood=self.parts.ingest.flood)
        except StoreHeld:
            raise  # another collector writes there: nothing of ours is stored from here on
        except StoreError as error:
            self._store_failed(error)
        else:
            self._store_works()
        self.parts.always.run(idle=True)

    def take_in(self, saved: Saved) -> None:
        """What a batch means for the present and for the time."""
        self.parts.report.stored()
        self.parts.wishes.changed(saved.wishes)
        self.parts.certificates.heard(router_id for router_id, _ in saved.running)
        for router_id, reply in saved.replies:
            self.parts.replied(router_id, reply)
        if saved.malformed:
            log.warning("malformed messages, their beginning is kept count=%d", saved.malformed)
        for router_id, arrived in saved.fresh:
            sample, prompt = arrived.sample, router_id in saved.prompt
            self.parts.live.show(router_id, sample, arrived.arrived_ms, prompt)
            self.parts.now.changed(router_id)
            if prompt:
                self.parts.facts.hear(router_id, sample, arrived.arrived_ms)
            if prompt and sample.clock == "ntp":
                ahead_ms = sample.taken_at - arrived.arrived_ms
                self.parts.timekeeping.hear(router_id, sample.router, ahead_ms)

    def close(self) -> None:
        """Publish `offline`; the broker keeps what arrives. Then finish what was begun."""
        self.parts.report.close()
        self.parts.link.close()
        self.parts.outputs.close()
        self.parts.server_facts.close()
        try:
            self.parts.upkeep.finish(FINISH_S)
        except StoreError as error:
            log.warning("store fails, rollups are computed at the next start reason=%s", error)

    def abandon(self) -> None:
        """End without a status: the broker is another collector's."""
        self.parts.report.withdraw()
        self.parts.outputs.close()

    def _get_ready(self) -> None:
        """What has to be right before a message is stored."""
        if not self.parts.report.storing:
            writable.prove(self.parts.db, self.parts.clock.now_ms())
            self.parts.store_proved = True
        self.parts.hear_again()
        self.parts.timekeeping.catch_up()

    def _patience_s(self) -> float:
        """How long to wait for a message."""
        return 0.0 if self.parts.upkeep.is_behind else IDLE_S

    def _store_failed(self, error: Exception) -> None:
        """Report it, publish that no router is heard, and keep the connection for a while."""
        parts = self.parts
        if parts.report.storing or parts.is_silent:
            log.error("store fails, nothing is acknowledged until it works reason=%s", error)
        parts.store_proved = parts.is_silent = False
        # The store is the collector's only one, and a long path would cut the reason off.
        reason = str(error).removeprefix(f"{parts.store_name}: ")
        parts.report.failed(reason)
        parts.hearing.stop("store", reason)
        parts.always.run(idle=True)
        parts.link.keep_alive(RETRY_S, MAX_BATCH)

    def _store_works(self) -> None:
        if not self.parts.report.storing:
            log.info("store works again")
            self.parts.report.works()
            self.parts.is_silent = False
