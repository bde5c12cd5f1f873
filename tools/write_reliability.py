"""Writes docs/reliability.md from the fault campaign: `python -m tests.faults report`.

Rule: what is kept in git is one file, docs/reliability.json; the page is made of it alone, and of
the registry: a scenario that was never played is named, and so is a result that is red.
Rule: a figure that was not measured is a dash.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.broker.running import ROOT
from tests.faults.mutations import MUTATIONS
from tests.faults.scenarios import ELSEWHERE, SCENARIOS, played

PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "docs" / "reliability.json"
DROPPED = ("schedule", "processes", "time_errors_ms", "examples", "by_day")  # too long to keep
COUNTS = ("lost", "duplicated", "phantom", "altered", "declared")
Result = dict[str, Any]
# The kind of results, and the name for people, of each engine.
ENGINES = {
    "sqlite": ("scenarios", "SQLite"),
    "postgresql": ("postgresql", "PostgreSQL"),
    "cell": ("cell", "three machines"),
}

HEAD = """\
# What was tried to lose a sample, and what came of it

Written by `python -m tests.faults report` from `docs/reliability.json`; do not edit.

$SHORT## How it is played

```sh
make faults            # everything here, two or three hours, as root; a second call goes on
make faults-quick      # every fault a few times
make faults-mutations  # breaks promises on purpose: each must be seen
```

The routers are real agent processes in network namespaces, with a simulated radio behind a real
ubus socket. Mosquitto, the collector and its store are the real ones too. A log outside the agent
notes every sample with its hash before the spool has it. When the faults are over and all has
drained, the checker compares the store with that log:

- *lost* was taken and is nowhere;
- *duplicated* is stored twice;
- *phantom* is stored and was never taken;
- *altered* differs by a byte, or in a counter, an extreme or a time if it is merged;
- *declared* is lost, and the store reports it.

Each scenario is played with the store on SQLite and on PostgreSQL, unless a line below the table
has a reason. On PostgreSQL it has a server of its own. The collector reaches it by TCP, which
faults cut. The checker reads the books by the server's socket. On three machines it is played
where another machine takes over. They are namespaces with the files of
[high-availability.md](high-availability.md), and each has etcd and a PostgreSQL under Patroni.

The checker also computes all rollups again from nothing, which must give the same. No ack may come
before its commit.

*Bound*: no failure in n cycles bounds the rate of failures at 3/n, with 95 % confidence. A seed
gives the same schedule each time; what the kernel makes of it differs.

*Code* is a digest of agent, collector, harness, mosquitto, PostgreSQL and the libraries for both,
as they were when the line was played. `python -m tests.faults code` prints it for a clone.
$CODES.

One command repeats any line, as root, in an environment that `make check` has set up. It ends with
the line's last column:

```sh
PATH="$PWD/.venv/bin:$PATH" PYTHONPATH=agent:broker:. python -m tests.faults run --results DIR ...
```

## What is promised, and where it is tried

| promise | tried by |
|---|---|
| Nothing is silently lost | every scenario: *lost* is 0, and *declared* what the fault explains |
| Nothing is counted twice | every scenario: *duplicated* is 0; rollups made again are the same |
| A gap is never drawn as zero | not here: the collector's tests |
| Time is right without a clock | `clock-jumps`, `never-synced`, `power-cuts`; else to a second |
| Nobody is tracked | not here: [privacy.md](privacy.md) names the test |
| A router can hurt only itself | `forged-acks`, `attacks`, `poison`; [security.md](security.md) |
| Small | `mac-flood`, and memory below; [performance.md](performance.md) has the figures |
"""

SHORT = """\
## In short

**Tried.** {engines}.
They had {cycles} cycles of faults. Each
runs real agents, a real broker and a real collector. Processes are killed at any instant, a
database server too. Links are cut, deaf or reset. Disks fill up, fail and lose bits. Clocks
jump. Messages come twice, late, forged and malformed. Copies of the code were broken on purpose
in {mutations} places, to see that the checker notices. {readers} readers of what others write
were fuzzed.

