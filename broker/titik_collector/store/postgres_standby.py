"""A collector that stands by: it looks each second whether the one that holds the store is gone.

Rule: a server that cannot be asked ends no wait; it is logged once, and so is its end.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing

from titik_collector.store import collecting
from titik_collector.store.database import StoreError, migrations, other_schema
from titik_collector.store.postgres import HELD, PostgresDatabase, PostgresPlace
from titik_collector.store.postgres_schema import FOLDER

log = logging.getLogger(__name__)

LOOK_S = 1.0


def wait(place: PostgresPlace, each: Callable[[], None]) -> None:
    """Until nobody holds the store; StoreError if this program cannot read it.

    `each` is called with every look.
    """
    newest, name = migrations(FOLDER)[-1].number, collecting.session_name("standby")
    with closing(_Standby(place, name)) as standby:
        problem: str | None = None
        while True:
            try:
                is_free, version = standby.look()
            except StoreError as error:
                if problem is None:
                    log.warning("stands by, and the store cannot be asked reason=%s", error)
                problem = str(error)
            else:
                if version > newest:
                    raise StoreError(f"{place}: {other_schema(version, newest)}")
                if problem is not None:
                    log.info("stands by, and the store can be asked again")
                    problem = None
                if is_free:
                    return
            each()
            time.sleep(LOOK_S)


class _Standby:
    """Its session, which is made again when it is lost."""

    def __init__(self, place: PostgresPlace, name: str) -> None:
        self._place = place
        self._name = name
        self._db: PostgresDatabase | None = None

    def look(self) -> tuple[bool, int]:
        """Whether nobody holds the store, and its schema; StoreError if it cannot be asked."""
        if self._db is None:
            self._db = PostgresDatabase(self._place, name=self._name)
            self._db.be_impatient()
        collecting.stand(self._db)
        version = self._db.version()
        return not self._db.execute(HELD)[0][0], version

    def close(self) -> None:
        """It stands by no more."""
        if self._db is not None:
            self._db.close()
