"""The keys that sign the feeds: made once, and never written over, for routers trust them by name.

Rule: a secret key is its owner's alone from its first byte. Who has it may install anything.
Rule: a public key follows from the secret one, and is written again where it is missing.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from titik_collector.feed import usign
from titik_collector.feed.feed_error import FeedError
from titik_collector.feed.usign import OpkgKey
from titik_collector.files.replace import Owner, replace_file

OPKG_SECRET, OPKG_PUBLIC = "titik-opkg.key", "titik-opkg.pub"
APK_SECRET, APK_PUBLIC = "titik-apk.key", "titik-apk.pem"
FOR_ALL = Owner(-1, -1, 0o644)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """One for each manager; apk reads its own from the file."""

    opkg: OpkgKey
    apk_file: Path
    apk_public: str


def keys_in(folder: Path, random: Callable[[int], bytes] = os.urandom) -> SigningKeys:
    """The keys of a folder; those that are not there yet are made."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
    opkg, apk = folder / OPKG_SECRET, folder / APK_SECRET
    _refuse_halves(folder)
    if not opkg.exists():
        replace_file(opkg, usign.generate(random).secret_text)
    if not apk.exists():
        replace_file(apk, _new_apk_key())
    keys = SigningKeys(_read_opkg(opkg), apk, _apk_public(apk))
    _keep_public(folder / OPKG_PUBLIC, keys.opkg.public_text)
    _keep_public(folder / APK_PUBLIC, keys.apk_public)
    return keys


def has_keys(folder: Path) -> bool:
    """Whether some are there, so that no feed of that folder is the first."""
    return any((folder / one).exists() for one in (OPKG_SECRET, APK_SECRET))


def _refuse_halves(folder: Path) -> None:
    for secret, public in ((OPKG_SECRET, OPKG_PUBLIC), (APK_SECRET, APK_PUBLIC)):
        if (folder / public).exists() and not (folder / secret).exists():
            raise FeedError(
                f"{folder / secret} is missing: bring it back from a backup. If there is none, "
                f"remove {folder / public}: the new key must go to every router"
            )


def _read_opkg(file: Path) -> OpkgKey:
    try:
        return usign.read(file.read_text())
    except (FeedError, UnicodeDecodeError) as error:
        raise FeedError(f"{file}: {error}") from error


def _apk_public(file: Path) -> str:
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError) as error:  # no key, or one with a password
        raise FeedError(f"{file}: it is no key that apk signs with: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise FeedError(f"{file}: apk of OpenWrt wants a key of the curve prime256v1")
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _new_apk_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ).decode()


def _keep_public(file: Path, text: str) -> None:
    if not file.exists():
        replace_file(file, text, FOR_ALL)
        return
    # The comment is another program's where the key is.
    if file.read_text().splitlines()[1:] != text.splitlines()[1:]:
        raise FeedError(f"{file} is not the public key of the secret one beside it")
