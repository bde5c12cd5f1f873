"""Writes docs/performance.md from bench/results.json: `python -m bench.write_performance`."""

from collections.abc import Sequence
from statistics import median

from bench import results
from bench.collector import HEADLINE
from bench.results import ROOT, Result

PAGE = ROOT / "docs" / "performance.md"
TITLES = {
    "store": "The store and its answers",
    "history": "The past, as the page asks for it",
    "live": "A city as it lives",
    "size": "What the store takes, and removes",
    "collector": "The collector",
    "stages": "The way of a message of a flood through the collector",
    "agent": "The agent",
    "fleet": "A fleet",
    "city10k": "Ten thousand routers for twenty minutes",
    "city10k_wide": "Ten thousand routers, two thousand at each site, for twenty minutes",
    "broker": "The broker",
    "latency": "Latency",
    "page": "The page in a browser",
    "streams": "Acks while people look",
    "hung": "Acks and messages while receivers hang",
    "restore": "A city that comes back from a backup",
    "prometheus": "Beside Prometheus, the same routers",
    "footprint": "The server half, installed and at work",
    "moving": "A city that moves to PostgreSQL",
}
WORDS = {
    "prometheus": """\
Both got the figures of the same samples, each 30 s. Prometheus is 2.42 of Debian 12, and keeps the
series of [`/metrics`](integrations.md#metrics): 19 of a router and three of a site. It takes less
of the disk and of the processor. Titik does more:

- It keeps each sample whole, with figures of each radio and of the uplink, and lowest and highest.
- It acknowledges each sample to its router. What comes hours late, after an outage, has its place.
- It sums minutes, hours and days of routers, sites and the city.

The first day of a store is its largest. Samples and minutes are removed later, and hours stay.
Prometheus removes all after 15 days, as it is shipped. A question is one figure of each hour. Titik
was asked in its process, and Prometheus by its API, which costs a millisecond or two.

""",
}
HEAD = """\
# What it costs

Written by `python -m bench.write_performance` from `bench/results.json`; do not edit.

```sh
make bench         # measures everything again, half an hour, and writes this page
python -m bench.run --full --only live --only city10k --only city10k_wide  # 10,000 routers, hours
make bench-quick   # small numbers, to show that the benchmarks work
```

Medians, with the smallest and the largest of single runs. Absolute figures are those of one machine
and of what else it did; ratios are of runs that took turns. A load above 2 means that other work
was waiting for its two processors. It shared their caches, so that processor time was higher, too.

"""


def page() -> str:
    """The whole page."""
    parts = results.load()
    share = next(one for one in parts["collector"][1] if one.name == HEADLINE)
    machines = {name: parts[name][0] for name in TITLES if name in parts}
    text = HEAD + headline(share) + "| measured with | " + " | ".join(machines) + " |\n"
    text += "|---|" + "---|" * len(machines) + "\n"
    for what in dict.fromkeys(one for machine in machines.values() for one in machine):
        values = (machine.get(what, "") for machine in machines.values())
        text += f"| {what} | {' | '.join(values)} |\n"
    for name, title in TITLES.items():
        if name in parts:
            text += f"\n## {title}\n\n{WORDS.get(name, '')}{table(parts[name][1])}"
    return text


def headline(share: Result) -> str:
    """The figure that this page begins with."""
    low, high = _number(min(share.runs)), _number(max(share.runs))
    wanted = (share.target or "").replace(">=", "at least")
    return (
        "**A C subscriber that drops every sample sets the pace. The collector stores them, decoded"
        f"\nwhole and placed in time, at {_number(share.median)} of its rate.** The runs gave {low}"
        f" to {high}; wanted is {wanted}.\nThe command is `{share.command}`.\n\n"
    )


def table(part: Sequence[Result]) -> str:
    """The figures of a part; with a column of the database's own where any has one."""
    columns = ["figure", "median", "range", "wanted", "reached", "command"]
    served = any(one.server for one in part)
    if served:
        columns.insert(3, "database")
    text = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return text + "".join(_row(one, served) for one in part)


def _row(one: Result, served: bool) -> str:
    reached = {True: "yes", False: "**no**", None: ""}[one.reached()]
    note = f" ({one.note})" if one.note else ""
    span = f"{_number(min(one.runs))} to {_number(max(one.runs))}" if len(one.runs) > 1 else ""
    server = f"{_number(median(one.server))} {one.unit}" if one.server else ""
    wanted = (one.target or "").replace("<=", "at most").replace(">=", "at least")
    return (
        f"| {one.name}{note} | {_number(one.median)} {one.unit} | {span}"
        f"{f' | {server}' if served else ''} | {wanted} | {reached} | `{one.command}` |\n"
    )


def _number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(page())