**Held.** {good} of the {played} were good: {counts}, of {samples} samples. A declared loss is
one that the fault explains and the store reports. {caught} of {mutations} broken copies were
caught. Fuzzing ended with {crashes} crashes.

**Not covered.** No disk lost its power, and no real router took part. Days were simulated, and
nothing ran for weeks. [What is not covered](#what-is-not-covered) has the whole list.

**Where it comes from.** The program writes every figure here, and every line of the tables, from
the results. A test fails where the page differs from them. The list of what is not covered is
written by hand.

"""

PROCESSES = """
The memory of a process is compared between two quiet times: the first after the warm-up, and the
one at the end. The warm-up is a third of the whole. Two of the ten agents are killed now and
then, and have no line.
"""

NOT_COVERED = """
## What is not covered

- The power cut of a server: processes are killed, and files cut short, flipped and removed, but
  no disk was cut off below its file system. That a commit survives rests on SQLite with
  `synchronous=FULL`, or on the `fsync` of PostgreSQL. It also needs a disk that does not lie about
  its cache.
- TLS to the server, and programs between collector and server that share connections.
- Two machines of three that are lost, and a network between the three that is slow.
- Real routers: no flash that wears out, no driver that hangs, no radio. `make lab` has real Wi-Fi
  in a virtual machine, without these faults.
- Foreign processors under fault: `make foreign` runs the agent on ARM and big-endian, unharmed.
- Loss, delay and reordering of packets where the kernel has no netem: links here are cut, deaf in
  one direction, or answered by resets.
- Bugs of the kernel, of the hypervisor and of the two databases.
- Time that passes: days are simulated; nothing here ran for weeks.
- Several brokers as a cluster, and any broker but mosquitto.
- Several faults of one kind in one place at once, and faults of more than one city.
- Samples that were being taken when an agent was killed (*torn* in the results): the spool did not
  have them yet, and a run then ends one sample earlier.
"""


def main(arguments: list[str]) -> int:
    """Take in what is in the folder, keep the rest, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults report")
    parser.add_argument("--results", type=Path, metavar="DIR", help="without it, only the page")
    options = parser.parse_args(arguments)
    if options.results is not None:
        kept = load()
        for file in sorted(options.results.glob("*.json")):
            _take(kept, file.stem, json.loads(file.read_text()))
        KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page())
    return 0


def load() -> Result:
    """What git keeps: a table of results for each kind."""
    kinds: Result = {"scenarios": {}, "mutations": {}, "baseline": {}, "fuzz": {}, "endurance": {}}
    kinds |= {"month": {}, "postgresql": {}, "cell": {}}
    return kinds | (json.loads(KEPT.read_text()) if KEPT.exists() else {})


def _take(kept: Result, name: str, result: Result) -> None:
    if "mutation" in result:
        kept["mutations"][result["mutation"]] = compact(result)
        return
    if "scenario" in result:
        kind, _ = ENGINES[result["engine"]]
        kept[kind][result["scenario"]] = compact(result)
    for key, kind in (
        ("baseline", "baseline"),
        ("target", "fuzz"),
        ("minutes", "endurance"),
        ("days", "month"),
    ):
        if key in result:
            kept[kind][name.removeprefix("baseline-").removeprefix("fuzz-")] = compact(result)


def compact(result: Result) -> Result:
    """Without what is long; how much the processes grew stays, as their largest slopes."""
    found = {key: value for key, value in result.items() if key not in DROPPED}
    if isinstance(found.get("verdict"), dict):
        processes = found["verdict"].get("processes", {})
        found["verdict"] = {k: v for k, v in found["verdict"].items() if k not in DROPPED}
        found["grew"] = _grew(processes)
    if "minutes" in result:
        found["processes"] = result.get("processes", {})
    return found


