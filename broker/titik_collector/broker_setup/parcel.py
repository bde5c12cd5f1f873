"""What a twin is sent of the first broker's folder: a tar, whose names are all known.

Rule: the authority's key stays, and so do the files that make a machine a router: a twin signs
nothing and enrols nobody.
Rule: the commanding password stays too: each broker has its own.
"""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from titik_collector.broker_setup.alike import FILES, LATER
from titik_collector.broker_setup.broker_folder import BrokerError, BrokerFolder
from titik_collector.limits import MAX_PARCEL, MAX_PARCELLED, MAX_ROUTERS, MAX_SHOWN

SETTINGS, REVOKED, ISSUED = "broker.toml", "ca/revoked", "ca/issued"
_ITS = re.compile(
    r"broker\.toml|ca/revoked|ca/issued/[0-9a-f]{1,40}\.crt"
    rf"|tls/({'|'.join(map(re.escape, FILES))})|secrets/[a-z0-9-]{{1,64}}\.password"
)


class File(NamedTuple):
    """One that is sent; its name is within the folder."""

    name: str
    content: bytes


def of(made: BrokerFolder) -> bytes:
    """Everything that a twin needs."""
    return packed(_files(made))


def packed(files: Iterable[File]) -> bytes:
    """As one tar; none of them: an empty one, which changes nothing."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for one in files:
            member = tarfile.TarInfo(one.name)
            member.size, member.mode = len(one.content), 0o600
            tar.addfile(member, io.BytesIO(one.content))
    return whole.getvalue()


def unpacked(stream: BinaryIO) -> tuple[File, ...]:
    """What came; BrokerError where it is no parcel of ours."""
    found: list[File] = []
    size = 0
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                size += member.size
                if not member.isreg() or _ITS.fullmatch(member.name) is None:
                    raise BrokerError(
                        f"{member.name[:MAX_SHOWN]!r} is not a file that a twin is sent"
                    )
                too_large = member.size > MAX_PARCELLED or size > MAX_PARCEL
                if too_large or len(found) > 2 * MAX_ROUTERS:
                    raise BrokerError(f"{member.name}: is too large")
                content = tar.extractfile(member)
                assert content is not None  # of a regular file
                found.append(File(member.name, content.read()))
    except (tarfile.TarError, EOFError) as error:
        raise BrokerError(f"what came is no whole parcel ({error}); send it again") from error
    return tuple(found)


def _files(made: BrokerFolder) -> Iterator[File]:
    settings = made.settings
    there = [one for one in FILES if one not in LATER or (made.path / "tls" / one).exists()]
    names = [SETTINGS, REVOKED, *(f"tls/{name}" for name in there)]
    names += [f"{ISSUED}/{one.name}" for one in sorted((made.path / ISSUED).glob("*.crt"))]
    names += [f"secrets/{name}.password" for name in (settings.collector, *settings.engineers)]
    for name in names:
        yield File(name, _read(made.path / name))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except PermissionError as error:
        raise BrokerError(f"{file}: may not be read; run as its owner or as root") from error
