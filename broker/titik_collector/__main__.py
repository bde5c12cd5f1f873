"""The `titik` script: the command, or one line where only the router half was installed."""

import sys

from titik_collector import cli


def main() -> None:
    """Entry point of the console script, and of `python -m titik_collector`."""
    try:
        cli.main()
    except ImportError as error:
        package = (error.name or "titik").partition(".")[0]
        if package.startswith("titik"):
            raise
        sys.exit(
            f"Error: there is no {package}; titik needs the collector's packages:"
            " pip install '.[collector]'"
        )


if __name__ == "__main__":
    main()
