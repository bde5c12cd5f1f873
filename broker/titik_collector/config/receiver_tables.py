"""Who gets messages, and on which way: `[[receiver]]`, `[[rota]]`, `[smtp]` and `[heartbeat]`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from titik_collector.config.page_tables import is_loopback
from titik_collector.config.schema import (
    FILE,
    FLAG,
    MOMENT,
    NAME,
    ConfigError,
    Kind,
    Setting,
    names,
    one_of,
    text,
    whole,
)
from titik_collector.languages.codes import CODES as LANGUAGES
from titik_collector.limits import MAX_ROTA

ChannelType = Literal["email", "webhook", "alertmanager", "apprise", "folder"]
Security = Literal["starttls", "tls", "none"]
TYPES: tuple[ChannelType, ...] = get_args(ChannelType)
PROGRAMS: tuple[ChannelType, ...] = ("webhook", "alertmanager")  # nobody reads it
SECURITIES: tuple[Security, ...] = get_args(Security)
# What each security has, as mail servers do.
SMTP_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_MONDAY = 0


def _read_mailbox(value: object, _base: Path) -> str:
    found: str = text(254).read(value, _base)
    if re.fullmatch(r"[^\s<>,;:\"()@]+@[A-Za-z0-9.-]+", found) is None:
        raise ValueError(f"{found} is no address of one mailbox")
    return found


def _read_url(value: object, _base: Path) -> str:
    """Of a program; of no page of ours, so that it may have a path."""
    found: str = text(2000).read(value, _base)
    if why := wrong_url(found):
        raise ValueError(why)
    return found


def wrong_url(url: str) -> str | None:
    """Why no request can be sent to it; None: one can."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no http:// or https:// address"
    if not url.isascii() or " " in url:
        return "has characters that an address cannot have"
    return "has a user or password in it" if parts.username or parts.password else None


