"""Files in age's format: sealed to a public key, and opened with the identity that belongs to it.

Rule: sealing takes the public key alone. The identity is on no server, or a thief has both.
Rule: a file goes through piece by piece, so memory does not grow with it.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from titik_collector.files.replace import replace_file, replacing
from titik_collector.limits import MAX_SECRET_FILE
from titik_collector.wording.mendable import Mendable

END = ".age"
_HEADER = b"age-encryption.org/v1\n"  # https://age-encryption.org/v1
_SECRET = "AGE-SECRET-KEY-"
LIBRARY = f'{sys.executable} -m pip install "pyrage>=1.2"'


class SealError(Mendable):
    """A file cannot be sealed or opened; the text has the remedy."""


def make_identity(file: Path) -> str:
    """Write a new identity into a file that is not there yet; the public key that belongs to it."""
    made = _library().x25519.Identity.generate()
    public = str(made.to_public())
    if file.exists():
        raise SealError(f"{file}: is there already; name another, for it may open backups")
    replace_file(file, f"# public key: {public}\n{made}\n")
    return public


@contextmanager
def sealing(raw: BinaryIO, recipient: str, given: str = "backup.recipient") -> Iterator[BinaryIO]:
    """What is written goes into `raw`, sealed. `given`: where the recipient was."""
    library = _library()
    try:
        key = library.x25519.Recipient.from_str(recipient)
    except library.RecipientError as error:
        raise SealError(f"{given}: is no public key of age ({error})") from error
    reading, writing = os.pipe()

    def seal() -> None:
        with os.fdopen(reading, "rb") as source:  # who writes notices if this ends
            library.encrypt_io(source, raw, [key])

    with ThreadPoolExecutor(1) as pool:
        sealed = pool.submit(seal)
        try:
            with os.fdopen(writing, "wb") as sink:
                yield sink
        except BrokenPipeError:
            sealed.result()
            raise
        sealed.result()


def is_sealed(file: Path) -> bool:
    """Whether it begins as such a file does."""
    with file.open("rb") as raw:
        return raw.read(len(_HEADER)) == _HEADER


def unseal(file: Path, into: Path, identity: Path | None) -> None:
    """Open it into another file; SealError if the identity is not its own."""
    if identity is None:
        raise SealError(f"{file}: is sealed; add --identity FILE, with the secret key of age")
    library = _library()
    keys = _identities(library, identity)
    try:
        with file.open("rb") as source, replacing(into) as raw:
            library.decrypt_io(source, raw, keys)
    except library.DecryptError as error:
        raise SealError(
            f"{file}: cannot be opened with {identity} ({error}); name the identity of the"
            " recipient that it was sealed to, or another backup"
        ) from error


def _identities(library: Any, file: Path) -> list[Any]:
    with file.open(encoding="utf-8", errors="replace") as opened:
        text = opened.read(MAX_SECRET_FILE)
    lines = [one.strip() for one in text.splitlines() if one.startswith(_SECRET)]
    try:
        keys = [library.x25519.Identity.from_str(one) for one in lines]
    except library.IdentityError as error:
        raise SealError(f"{file}: is no identity of age ({error})") from error
    if not keys:
        raise SealError(f"{file}: holds no line that begins with {_SECRET}; name another file")
    return keys


def _library() -> Any:
    """Loaded where something is sealed or opened, and nowhere else."""
    try:
        import pyrage
    except ImportError as error:
        raise SealError(f"pyrage is not installed: {LIBRARY}") from error
    return pyrage
