"""`titik` with a page cache of 1 MiB instead of 64: it is full, and level, within minutes.

Rule: nothing else differs, so that what still grows is a leak.
"""

from titik_collector import cli
from titik_collector.store import sqlite

CACHE_KIB = 1024

if __name__ == "__main__":
    sqlite.CACHE_KIB = CACHE_KIB
    cli.main()