def _grew(processes: Result) -> Result:
    """Of the process that lived longest among the collectors, and among the agents."""
    found: Result = {}
    for role in ("collector", "agent"):
        lives = [
            one
            for name, one in processes.items()
            if (name.split("/")[0] == "collector") == (role == "collector")
        ]
        if lives:
            found[role] = max(lives, key=lambda one: int(one["seconds"]))
    return found


def page() -> str:
    """The whole page."""
    kept = load()
    head = HEAD.replace("$CODES", _codes(kept)).replace("$SHORT", _short(kept))
    parts = [head, *(_scenarios(kept, engine) for engine in ENGINES)]
    table = without_acks(kept)
    parts += [
        f"\n## Time without acks when the machine that writes ends\n\n{table}" if table else ""
    ]
    parts += [_memory(kept, engine) for engine in ENGINES]
    parts += [_mutations(kept), _baseline(kept)]
    parts += [_fuzz(kept), _endurance(kept), _month(kept), NOT_COVERED]
    return "".join(parts)


def _short(kept: Result) -> str:
    """Tried, held, not covered: half a page, whose figures are those of the results."""
    done = [one for kind, _ in ENGINES.values() for one in kept[kind].values()]
    cycles = sum(one["cycles"] for one in done)
    verdicts = [one["verdict"] for one in done if one["verdict"]]
    engines = (
        f"{len(kept[kind])} of {len(played(engine))} scenarios were played on {title}"
        for engine, (kind, title) in ENGINES.items()
    )
    samples = sum(one.get("generated", 0) for one in verdicts)
    caught = [one["caught"] for one in kept["mutations"].values()]
    return SHORT.format(
        played=len(done),
        engines=", ".join(engines),
        cycles=f"{cycles:,}",
        samples=f"{samples:,}",
        good=sum(one["ok"] for one in done),
        counts=", ".join(f"{sum(one.get(n, 0) for one in verdicts):,} {n}" for n in COUNTS),
        caught=sum(caught),
        mutations=len(caught),
        readers=len(kept["fuzz"]),
        crashes=sum(len(one["crashes"]) for one in kept["fuzz"].values()),
    )


def _codes(kept: Result) -> str:
    """In words, whether all scenarios and mutations were of one code."""
    kinds = (*(kind for kind, _ in ENGINES.values()), "mutations")
    of_all = [one for kind in kinds for one in kept[kind].values()]
    codes = sorted({one.get("tested", "-") for one in of_all})
    if len(codes) == 1:
        return f"All scenarios and mutations here are of `{codes[0]}`"
    return f"The lines here are of {len(codes)} different codes"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = _rows(head, rows)
    return f"\n## {title}\n\n{lines}" if lines else ""


