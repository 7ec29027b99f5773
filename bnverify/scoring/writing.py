"""The score as files: JSON, and Markdown made from the same data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bnverify.errors import UsageError
from bnverify.report.markdown import table
from bnverify.scoring.matrix import reasons
from bnverify.scoring.score import SCHEMA, Score, problems

TEXT = """\
# Score

bnverify's own suite, run on every seeded fault and on right code. Written by

    {command}

and never edited by hand{part}. A fault counts as caught when a property that names it fails; the run of a fault stops there,
and the seconds are those from its first call. They depend on the machine and on what else runs on it.

- bnverify {version}, profile {profile}, seed {seed}, {environment}
- **{caught} of {here} faults caught**{unavailable}, in {median} s in the median
- **{refused} of {right} right variants refused**
- {seconds:.0f} s without the matrix, with {workers} worker processes, which took {processor:.0f} s of the processor

## By family

A fault that stands for reports of several families counts in each of them.

{families}

## Missed or not tried

{missed}

## Right code

{variants}

## Removed

{removed}

### Mutations that never were faults

Rules make mutations of every statement; those below are proved to be the right program, or another mutation.

{excluded}

## Faults

{faults}
"""
DEPTH = 3
SHOWN = 8
"""So many properties are named in a row of the matrix; the JSON file names all."""
MATRIX = """
## Who catches what

Every property on every fault, for as many cases as at quick, and at ci where one that names the fault saw nothing so;
{seconds:.0f} s. A property that compiles runs only on the faults that it names. *Alone*: faults that no other property
catches; *few*: faults that at most three others catch, with one of them.

{properties}

### Redundant properties

{redundant}

### By fault

{rows}
"""


def faults_before(path: Path | None) -> tuple[str, ...]:
    """Return the faults of the score that is at a place now; none where there is no file yet.

    Raises:
        UsageError: the file holds something else.
    """
    if path is None or not path.exists():
        return ()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UsageError(f"{path}: is there already and holds no score; choose another place")
    return (*(str(fault["fault"]) for fault in found["faults"]), *found["gone"])


def write_json(score: Score, path: Path) -> None:
    """Write the score as JSON, a line for each fault, variant and property."""
    _ = path.write_text(as_json(score.as_data()), encoding="utf-8")


def as_json(data: Mapping[str, Any]) -> str:
    """Return the data of a score as text."""
    return _lines(data, DEPTH) + "\n"


def _lines(value: Any, depth: int, indent: str = "") -> str:
    """Return a value as JSON whose outer levels have a line for each entry."""
    further = indent + " "
    if not depth or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, list):
        inner = [_lines(entry, depth - 2, further) for entry in value]
    else:
        inner = [f"{json.dumps(str(k))}: {_lines(entry, depth - 1, further)}" for k, entry in value.items()]
    left, right = "[]" if isinstance(value, list) else "{}"
    return left + "".join(f"\n{further}{line}," for line in inner)[:-1] + f"\n{indent}{right}"


def write_markdown(score: Score, path: Path) -> None:
    """Write the score as Markdown."""
    _ = path.write_text(markdown(score.as_data()), encoding="utf-8")


def markdown(data: Mapping[str, Any]) -> str:
    """Return the score as Markdown."""
    total, faults = data["total"], data["faults"]
    text = TEXT.format(
        command=_command(data),
        part=f"; here a part of it ran, {data['part']}" if data["part"] else "",
        version=data["version"],
        profile=data["profile"],
        seed=data["seed"],
        environment=", ".join(f"{k} {v}" for k, v in data["environment"].items()),
        caught=total["caught"],
        here=total["faults"] - total["unavailable"],
        unavailable=f", {total['unavailable']} not tried" if total["unavailable"] else "",
        median=_seconds(total["median_seconds"]),
        refused=sum(bool(v["alarms"]) for v in data["variants"]),
        right=len(data["variants"]),
        seconds=data["seconds"],
        workers=data["workers"],
        processor=data["processor_seconds"],
        families=table(("family", "faults", "caught", "median s", "total s"), _families(data)),
        missed=_list(list(problems(data)), "None."),
        variants=table(("variant", "passed", "unsupported", "false alarms", "undecided", "s"), _variants(data)),
        removed=_list([f"`{n}`: {proof}" for n, proof in data["removed"].items()], "No fault has been removed."),
        excluded=_list([f"`{n}` is {_equal(of)}" for n, of in data["excluded"].items()], "There are none."),
        faults=table(("fault", "family", "reports", "caught by", "s"), map(_fault, faults)),
    )
    return text + ("" if data["matrix"] is None else _matrix(data["matrix"]))


def _command(data: Mapping[str, Any]) -> str:
    matrix = "" if data["matrix"] is None else " --matrix"
    options = f"--profile {data['profile']} --seed {data['seed']}{matrix}"
    return f"bnverify grade --self {options} --json docs/score.json --markdown docs/score.md"


def _families(data: Mapping[str, Any]) -> list[list[str]]:
    found = [*data["families"].items(), ("all", data["total"])]
    return [[name, str(t["faults"]), str(t["caught"]), *_times(t)] for name, t in found]


def _times(tally: Mapping[str, Any]) -> tuple[str, str]:
    return _seconds(tally["median_seconds"]), f"{tally['total_seconds']:.1f}"


def _variants(data: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            right["variant"],
            str(right["passed"]),
            str(right["unsupported"]),
            ", ".join(a["property"] or a["message"] for a in right["alarms"]),
            ", ".join(right["undecided"]),
            f"{right['seconds']:.0f}",
        ]
        for right in data["variants"]
    ]


def _fault(fault: Mapping[str, Any]) -> list[str]:
    by = fault.get("property") or fault["status"]
    name, families = f"`{fault['fault']}`: {fault['meaning']}", ", ".join(fault["families"])
    return [name, families, ", ".join(fault["rows"]), by, f"{fault['seconds']:.2f}"]


def _matrix(matrix: Mapping[str, Any]) -> str:
    properties = matrix["properties"]
    return MATRIX.format(
        seconds=matrix["seconds"],
        properties=table(
            ("property", "applies to", "catches", "alone", "few", "for instance"),
            [
                [name, str(p["applied"]), str(p["catches"]), str(p["alone"]), str(len(p["with_few"])), _instance(p)]
                for name, p in properties.items()
            ],
        ),
        redundant=_list(
            [f"`{n}`: {reasons().get(n, 'no reason is given')}" for n, p in properties.items() if not p["with_few"]],
            "None.",
        ),
        rows=table(
            ("fault", "properties that catch it", "their names"),
            [[name, str(len(_catching(row))), _few(_catching(row))] for name, row in matrix["faults"].items()],
        ),
    )


def _catching(row: Mapping[str, Any]) -> list[str]:
    """Return who catches a fault, or why that is not known."""
    lost = [f"no answer: {row['message']}"] if "message" in row else []
    return [*row["failed"], *(f"{name} (errored)" for name in row.get("errored", [])), *lost]


def _equal(name: str) -> str:
    return name if " " in name else f"`{name}`"


def _few(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _instance(needed: Mapping[str, Any]) -> str:
    return next((f"{fault} ({n} others)" for fault, n in needed["with_few"].items()), "")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _list(lines: Sequence[str], none: str) -> str:
    return "\n".join(f"- {line}" for line in lines) or none
