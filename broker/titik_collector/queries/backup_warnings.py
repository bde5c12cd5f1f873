"""What is amiss with the city's backups, by the rules that also write messages about it.

Rule: who switches such a rule off, because backups are made in another way, gets no line either.
"""

import shlex
from collections.abc import Iterator
from dataclasses import replace

from titik_collector.alerts import rules
from titik_collector.alerts.alert import Kind
from titik_collector.alerts.facts import LiveServer
from titik_collector.backups import seen
from titik_collector.backups.seen import SeenBackup
from titik_collector.config.model import Config
from titik_collector.languages.codes import marked
from titik_collector.queries.server_warnings import Warned
from titik_collector.store import settings
from titik_collector.store.database import Database
from titik_collector.wording.sentence import Length, Sentence

PATIENCE_S = 2.0  # for a folder on another machine
KINDS: tuple[Kind, ...] = ("backup-missing", "backup-old", "backup-unverified")


def warned(config: Config, now_ms: int, db: Database) -> tuple[Warned, ...]:
    """A line for each, with the remedy."""
    folder = config.backups
    found = seen.NOTHING if folder is None else seen.look_for(folder, PATIENCE_S)
    if found is None:
        return ()
    server = facts(LiveServer(collector="", connected=True), folder is not None, found, db)
    there = rules.rules_of(config.alert_settings.rules)
    return tuple(
        Warned("warning", words)
        for kind in KINDS
        if kind in there and rules.OF_SERVER[kind](server, there[kind], None, now_ms).holds
        for words in _words(kind, config, found, now_ms)
    )


def facts(server: LiveServer, is_named: bool, found: SeenBackup, db: Database) -> LiveServer:
    """With what is known of backups."""
    return replace(
        server,
        backup_wanted=is_named,
        backup_ms=found.newest_ms,
        verified_ms=found.verified_ms,
        verified_well=found.verified_well,
        collected_ms=settings.number(db, "collected_ms"),
    )


def _words(kind: Kind, config: Config, found: SeenBackup, now_ms: int) -> Iterator[Sentence]:
    folder = shlex.quote(str(config.backups))
    if kind == "backup-missing" and config.backups is None:
        text = marked(
            "no folder of backups is known: name it as folder under [backup] of {file}, and take"
            " one each night: titik backup --keep 14 FOLDER"
        )
        yield Sentence(text, file=str(config.file))
    elif kind == "backup-missing":
        text = marked(
            "there is no whole backup in {folder}; take one, as root: titik backup --keep 14"
            " {folder}"
        )
        yield Sentence(text, folder=folder)
    elif kind == "backup-old" and found.newest_ms is not None:
        text = marked(
            "the newest backup is {length} old; as root: systemctl status titik-backup, or take"
            " one: titik backup --keep 14 {folder}"
        )
        yield Sentence(text, length=Length(now_ms - found.newest_ms), folder=folder)
    elif (last := found.verified) is None:
        text = marked("no backup was ever looked into; as root: titik backup verify {folder}")
        yield Sentence(text, folder=folder)
    elif last.problem is not None:
        text = marked(
            "the backup {name} would not bring the city back ({problem}); take another, as root:"
            " titik backup --keep 14 {folder}; then titik backup verify {folder}"
        )
        yield Sentence(text, name=last.backup, problem=last.problem, folder=folder)
    else:
        text = marked(
            "no backup was looked into for {length}; as root: titik backup verify {folder}"
        )
        yield Sentence(text, length=Length(now_ms - last.at_ms), folder=folder)
