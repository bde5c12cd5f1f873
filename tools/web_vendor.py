"""Copies the libraries of the page from node_modules into the checkout: `make web-vendor`.

Rule: a vendored file is the package's own, byte for byte. A test compares the two.
Rule: a server installs the page with pip alone, so the copies are checked in.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "broker/titik_collector/web/static/vendor"
COPIES = {
    "leaflet.js": "leaflet/dist/leaflet.js",
    "leaflet.css": "leaflet/dist/leaflet.css",
    "leaflet.LICENSE": "leaflet/LICENSE",
    "protomaps-leaflet.js": "protomaps-leaflet/dist/protomaps-leaflet.js",
    # It holds the others that follow, and two more of Protomaps under the same licence.
    "protomaps-leaflet.LICENSE": "protomaps-leaflet/LICENSE",
    "color2k.LICENSE": "color2k/LICENSE",
    "fflate.LICENSE": "fflate/LICENSE",
    "pbf.LICENSE": "pbf/LICENSE",
    "point-geometry.LICENSE": "@mapbox/point-geometry/LICENSE",
    "potpack.LICENSE": "potpack/LICENSE",
    "quickselect.LICENSE": "quickselect/LICENSE",
    "rbush.LICENSE": "rbush/LICENSE",
    "vector-tile.LICENSE": "@mapbox/vector-tile/LICENSE.txt",
    "uPlot.iife.min.js": "uplot/dist/uPlot.iife.min.js",
    "uPlot.min.css": "uplot/dist/uPlot.min.css",
    "uPlot.LICENSE": "uplot/LICENSE",
}


def main() -> None:
    """Write every copy."""
    VENDOR.mkdir(exist_ok=True)
    for name, source in COPIES.items():
        (VENDOR / name).write_bytes((MODULES / source).read_bytes())


if __name__ == "__main__":
    main()
