"""`titik` with a page cache of 1 MiB instead of 64: it is full, and level, within minutes.

Rule: nothing else differs but the interpreter's cache, full from the start; what grows is a leak.
"""

from tests.faults.launcher import fill_method_cache
from titik_collector import cli, database

CACHE_KIB = 1024

if __name__ == "__main__":
    fill_method_cache()
    database.CACHE_KIB = CACHE_KIB
    cli.main()
