"""`titik` with a page cache of 1 MiB instead of 64: it is full, and level, within minutes.

Rule: nothing else differs, so that what still grows is a leak.
"""

from titik_collector import limits

CACHE_KIB = 1024

if __name__ == "__main__":
    limits.MAX_PAGES_KIB = CACHE_KIB
    from titik_collector import cli  # which imports what keeps to it

    cli.main()