def _rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Empty where there are none."""
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    rule = "|" + "---|" * len(head)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *lines]) + "\n" if lines else ""


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _scenarios(kept: Result, engine: str) -> str:
    kind, title = ENGINES[engine]
    done: Result = kept[kind]
    head = ["scenario", "rows", "what it does", "length", "seed", "cycles", "samples", "seconds"]
    head += [*COUNTS, "acks", "drain s", "bound", "good", "code", "again"]
    text = (
        _table(
            f"Scenarios on {title}",
            head,
            (_scenario(name, engine, done[name]) for name in SCENARIOS if name in done),
        )
        or f"\n## Scenarios on {title}\n"
    )
    red = [f"- `{name}`: {_first(done[name])}\n" for name in done if not done[name]["ok"]]
    if red:
        text += "\nRed when it was last played:\n\n" + "".join(red)
    missing = [name for name in played(engine) if name not in done]
    if missing:
        text += "\nWithout a result:\n\n" + "".join(f"- `{name}`\n" for name in missing)
    return text + _elsewhere(engine)


def _elsewhere(engine: str) -> str:
    """What is not played on this engine, by reason."""
    if engine == "cell":
        return "\nAll other scenarios have one server, or none.\n"
    names: dict[str, list[str]] = {}
    for (name, other), reason in ELSEWHERE.items():
        if other == engine:
            names.setdefault(reason, []).append(f"`{name}`")
    lines = [f"- {reason}: {', '.join(found)}\n" for reason, found in names.items()]
    return "\nNot played on this engine:\n\n" + "".join(lines)


def _scenario(name: str, engine: str, result: Result) -> Sequence[object]:
    scenario, figures, verdict = SCENARIOS[name], result["figures"], result["verdict"] or {}
    return (
        f"`{name}`",
        scenario.row,
        scenario.what,
        result["length"],
        str(result["seed"]),
        result["cycles"],
        verdict.get("generated", figures.get("taken")),
        result["seconds"],
        *(verdict.get(one, figures.get(one)) for one in COUNTS),
        verdict.get("acks"),
        figures.get("drain_s"),
        result["bound_95"],
        result["ok"],
        _code(result),
        f"`--{result['length']}{'' if engine == 'sqlite' else f' --engine {engine}'}"
        f" --only {name} --seed {result['seed']}`",
    )


def without_acks(kept: Result) -> str:
    """How long routers waited for another machine."""
    rows = [
        (f"`{name}`", kind, len(took), min(took), round(median(took), 1), max(took), _code(result))
        for name, result in kept["cell"].items()
        for kind, took in sorted(result["figures"].get("without_acks_s", {}).items())
    ]
    head = ("scenario", "killed", "times", "shortest s", "median s", "longest s", "code")
    return _rows(head, rows)


def from_a_distance(kept: Result) -> str:
    """How long each thing took that a fleet was asked."""
    result = kept["scenarios"].get("from-a-distance")
    if result is None:
        return ""
    figures = result["figures"]
    checks = [figures[key] for key in figures if key.startswith("check_")]
    rows = [
        ("one setting is applied by all", figures["set_s"]),
        ("a check of one router is answered, the longest of two", max(checks)),
        ("all trust a next authority", figures["knows_next_s"]),
        ("the key is lost, and all have a certificate of the next", figures["moved_s"]),
        ("all have forgotten the authority before", figures["forgot_s"]),
        ("a version that gets no ack halts at its canaries", figures["halted_s"]),
        ("a good version runs on all, in waves of 30 %", figures["upgraded_s"]),
    ]
    tried = (
        f"{figures['routers']:,} routers, {result['cycles']} faults, {figures['taken']:,} samples: "
        f"{figures['lost']} lost. Code {_code(result)}.\n\n"
    )
    return tried + _rows(("what", "seconds"), rows)


def _code(result: Result | None) -> str:
    """Which code it was: results of other code are old ones."""
    return f"`{result['tested']}`" if result else ""


def _first(result: Result) -> str:
    """The last line of what is wrong: of a traceback, the error."""
    return str((result["wrong"] or ["?"])[0]).strip().splitlines()[-1][:200]


def _memory(kept: Result, engine: str) -> str:
    kind, title = ENGINES[engine]
    rows = [
        (
            f"`{name}`",
            role,
            one["seconds"],
            *one["rss_bytes"],
            _pair(one["fds"]),
            _pair(one["threads"]),
        )
        for name, result in sorted(kept[kind].items())
        for role, one in sorted(result.get("grew", {}).items())
    ]
    head = ("scenario", "process", "seconds", "RSS first", "RSS last", "descriptors", "threads")
    return _table(f"Memory of the processes that lived longest, {title}", head, rows)


def _pair(values: Sequence[int]) -> str:
    return " to ".join(map(str, values))


def _mutations(kept: Result) -> str:
    done: Result = kept["mutations"]
    rows = [
        (
            f"`{name}`",
            one.what,
            f"`{one.scenario}`",
            *_caught(done.get(name)),
            _code(done.get(name)),
        )
        for name, one in MUTATIONS.items()
    ]
    head = ("mutation", "what is broken", "scenario", "caught", "what the checker found", "code")
    text = _table("Broken on purpose", head, rows)
    return text + (
        "\nA scratch copy of the code is broken in one place, and the scenario is played there.\n"
        "`python -m tests.faults mutate --only NAME --results DIR` repeats one.\n"
    )


def _caught(result: Result | None) -> Sequence[object]:
    if result is None:
        return (None, None)
    # Of what a command printed, whose lines have `;` between them, the first says enough.
    lines = (one.strip().splitlines()[-1].partition(";")[0] for one in result["wrong"])
    return (result["caught"], "; ".join(lines))


def _baseline(kept: Result) -> str:
    rows = []
    for _, result in sorted(kept["baseline"].items()):
        beside = "; ".join(_beside(kept, one) for one in result["scenarios"])
        lost = f"{result['lost']:,} of {result['acknowledged']:,}"
        rows.append((result["what"], lost, beside, _code(result)))
    if not rows:
        return ""
    head = ("fault", "mosquitto and paho: lost, of acknowledged", "Titik: lost, of taken", "code")
    versions = next(iter(kept["baseline"].values()))
    return _table("The same faults without Titik", head, rows) + (
        f"\nmosquitto {versions['mosquitto']} with Debian's configuration, paho-mqtt"
        f" {versions['paho']}, QoS 1, every message\nacknowledged before the fault. Against the"
        " broker's death its queue has no limit, so that only the\ndeath counts."
        " `python -m tests.faults baseline --results DIR` measures it again.\n"
    )


def _beside(kept: Result, scenario: str) -> str:
    result = kept["scenarios"].get(scenario)
    if result is None or not result["verdict"]:
        return f"`{scenario}`: -"
    verdict = result["verdict"]
    return f"`{scenario}`: {verdict['lost']:,} of {verdict['generated']:,}"


def _fuzz(kept: Result) -> str:
    rows = [
        (
            f"`{one['target']}`", one.get("engine"), one.get("seconds"), one.get("executions"),
            len(one["crashes"]), one.get("corpus"), str(one.get("seed", "")),
        )
        for _, one in sorted(kept["fuzz"].items())
    ]  # fmt: skip
    head = ("reader", "engine", "seconds", "inputs", "crashes", "corpus", "seed")
    return _table("Fuzzing", head, rows)


def _endurance(kept: Result) -> str:
    text = ""
    for _, result in sorted(kept["endurance"].items()):
        verdict = result.get("verdict") or {}
        text += _table(
            f"Endurance: {result['minutes']:g} minutes of real time",
            ("agents", "faults", "samples", *COUNTS, "database", "predicted", "good"),
            [
                (
                    result["agents"], result["faults"], result["samples"],
                    *(verdict.get(one) for one in COUNTS),
                    result.get("database_bytes"), result.get("database_predicted_bytes"),
                    not result["wrong"],
                )
            ],
        )  # fmt: skip
        text += _table(
            "Processes in that time",
            ("process", "seconds", "RSS first", "RSS last", "growth an hour", "fds", "threads"),
            [
                (
                    name, one["seconds"], *one["rss_bytes"],
                    f"{one['rss_slope_ratio_per_hour']:.2%}", _pair(one["fds"]),
                    _pair(one["threads"]),
                )
                for name, one in sorted(result["processes"].items())
            ],
        )  # fmt: skip
        text += PROCESSES
    return text


def _month(kept: Result) -> str:
    text = ""
    for _, result in sorted(kept["month"].items()):
        grew = result["growth_ratio_per_day"]
        text += _table(
            f"The store after {result['days']} simulated days",
            ("samples", "database", "predicted", "growth a day", "memory a day", "good"),
            [
                (
                    result["samples"], result["database_bytes"],
                    result["database_predicted_bytes"], f"{grew['database']:.2%}",
                    f"{grew['memory']:.2%}", not result["wrong"],
                )
            ],
        )  # fmt: skip
    return text
