"""Builds the router's .ipk packages for OpenWrt 23.05 and 24.10 without its SDK.

Names, dependencies and scripts are the feed Makefile's own: GNU make reads it with stand-ins for
OpenWrt's includes. An .ipk is a gzipped tar of three members; the bytecode is Python 3.11's, which
both releases have. `openwrt_apk` makes what 25.12 takes.

Rule: the same sources give the same bytes.
"""

import gzip
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.matrix import ROOT, interpreters

FEED = ROOT / "deploy/openwrt/titik-agent"
PYTHON = (3, 11)
PACKAGES = ("titik-agent", "titik-agent-probe")
SCRIPT = """\
#!/bin/sh
[ "${{IPKG_NO_SCRIPT}}" = "1" ] && exit 0
[ -s "${{IPKG_INSTROOT}}/lib/functions.sh" ] || exit 0
. "${{IPKG_INSTROOT}}/lib/functions.sh"
default_{name} "$0" "$@"
"""
# What OpenWrt's includes define, as far as the Makefile uses it; each package is written out.
STAND_IN = r"""
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600
CP:=cp -fpR
LN:=ln -sf
PYTHON3_VERSION:=$(PYTHON)
PKG_BUILD_DIR:=$(OUT)/build
PKG_INSTALL_DIR:=$(OUT)/installed
TEXTS:=PKG_NAME PKG_VERSION PKG_RELEASE PKG_LICENSE PKG_LICENSE_FILES PKG_MAINTAINER \
	PKG_FILE_DEPENDS SECTION CATEGORY TITLE URL DEPENDS USERID PKGARCH
BLOCKS:=description conffiles postinst postrm
define BuildPackage
$(if $(Package/$(1)),$(eval USERID:=)$(eval $(Package/$(1)))
$(foreach one,$(TEXTS),$(file >$(OUT)/$(1).$(one),$($(one))))
$(foreach one,$(BLOCKS),$(file >$(OUT)/$(1).$(one),$(Package/$(1)/$(one))))
$(file >$(OUT)/$(1).filespec,$(Py3Package/$(1)/filespec)))
install-$(1):
	$(call Py3Package/$(1)/install,$(OUT)/$(1))
endef
prepare:
	$(Build/Prepare)
compile:
	$(Build/Compile)
"""


