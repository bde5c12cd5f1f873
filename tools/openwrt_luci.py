"""Builds LuCI's pages of the agent as packages, with their translation, for opkg and apk.

Names, versions and dependencies are the application's own Makefile's, read with a stand-in for
LuCI's `luci.mk`. What is in the packages, and where it lies, is as `luci.mk` has it.

Rule: the same sources give the same bytes.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import luci, openwrt_apk, openwrt_ipk
from tools.matrix import ROOT

APPLICATION = "luci-app-titik"
LANGUAGE = "id"
TRANSLATION = f"luci-i18n-titik-{LANGUAGE}"
PACKAGES = (APPLICATION, TRANSLATION)
SAYS = (
    "PKG_VERSION", "PKG_RELEASE", "PKG_LICENSE", "PKG_MAINTAINER", "LUCI_DESCRIPTION",
    "LUCI_DEPENDS", "LUCI_URL", f"LUCI_LANG.{LANGUAGE}",
)  # fmt: skip
STAND_IN = f"$(foreach one,{' '.join(SAYS)},$(file >$(OUT)/$(one),$($(one))))\nall: ;\n"


class Pages(openwrt_ipk.Built):
    """What the application's Makefile says, in a folder for the time of a build."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        top = folder / "top"
        (top / "feeds/luci").mkdir(parents=True)
        (top / "rules.mk").touch()
        (top / "feeds/luci/luci.mk").write_text(STAND_IN)
        command = ["make", "-s", "-C", str(luci.APPLICATION), f"TOPDIR={top}", f"OUT={folder}"]
        subprocess.run(command, check=True)
        for package in PACKAGES:
            for name, text in self._texts(package).items():
                (folder / f"{package}.{name}").write_text(text)

    def _texts(self, package: str) -> dict[str, str]:
        """The uci-defaults of both do at an install what is to be done."""
        texts = {name: (self.folder / name).read_text().strip() for name in SAYS}
        is_app = package == APPLICATION
        language = texts[f"LUCI_LANG.{LANGUAGE}"]
        return texts | {
            "SECTION": "luci",
            "URL": texts["LUCI_URL"],
            "DEPENDS": texts["LUCI_DEPENDS"] if is_app else APPLICATION,
            "description": texts["LUCI_DESCRIPTION"] if is_app else f"Translation: {language}",
            **dict.fromkeys(("USERID", "conffiles", "postinst", "postrm"), ""),
        }

    def laid(self, package: str) -> Path:
        """The package's files as they will lie on the router."""
        root = self.folder / package
        if package == APPLICATION:
            shutil.copytree(luci.APPLICATION / "root", root)
            shutil.copytree(luci.APPLICATION / "htdocs", root / "www")
            for path in root.rglob("*"):
                path.chmod(0o755 if path.is_dir() or path.parent.name == "uci-defaults" else 0o644)
            return root
        defaults, catalogue = (
            root / "etc/uci-defaults" / package,
            root / f"usr/lib/lua/luci/i18n/titik.{LANGUAGE}.lmo",
        )
        for file in (defaults, catalogue):
            file.parent.mkdir(parents=True)
        language = self.says(package, f"LUCI_LANG.{LANGUAGE}")
        defaults.write_text(f"uci set luci.languages.{LANGUAGE}='{language}'; uci commit luci\n")
        catalogue.write_bytes(luci.lmo(luci.translations(LANGUAGE)))
        for file, mode in ((defaults, 0o755), (catalogue, 0o644)):
            file.chmod(mode)
        return root


def build_ipk(out: Path) -> list[Path]:
    """Write what opkg takes into `out`; the files."""
    with tempfile.TemporaryDirectory() as folder:
        pages = Pages(Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        return [openwrt_ipk.write(pages, one, pages.laid(one), out) for one in PACKAGES]


def build_apk(out: Path) -> list[Path]:
    """Write what apk takes into `out`; the files."""
    apk = openwrt_apk.needed()
    with tempfile.TemporaryDirectory() as folder:
        pages = Pages(Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        return [openwrt_apk.write(apk, pages, one, pages.laid(one), out) for one in PACKAGES]


if __name__ == "__main__":
    for package_file in (build_apk if sys.argv[1:] == ["apk"] else build_ipk)(ROOT / "dist"):
        print(f"{package_file.relative_to(ROOT)}: {package_file.stat().st_size / 1000:.0f} kB")
