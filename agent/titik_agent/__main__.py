"""The `titik-agent` script: `run` at once, every other command through click."""

import sys
from collections.abc import Sequence

from titik_agent.assemble import run


def main() -> None:
    """Entry point of the console script.

    A router runs one command for years, so that one is read without click, which takes 3 MB.
    """
    plain = _plain_run(sys.argv[1:])
    if plain is not None:
        run(**plain)
        return
    from titik_agent.commands import titik_agent

    titik_agent()


def _plain_run(args: Sequence[str]) -> dict[str, str | None] | None:
    """The options of `run` if these are its arguments, each option at most once; else None."""
    options: dict[str, str | None] = {"--config": None, "--router": None, "--broker": None}
    names, values = args[1::2], args[2::2]
    if args[:1] != ["run"] or len(names) != len(values) or len(set(names)) != len(names):
        return None
    if any(name not in options for name in names) or any(one[:1] == "-" for one in values):
        return None
    options |= dict(zip(names, values, strict=True))
    return {
        "file": options["--config"],
        "router": options["--router"],
        "broker": options["--broker"],
    }


if __name__ == "__main__":
    main()
