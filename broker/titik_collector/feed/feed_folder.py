"""Writes the feeds: a folder for each release, with its packages and their signed list.

Rule: packages that lie there stay, so that a router can go back to an older version.
Rule: a version is published once. Other content of it is refused, and changes nothing.
Rule: a folder has one pair of keys. Routers that trust them would refuse a list of other ones.
Rule: the list comes after its packages, and each file is whole: a router may be reading.
"""

import filecmp
import gzip
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from titik_collector.feed.feed_error import FeedError
from titik_collector.feed.opkg_index import packages_text
from titik_collector.feed.signing_keys import APK_PUBLIC, FOR_ALL, OPKG_PUBLIC, SigningKeys
from titik_collector.files.replace import replace_file, replacing
from titik_collector.limits import MAX_PACKAGE

OPKG_RELEASES, APK_RELEASES = ("23.05", "24.10"), ("25.12",)
INDEX_S = 60  # for what takes a tenth of a second


@dataclass(frozen=True, slots=True)
class Feed:
    """One release's."""

    release: str
    folder: Path
    packages: list[str]  # file names, in order


def write_feeds(
    packages: Sequence[Path], out: Path, keys: SigningKeys, apk: str | None
) -> list[Feed]:
    """The feeds of all releases that there are packages for; `apk` is the program, version 3."""
    kinds = {kind: [one for one in packages if one.suffix == kind] for kind in (".ipk", ".apk")}
    unknown = [one for one in packages if one.suffix not in kinds]
    if unknown:
        raise FeedError(f"{unknown[0]} is no package: the names end in .ipk or .apk")
    if kinds[".apk"] and apk is None:
        raise FeedError(
            "apk 3 makes and signs the list of 25.12, and is not in PATH: "
            "docs/routers.md says where to get it"
        )
    _refuse_other_keys(out, keys)
    for release in OPKG_RELEASES:
        _refuse_changed(out / release, kinds[".ipk"])
        _refuse_unfit(out / release, kinds[".ipk"])
    for release in APK_RELEASES:
        _refuse_changed(out / release, kinds[".apk"])
    made = []
    for release in OPKG_RELEASES:
        if folder := _filled(out / release, kinds[".ipk"]):
            _sign_for_opkg(folder, keys)
            made.append(Feed(release, folder, _names(folder, ".ipk")))
    for release in APK_RELEASES:
        if apk is None:  # what is there stays as it is
            continue
        if folder := _filled(out / release, kinds[".apk"]):
            _sign_for_apk(folder, keys, apk)
            made.append(Feed(release, folder, _names(folder, ".apk")))
    if not made:
        raise FeedError("there is no package to make a feed of: `make openwrt-ipk` makes them")
    replace_file(out / OPKG_PUBLIC, keys.opkg.public_text, FOR_ALL)
    replace_file(out / APK_PUBLIC, keys.apk_public, FOR_ALL)
    return made


def _refuse_other_keys(out: Path, keys: SigningKeys) -> None:
    for name, text in ((OPKG_PUBLIC, keys.opkg.public_text), (APK_PUBLIC, keys.apk_public)):
        file = out / name
        # The comment is another program's where the key is.
        if file.exists() and file.read_text().splitlines()[1:] != text.splitlines()[1:]:
            raise FeedError(
                f"{file} is of other keys: routers that trust it would refuse this feed. Name the "
                "folder of its keys with --keys, or make a feed in another folder "
                "(docs/routers.md, A new signing key)"
            )


def _refuse_changed(folder: Path, packages: Sequence[Path]) -> None:
    """Routers that have a version never look at it again, and would run another than the rest."""
    given: dict[str, Path] = {}
    for one in packages:
        for other in (folder / one.name, given.setdefault(one.name, one)):
            if other.exists() and not filecmp.cmp(one, other, shallow=False):
                raise FeedError(
                    f"{one} is of a version that was published already, with other content: "
                    f"{other}. Raise the version; if no router can have it yet, remove that file"
                )


def _refuse_unfit(folder: Path, packages: Sequence[Path]) -> None:
    """What opkg's list cannot have, before it lies in the feed."""
    every = [*(folder / name for name in _names(folder, ".ipk")), *packages]
    packages_text({one.name: _content(one) for one in every})


def _filled(folder: Path, packages: Sequence[Path]) -> Path | None:
    """With these packages beside what is there; None if that is nothing."""
    if not packages:
        return folder if any(_present(folder)) else None
    folder.mkdir(parents=True, exist_ok=True)
    for one in packages:
        with replacing(folder / one.name, FOR_ALL) as copy, one.open("rb") as original:
            shutil.copyfileobj(original, copy)
    return folder


def _present(folder: Path) -> Iterator[Path]:
    for kind in (".ipk", ".apk"):
        yield from folder.glob(f"[!.]*{kind}")


def _names(folder: Path, kind: str) -> list[str]:
    return sorted(one.name for one in folder.glob(f"[!.]*{kind}"))


def _sign_for_opkg(folder: Path, keys: SigningKeys) -> None:
    found = {name: _content(folder / name) for name in _names(folder, ".ipk")}
    text = packages_text(found)
    for name, content in found.items():  # opkg goes back to an older version from a file only
        replace_file(folder / f"{name}.sig", keys.opkg.sign(content), FOR_ALL)
    with replacing(folder / "Packages.gz", FOR_ALL) as packed:
        packed.write(gzip.compress(text.encode(), mtime=0))
    replace_file(folder / "Packages", text, FOR_ALL)
    replace_file(folder / "Packages.sig", keys.opkg.sign(text.encode()), FOR_ALL)


def _content(file: Path) -> bytes:
    if file.stat().st_size > MAX_PACKAGE:
        raise FeedError(f"{file} is larger than {MAX_PACKAGE >> 20} MiB, too large for a router")
    return file.read_bytes()


def _sign_for_apk(folder: Path, keys: SigningKeys, apk: str) -> None:
    new = folder / ".packages.adb.new"
    done = subprocess.run(
        [apk, "mkndx", "--allow-untrusted", "--sign-key", str(keys.apk_file.absolute()),
         "--output", new.name, *_names(folder, ".apk")],
        cwd=folder, capture_output=True, text=True, check=False, timeout=INDEX_S,
    )  # fmt: skip
    if done.returncode or not new.exists():
        raise FeedError(f"apk made no list of {folder}: {done.stderr.strip() or done.stdout}")
    new.chmod(FOR_ALL.mode)
    new.replace(folder / "packages.adb")
