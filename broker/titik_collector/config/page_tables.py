"""The tables of the page: `[web]`, and `[public]` for the one that anybody may see."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from titik_collector.config.schema import (
    ADDRESS,
    FILE,
    FLAG,
    HEADER,
    ConfigError,
    Setting,
    networks,
    one_of,
    text,
    whole,
)
from titik_collector.config.store_table import Store, check_url
from titik_collector.languages.codes import CODES as LANGUAGES
from titik_collector.limits import MAX_PROXIES
from titik_mqtt.endpoint import LOOPBACK

WEB_PORT = 8088  # unless the file says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """[web]"""

    host: Annotated[
        str, Setting(text(255), "the address that the page listens on; `0.0.0.0` is all")
    ] = LOOPBACK
    port: Annotated[int, Setting(whole(1, 65535), "the port of the page")] = WEB_PORT
    url: Annotated[
        str | None,
        Setting(
            ADDRESS, "how people reach the page, for links; give it if a proxy stands before it"
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        Setting(FILE, "certificate chain (PEM) of the page; if given, HTTPS is served"),
    ] = None
    tls_key: Annotated[Path | None, Setting(FILE, "its key (PEM)")] = None
    insecure: Annotated[
        bool,
        Setting(FLAG, "serve HTTP on an address that other machines reach; passwords are readable"),
    ] = False
    language: Annotated[
        str,
        Setting(one_of(*LANGUAGES), "of visitors whose browser asks for none that there is"),
    ] = LANGUAGES[0]
    basemap: Annotated[
        Path | None,
        Setting(
            FILE,
            "what the map draws under the places: GeoJSON of at most 1 MiB, or streets of any"
            " size in a .pmtiles",
            "the coast that Titik brings for the region, else a grid of degrees",
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Setting(
            networks(MAX_PROXIES),
            "the proxies before the page; only they may say where a visitor comes from",
            "none",
        ),
    ] = ()
    identity_header: Annotated[
        str | None,
        Setting(
            HEADER,
            "the header in which a trusted proxy names the user; it has to take it out of what"
            " visitors send",
        ),
    ] = None
    audit_days: Annotated[
        int, Setting(whole(30, 3650), "days that the audit keeps who changed what")
    ] = 365
    store_url: Annotated[
        str | None,
        Setting(
            text(1000),
            "`store.url` with the page's own user, who may only read the store",
            "`store.url`",
        ),
    ] = None
    store_password_file: Annotated[
        Path | None,
        Setting(FILE, "file with the password of that user, mode 0600"),
    ] = None

    @property
    def streets(self) -> Path | None:
        """The basemap, where it is one of streets."""
        is_streets = self.basemap is not None and self.basemap.suffix.lower() == ".pmtiles"
        return self.basemap if is_streets else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """[public]"""

    directory: Annotated[
        Path | None,
        Setting(
            FILE,
            "the folder of the public page, which `titik public export` writes and `titik web` then"
            " serves at `/public/`; it has nothing else in it",
            "none: there is no public page",
        ),
    ] = None
    language: Annotated[
        str | None,
        Setting(one_of(*LANGUAGES), "of its first page", "that of `[web]`"),
    ] = None
    contact: Annotated[
        str | None,
        Setting(text(), "who answers questions, such as an address or a number; everybody sees it"),
    ] = None
    licence: Annotated[
        str | None,
        Setting(
            text(100),
            "of the open data beside the page, such as `CC-BY-4.0`; they are written from then on",
            "none: there are no open data",
        ),
    ] = None


def check_page(file: Path, web: Web, store: Store) -> None:
    """Who is not on this machine reads nothing on the way, unless the operator wants it so."""
    if (web.tls_cert is None) != (web.tls_key is None):
        key = "web.tls_key" if web.tls_key is None else "web.tls_cert"
        raise ConfigError(file, key, "is missing", "give web.tls_cert and web.tls_key")
    if not is_loopback(web.host) and web.tls_cert is None and not web.insecure:
        raise ConfigError(
            file,
            "web.host",
            f"{web.host} can be reached by other machines, and what they send could be read",
            "give web.tls_cert and web.tls_key, or put a proxy before "
            f"{LOOPBACK}, or write insecure = true",
        )
    _check_users(file, web, store)


def _check_users(file: Path, web: Web, store: Store) -> None:
    """What names a user is believed from a proxy alone, and a file has no users."""
    if web.identity_header is not None and not web.trusted_proxies:
        wrong = "would be believed from anybody"
        raise ConfigError(file, "web.identity_header", wrong, "give web.trusted_proxies")
    if web.store_url is None and web.store_password_file is not None:
        wrong = "is of no use without web.store_url"
        raise ConfigError(file, "web.store_password_file", wrong, "give both or none")
    if web.store_url is None:
        return
    if store.url is None:
        wrong = "is of no use to a store in a file"
        raise ConfigError(file, "web.store_url", wrong, "give it with store.url")
    check_url(file, web.store_url, "web.store_url", "web.store_password_file")


def is_loopback(address: str) -> bool:
    """An address or a name that means this machine."""
    inside = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        return ipaddress.ip_address(inside).is_loopback
    except ValueError:
        return address.lower() == "localhost"


def page_address(web: Web) -> str:
    """Where people find the page: the url of the file, else where it listens."""
    if web.url is not None:
        return f"{web.url}/"
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"http{'' if web.tls_cert is None else 's'}://{host}:{web.port}/"
