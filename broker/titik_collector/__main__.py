"""The `titik` script: the command, or one line where only the router half was installed."""

import sys


def main() -> None:
    """Entry point of the console script, and of `python -m titik_collector`."""
    try:
        from titik_collector import cli
    except ImportError as error:
        package = (error.name or "titik").partition(".")[0]
        if package.startswith("titik"):
            raise
        sys.exit(
            f"Error: there is no {package}; titik needs the collector's packages:"
            " pip install '.[collector]'"
        )
    cli.main()


if __name__ == "__main__":
    main()
