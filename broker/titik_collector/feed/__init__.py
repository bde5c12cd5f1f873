"""Signed feeds of the router's packages, for opkg and apk, as plain files for any web server."""