class Built:
    """What the Makefile says, in a folder for the time of a build."""

    def __init__(
        self,
        folder: Path,
        has_email: bool = True,
        feed: Path = FEED,
        python: tuple[int, int] = PYTHON,
    ) -> None:
        """`has_email`: python3-email is a package of its own, as it is until 25.12."""
        self.folder, self._feed, self._python = folder, feed, "{}.{}".format(*python)
        top = folder / "top"
        stubs = top / "feeds/packages/lang/python"
        (stubs / "python3/files").mkdir(parents=True)
        if has_email:
            (stubs / "python3/files/python3-package-email.mk").touch()
        for name in ("rules.mk", "python3-package.mk"):
            ((stubs if "python" in name else top) / name).touch()
        (top / "package.mk").write_text(STAND_IN)
        self._run("prepare", "compile", *(f"install-{name}" for name in PACKAGES))

    def _run(self, *targets: str) -> None:
        top = self.folder / "top"
        subprocess.run(
            ["make", "-s", "-C", str(self._feed), f"TOPDIR={top}", f"INCLUDE_DIR={top}",
             f"OUT={self.folder}", f"PYTHON={self._python}", *targets],
            check=True,
        )  # fmt: skip

    def says(self, package: str, what: str) -> str:
        """A variable or a text of the Makefile, expanded."""
        return (self.folder / f"{package}.{what}").read_text().strip()

    def version(self, package: str) -> str:
        return f"{self.says(package, 'PKG_VERSION')}-r{self.says(package, 'PKG_RELEASE')}"

    def depends(self, package: str) -> list[str]:
        return ["libc", *(one.lstrip("+") for one in self.says(package, "DEPENDS").split())]

    def place(self, package: str, python: str) -> Path:
        """The package's files as they will lie on the router, modules compiled."""
        root = self.folder / package
        for line in self.says(package, "filespec").splitlines():
            sign, path = line.split("|")
            source, target = self.folder / "installed" / path[1:], root / path[1:]
            if sign == "-":
                shutil.rmtree(target)
            elif source.is_dir():
                shutil.copytree(source, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        _compile(root / "usr/lib", python)
        return root

    def control(self, package: str, size: int) -> str:
        """What opkg reads."""
        lines = {
            "Package": package,
            "Version": self.version(package),
            "Depends": ", ".join(self.depends(package)),
            "License": self.says(package, "PKG_LICENSE"),
            "Section": self.says(package, "SECTION"),
            "Require-User": self.says(package, "USERID"),
            "URL": self.says(package, "URL"),
            "Architecture": "all",
            "Installed-Size": str(size),
            "Maintainer": self.says(package, "PKG_MAINTAINER"),
            "Description": " " + " ".join(self.says(package, "description").split()),
        }
        return "".join(f"{key}: {value.strip()}\n" for key, value in lines.items() if value)


def compiler(version: tuple[int, int]) -> str:
    """The interpreter whose bytecode a release runs."""
    python = interpreters().get(version)
    if python is None:
        name = "{}.{}".format(*version)
        sys.exit(f"Python {name} compiles what these routers run: install it with its venv module")
    return python


def build(out: Path, feed: Path = FEED) -> list[Path]:
    """Write both packages into `out`; their files."""
    python = compiler(PYTHON)
    with tempfile.TemporaryDirectory() as folder:
        built = Built(Path(folder), feed=feed)
        out.mkdir(parents=True, exist_ok=True)
        return [write(built, one, built.place(one, python), out) for one in PACKAGES]


def write(built: Built, package: str, root: Path, out: Path) -> Path:
    """One package of what lies below `root`."""
    size = sum(one.stat().st_size for one in root.rglob("*") if one.is_file())
    file = out / f"{package}_{built.version(package)}_all.ipk"
    file.write_bytes(_ipk(_data(root), _control(built, package, built.control(package, size))))
    return file


def _compile(folder: Path, python: str) -> None:
    """As OpenWrt's Python packages are: each .pyc where its .py was, and no .py."""
    subprocess.run(
        [python, "-m", "compileall", "-q", "-b", "-s", str(folder), "-p", "/usr/lib",
         "--invalidation-mode", "unchecked-hash", str(folder)],
        check=True, umask=0o022,
    )  # fmt: skip
    for source in folder.rglob("*.py"):
        source.unlink()


def _data(root: Path) -> bytes:
    """Every file and folder, root's; modes are the Makefile's."""
    members = []
    for path in sorted(root.rglob("*")):
        name = f"./{path.relative_to(root)}"
        if path.is_symlink():
            members.append(_member(name, tarfile.SYMTYPE, 0o777, link=str(path.readlink())))
        elif path.is_dir():
            members.append(_member(name, tarfile.DIRTYPE, 0o755))
        else:
            mode = path.stat().st_mode & 0o777
            members.append(_member(name, tarfile.REGTYPE, mode, path.read_bytes()))
    return _tar_gz(members)


def _control(built: Built, package: str, control: str) -> bytes:
    members = [_member("./control", tarfile.REGTYPE, 0o644, control.encode())]
    if text := built.says(package, "conffiles"):
        members.append(_member("./conffiles", tarfile.REGTYPE, 0o644, f"{text}\n".encode()))
    for name in ("postinst", "prerm"):
        script = SCRIPT.format(name=name).encode()
        members.append(_member(f"./{name}", tarfile.REGTYPE, 0o755, script))
    for name, what in (("postinst-pkg", "postinst"), ("postrm", "postrm")):
        if text := built.says(package, what):
            members.append(_member(f"./{name}", tarfile.REGTYPE, 0o755, f"{text}\n".encode()))
    return _tar_gz(members)


def _ipk(data: bytes, control: bytes) -> bytes:
    return _tar_gz(
        [
            _member("./debian-binary", tarfile.REGTYPE, 0o644, b"2.0\n"),
            _member("./data.tar.gz", tarfile.REGTYPE, 0o644, data),
            _member("./control.tar.gz", tarfile.REGTYPE, 0o644, control),
        ]
    )


def _member(
    name: str, kind: bytes, mode: int, content: bytes = b"", link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, link, len(content)
    return info, content


def _tar_gz(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), mtime=0)


if __name__ == "__main__":
    for package_file in build(ROOT / "dist"):
        print(f"{package_file.relative_to(ROOT)}: {package_file.stat().st_size / 1000:.0f} kB")
