"""Builds the router's .apk packages for OpenWrt 25.12 without its SDK, with `apk mkpkg`.

Names, files and scripts are the feed Makefile's own, as `openwrt_ipk` reads them. What OpenWrt
keeps beside an .ipk lies in the package here: /lib/apk/packages/NAME.list and its kin.

Rule: the same sources and the same apk give the same bytes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from titik_collector.feed.apk_program import MAJOR, is_new, version
from tools.matrix import ROOT
from tools.openwrt_ipk import FEED, PACKAGES, Built, compiler

PYTHON = (3, 13)
EPOCH = 1577836800  # 2020: what a file's time says, so that no build differs by it
GET_APK = "docs/routers.md says where to get it"
START = """\
#!/bin/sh
{first}[ -s "${{IPKG_INSTROOT}}/lib/functions.sh" ] || exit 0
. "${{IPKG_INSTROOT}}/lib/functions.sh"
export root="${{IPKG_INSTROOT}}"
export pkgname="{package}"
"""
UNLESS_GIVEN = '[ "${IPKG_NO_SCRIPT}" = "1" ] && exit 0\n'


def build(out: Path, feed: Path = FEED) -> list[Path]:
    """Write both packages into `out`; their files."""
    apk, python = needed(), compiler(PYTHON)
    with tempfile.TemporaryDirectory() as folder:
        built = Built(Path(folder), feed=feed, python=PYTHON)
        out.mkdir(parents=True, exist_ok=True)
        return [write(apk, built, one, built.place(one, python), out) for one in PACKAGES]


def write(apk: str, built: Built, package: str, root: Path, out: Path) -> Path:
    """One package of what lies below `root`."""
    _list(built, package, root)
    _settle(root)
    file = out / f"{package}-{built.version(package)}.apk"
    _make(apk, built, package, root, file)
    return file


def needed() -> str:
    """The program; without one there is no package."""
    found = shutil.which("apk")
    if found is None:
        sys.exit(f"apk {MAJOR} makes these packages, and is not in PATH: {GET_APK}")
    output = version(found)
    if not is_new(output):
        sys.exit(f"apk {MAJOR} makes these packages, and {found} is another ({output}): {GET_APK}")
    return found


def _list(built: Built, package: str, root: Path) -> None:
    """What OpenWrt's functions.sh and sysupgrade read of an installed package."""
    folder = root / "lib/apk/packages"
    folder.mkdir(parents=True)
    if user := built.says(package, "USERID"):
        (folder / f"{package}.rusers").write_text(f"{user}\n")
    files = [one for one in root.rglob("*") if one.is_symlink() or one.is_file()]
    names = sorted(f"/{one.relative_to(root)}\n" for one in files)
    (folder / f"{package}.list").write_text("".join(names))
    if text := built.says(package, "conffiles"):
        kept = [root / name[1:] for name in text.split()]
        shipped = [
            f"/{one.relative_to(root)} {hashlib.sha256(one.read_bytes()).hexdigest()}\n"
            for one in kept
            if one.is_file() and not one.is_symlink()
        ]
        (folder / f"{package}.conffiles").write_text(f"{text}\n")
        (folder / f"{package}.conffiles_static").write_text("".join(shipped))


def _settle(root: Path) -> None:
    """Nothing of this machine's umask or clock; what tools wrote has the mode of data."""
    for path in [root, *root.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        elif path.parent.name == "packages":
            path.chmod(0o644)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def _make(apk: str, built: Built, package: str, root: Path, file: Path) -> None:
    info = {
        "name": package,
        "version": built.version(package),
        "description": " ".join(built.says(package, "description").split()),
        "arch": "noarch",
        "license": built.says(package, "PKG_LICENSE"),
        "origin": "titik-agent",
        "url": built.says(package, "URL"),
        "maintainer": built.says(package, "PKG_MAINTAINER"),
        "depends": " ".join(built.depends(package)),
    }
    folder = built.folder / f"{package}.scripts"
    folder.mkdir()
    words = [word for key, value in info.items() for word in ("--info", f"{key}:{value}")]
    for name, text in scripts(built, package).items():
        (folder / name).write_text(text)
        words += ["--script", f"{name}:{folder / name}"]
    # Whoever runs this, the files are root's on a router.
    as_root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    subprocess.run(
        [*as_root, apk, "mkpkg", *words, "--files", str(root), "--output", str(file)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
        check=True,
    )


def scripts(built: Built, package: str) -> dict[str, str]:
    """What apk runs, by its own names; at an upgrade nothing of the old package is run."""
    after, gone = (_body(built.says(package, name)) for name in ("postinst", "postrm"))
    start = START.format(first=UNLESS_GIVEN, package=package)
    install = f"{start}add_group_and_user\ndefault_postinst\n{after}"
    found = {
        "post-install": install,
        "post-upgrade": f"#!/bin/sh\nexport PKG_UPGRADE=1\n{_body(install)}",
        "pre-deinstall": f"{START.format(first='', package=package)}default_prerm\n",
    }
    return found | ({"post-deinstall": f"#!/bin/sh\n{gone}"} if gone else {})


def _body(script: str) -> str:
    """Without the line that names the shell."""
    return "".join(f"{one}\n" for one in script.splitlines() if not one.startswith("#!"))


if __name__ == "__main__":
    for package_file in build(ROOT / "dist"):
        print(f"{package_file.relative_to(ROOT)}: {package_file.stat().st_size / 1000:.0f} kB")