MAILBOX = Kind('an e-mail address in quotes, such as "it@kupang.go.id"', _read_mailbox)
URL = Kind('an address in quotes, such as "https://desk.example.org/titik"', _read_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """[[receiver]]"""

    name: Annotated[str, Setting(NAME, "the receiver's name; routes and rotas refer to it")]
    type: Annotated[
        ChannelType,
        Setting(
            one_of(*TYPES),
            "the way there; `apprise` is every service that Apprise has an address for, such as"
            " Telegram; `folder` writes e-mails as files, for a trial",
        ),
    ]
    to: Annotated[str | None, Setting(MAILBOX, "of `email`: the mailbox")] = None
    url: Annotated[
        str | None,
        Setting(
            URL,
            "of `webhook` and `alertmanager`: where to, if the address is no secret; of"
            " `alertmanager` without `/api/v2`",
        ),
    ] = None
    url_file: Annotated[
        Path | None,
        Setting(
            FILE,
            "of `webhook`, `alertmanager` and `apprise`: file with the address, mode 0600; whoever"
            " has it can send",
        ),
    ] = None
    secret_file: Annotated[
        Path | None,
        Setting(
            FILE,
            "of `webhook`: file with the secret of its signature, mode 0600",
            "none: not signed",
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        Setting(
            FILE,
            "of `webhook` and `alertmanager`: certificate authorities (PEM) to check it with",
            "those of the system",
        ),
    ] = None
    folder: Annotated[
        Path | None,
        Setting(FILE, "of `folder`: where its e-mails are put, each a file `.eml`"),
    ] = None
    language: Annotated[
        str | None,
        Setting(one_of(*LANGUAGES), "of its messages", "that of `[web]`"),
    ] = None
    reports: Annotated[
        bool,
        Setting(FLAG, "whether it gets the report of each month, in an e-mail with its PDF"),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyRota:
    """[[rota]]"""

    name: Annotated[str, Setting(NAME, "the rota's name; a route names it as it does a receiver")]
    receivers: Annotated[
        tuple[str, ...], Setting(names(MAX_ROTA), "its receivers, in the order of their weeks")
    ]
    since: Annotated[
        date | datetime,
        Setting(MOMENT, "the Monday on which the week of the first of them began"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """[smtp]"""

    host: Annotated[
        str | None, Setting(text(255), "the mail server's name", "none: no e-mail is sent")
    ] = None
    security: Annotated[
        Security,
        Setting(
            one_of(*SECURITIES),
            "`none` only to a mail server on this machine: all that is sent can be read on the way",
        ),
    ] = "starttls"
    port: Annotated[
        int | None,
        Setting(whole(1, 65535), "its port", "587; 465 with `tls`, 25 with `none`"),
    ] = None
    user: Annotated[str | None, Setting(text(255), "the user there", "none: no login")] = None
    password_file: Annotated[
        Path | None, Setting(FILE, "file with that user's password, mode 0600")
    ] = None
    sender: Annotated[str | None, Setting(MAILBOX, "the address that messages come from")] = None
    ca_file: Annotated[
        Path | None,
        Setting(
            FILE, "certificate authorities (PEM) to check the server with", "those of the system"
        ),
    ] = None

    @property
    def real_port(self) -> int:
        """The one that is given, else the usual one."""
        return self.port or SMTP_PORTS[self.security]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """[heartbeat]"""

    url: Annotated[
        str | None,
        Setting(URL, "an address that is asked each minute while all is well", "none: no sign"),
    ] = None
    url_file: Annotated[
        Path | None,
        Setting(FILE, "in place of `url`: file with the address, mode 0600"),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether a sign is given at all."""
        return self.url is not None or self.url_file is not None


def check_receivers(
    file: Path,
    receivers: tuple[Receiver, ...],
    rotas: tuple[WeeklyRota, ...],
    smtp: Smtp,
    heartbeat: Heartbeat,
) -> None:
    """Each has what its type needs, and names what there is; ConfigError."""
    _check_names(file, receivers, rotas)
    for number, one in enumerate(receivers):
        _check_receiver(file, f"receiver[{number}] ({one.name})", one, smtp)
    known = [one.name for one in receivers]
    for number, rota in enumerate(rotas):
        _check_rota(file, f"rota[{number}] ({rota.name})", rota, known)
    _check_smtp(file, smtp)
    if heartbeat.url is not None and heartbeat.url_file is not None:
        raise ConfigError(file, "heartbeat.url_file", "is given, and so is url", "give one of them")


def _check_names(file: Path, receivers: Iterable[Receiver], rotas: Iterable[WeeklyRota]) -> None:
    """One name is one receiver or one rota."""
    seen: set[str] = set()
    tables = (("receiver", [one.name for one in receivers]), ("rota", [one.name for one in rotas]))
    for table, given in tables:
        for number, name in enumerate(given):
            if name in seen:
                where = f"{table}[{number}].name"
                raise ConfigError(file, where, f"{name} is there twice", "give each its own name")
            seen.add(name)


def _check_receiver(file: Path, path: str, one: Receiver, smtp: Smtp) -> None:
    wanted: dict[ChannelType, tuple[str, ...]] = {
        "email": ("to",),
        "webhook": ("url", "url_file", "secret_file", "ca_file"),
        "alertmanager": ("url", "url_file", "ca_file"),
        "apprise": ("url_file",),
        "folder": ("folder",),
    }
    for key in ("to", "url", "url_file", "secret_file", "ca_file", "folder"):
        if getattr(one, key) is not None and key not in wanted[one.type]:
            allowed = f"allowed with {one.type}: {', '.join(wanted[one.type])}"
            raise ConfigError(file, f"{path}.{key}", f"is of no use with {one.type}", allowed)
    if one.reports and one.type == "alertmanager":
        allowed = "allowed with the other types"
        raise ConfigError(file, f"{path}.reports", "is of no use with alertmanager", allowed)
    if one.type == "email":
        if one.to is None:
            raise ConfigError(file, f"{path}.to", "is missing", f"give {MAILBOX.allowed}")
        if smtp.host is None:
            wrong = "is e-mail, and no mail server is named"
            raise ConfigError(file, f"{path}.type", wrong, "give [smtp] host and sender")
    elif one.type == "folder":
        if one.folder is None:
            raise ConfigError(file, f"{path}.folder", "is missing", f"give {FILE.allowed}")
    elif (one.url is None) == (one.url_file is None):
        wrong = "is missing" if one.url is None else "is given, and so is url"
        remedy = "give url or url_file" if one.type in PROGRAMS else f"give {FILE.allowed}"
        raise ConfigError(file, f"{path}.url_file", wrong, remedy)


def _check_rota(file: Path, path: str, rota: WeeklyRota, known: list[str]) -> None:
    if not rota.receivers:
        raise ConfigError(file, f"{path}.receivers", "has nobody", "give at least one receiver")
    for name in rota.receivers:
        if name not in known:
            allowed = f"allowed: {', '.join(known)}" if known else "add a [[receiver]] of that name"
            raise ConfigError(file, f"{path}.receivers", f"there is no receiver {name}", allowed)
    if rota.since.weekday() != _MONDAY:
        wrong = f"{rota.since:%Y-%m-%d} is no Monday"
        raise ConfigError(file, f"{path}.since", wrong, "a week begins on Monday")


def _check_smtp(file: Path, smtp: Smtp) -> None:
    if smtp.host is None:
        return
    if smtp.sender is None:
        raise ConfigError(file, "smtp.sender", "is missing", f"give {MAILBOX.allowed}")
    if (smtp.user is None) != (smtp.password_file is None):
        key = "smtp.password_file" if smtp.password_file is None else "smtp.user"
        raise ConfigError(file, key, "is missing", "give user and password_file, or neither")
    if smtp.user is not None and smtp.security == "none" and not is_loopback(smtp.host):
        wrong = '"none" sends the password of smtp.user readable'
        raise ConfigError(file, "smtp.security", wrong, 'give "starttls" or "tls"')
