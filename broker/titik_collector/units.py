"""systemd units for the broker and the collector, with the paths of this installation."""

import shlex
import sys
from pathlib import Path

from titik_collector import config as configuration
from titik_collector.broker_dir import BrokerDir
from titik_collector.config import ConfigError
from titik_collector.passwords import Owner, replace_file

_UNIT = """\
# Written by `titik broker init`.
[Unit]
Description=Titik: {what}
After=network-online.target{after}
Wants=network-online.target

[Service]
ExecStart={titik} {command}
{service}
"""
_DAEMON = """\
Restart=always
RestartSec=2
LimitNOFILE=65536
NoNewPrivileges=true
ProtectSystem=strict
ReadWritePaths={writes}
ProtectHome=read-only
PrivateTmp=true

[Install]
WantedBy=multi-user.target"""
_TIMER = """\
# Written by `titik broker init`.
[Unit]
Description=Titik: renew the revocation list and the broker's certificate

[Timer]
OnCalendar=weekly
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
"""


def write(directory: BrokerDir, config: Path | None) -> list[str]:
    """Write the units into `systemd/`; the line that installs them if one is new."""
    file = (config or Path("/etc/titik/titik.toml")).resolve()
    titik = _quoted(Path(sys.executable).with_name("titik"))
    path = directory.path.resolve()
    folder = path / "systemd"
    folder.mkdir(mode=0o755, exist_ok=True)
    texts = {
        "titik-broker.service": _UNIT.format(
            what="broker",
            after="",
            titik=titik,
            command=f"broker run {_quoted(path)}",
            service=_DAEMON.format(writes=_quoted(path)),
        ),
        "titik-collector.service": _UNIT.format(
            what="collector",
            after=" titik-broker.service",
            titik=titik,
            command=f"collect --config {_quoted(file)}",
            service=_DAEMON.format(writes=_quoted(_store(file).parent)),
        ),
        "titik-renew.service": _UNIT.format(
            what="renewal",
            after="",
            titik=titik,
            command=f"broker renew {_quoted(path)}",
            service="Type=oneshot",
        ),
        "titik-renew.timer": _TIMER,
    }
    new = [name for name, text in texts.items() if _read(folder / name) != text]
    for name in new:
        replace_file(folder / name, texts[name], Owner(-1, -1, 0o644))
    if not new:
        return []
    names = "titik-broker titik-collector titik-renew.timer"
    return [
        f"install:  systemctl link {shlex.quote(str(folder))}/*; systemctl enable --now {names}"
    ]


def _store(file: Path) -> Path:
    """Where the collector writes; beside the configuration while there is none to read."""
    try:
        return configuration.load(file).store.path.resolve()
    except ConfigError:
        return file.with_name("titik.db")


def _quoted(path: Path) -> str:
    """As systemd reads it: a blank would end it, and `%` begins what it replaces."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(one in text for one in " \\\"'") else text


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None
