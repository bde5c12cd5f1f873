"""opkg's list of packages: what each .ipk says of itself, where it lies, and the sum of its bytes.

Rule: the list is signed and has the sums, so a package needs no signature of its own to be trusted.
"""

import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping

from titik_collector.feed.feed_error import FeedError
from titik_collector.limits import MAX_CONTROL, MAX_PACKAGE

_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeDecodeError)


def packages_text(packages: Mapping[str, bytes]) -> str:
    """The file `Packages`, of files by their names."""
    named: dict[tuple[str, ...], str] = {}
    for name in sorted(packages):
        other = named.setdefault(_identity(name, packages[name]), name)
        if other != name:
            raise FeedError(f"{name} is the same package as {other}, in its version too: keep one")
    return "".join(f"{_entry(name, packages[name])}\n" for name in sorted(packages))


def _entry(name: str, content: bytes) -> str:
    head, mark, description = control(name, content).rstrip().partition("\nDescription:")
    digest = hashlib.sha256(content).hexdigest()
    return (
        f"{head}\nFilename: {name}\nSize: {len(content)}\nSHA256sum: {digest}{mark}{description}\n"
    )


def _identity(name: str, content: bytes) -> tuple[str, ...]:
    lines = control(name, content).splitlines()
    return tuple(one for one in lines if one.startswith(("Package:", "Version:", "Architecture:")))


def control(name: str, content: bytes) -> str:
    """What a package says of itself: lines of `Key: value`."""
    try:
        inner = _member(content, "./control.tar.gz", MAX_PACKAGE)
        return _member(inner, "./control", MAX_CONTROL).decode()
    except _DAMAGED as error:
        raise FeedError(f"{name} is no package of opkg, or damaged: {error}") from error


def _member(raw: bytes, name: str, most: int) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
        for one in tar:
            if one.name == name and one.isfile() and one.size <= most:
                file = tar.extractfile(one)
                assert file is not None  # it is a file
                return file.read()
    raise tarfile.TarError(f"without {name}")
