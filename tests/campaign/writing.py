"""The campaign's report, as Markdown."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

from bnverify.report.markdown import table
from campaign.running import DTYPES, PROCESSES, Tallies, Tally, together, worst
from campaign.variants import COMPILED, PLAIN

PACKAGES = ("bnverify", "numpy", "torch", "python-flint", "ml_dtypes")
TEXT = """\
# A campaign on right code

Every drawn case is given to one right variant, and everything that it returns is compared with the exact answer within
the derived bound: y, dx, dgamma, dbeta and the new statistics in training; y, dx, dgamma and dbeta in inference, as far as
the variant offers them. x and dy lie in memory in any of the ways of bnverify.memory. Right code has to pass, whatever
its algorithm. Written by `python -m pytest -m campaign -s tests/test_campaign.py`, which takes {minutes:.0f} minutes here.

- seed {seed}, {date}
- {machine}, {processes} processes of one thread each
- {versions}

A case counts as *judged* when the bound is valid for every value of every output. Where it is not, a value only has to be
finite; and where right code of pure float16 may overflow on the way, or the answer itself is near overflow, nothing is asked
of it (see bnverify/reach.py). Known answers are cases whose right outputs are short numbers: of these the last column tells
how many outputs are right in every bit. Half data are drawn beside float32 parameters (mixed) in two cases of three, beside
half ones (pure) in the third. The processor's time of a case holds drawing, oracle, bound and variant; the compiled one is
left out.

{summary}

## By variant

Cases, and the largest error as a part of its bound.

{table}

## What is left out

Campaigns with x and dy in every layout found two faults of the CPU kernel of PyTorch 2.13, which tests/test_campaign.py
shows. So that right code remains, {plain} get contiguous x and dy.

- dx is wrong, by as much as dx itself, for a single sample with a last axis of length 1 where one of x and dy is transposed
  in memory and the other contiguous: x from `torch.randn(1, H, C).transpose(1, 2).unsqueeze(-1)`, of shape (1, C, H, 1).
- dbeta of bfloat16 data beside float32 parameters is a float32 number rounded to bfloat16, an error of up to 2⁻⁹ of it,
  where x or dy is not contiguous; float16 is right.
"""


def markdown(tallies: Tallies, seed: int, seconds: float) -> str:
    """Return the report."""
    return TEXT.format(
        minutes=seconds / 60,
        seed=seed,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        processes=PROCESSES,
        versions=", ".join(["Python " + platform.python_version(), *(f"{p} {version(p)}" for p in PACKAGES)]),
        summary=table(_SUMMARY, [_line(dtype, tallies) for dtype in DTYPES]),
        plain=", ".join(PLAIN),
        table=table(("variant", *DTYPES), _rows(tallies)),
    )


_SUMMARY = (
    "dtype",
    "cases",
    "failed",
    "errored",
    "judged cases",
    "judged values",
    "worst error/bound",
    "of",
    "known, exact",
    "ms a case",
)


def _line(dtype: str, tallies: Tallies) -> list[str]:
    total, (variant, _) = together(tallies, dtype), worst(tallies, dtype)
    timed = together(tallies, dtype, without=COMPILED)
    return [
        dtype,
        f"{total.cases:,}",
        f"{total.count('failed')}",
        f"{total.count('errored')}",
        f"{share(total):.1%}",
        f"{total.judged / max(1, total.judged + total.beyond):.1%}",
        f"{total.ratio:.2f}",
        f"{variant} ({total.worst})",
        f"{total.exact / max(1, total.known):.1%}",
        f"{1000 * timed.seconds / max(1, timed.cases):.1f}",
    ]


def share(tally: Tally) -> float:
    """Return the share of cases that were judged in every value."""
    return tally.whole / max(1, tally.cases)


def _rows(tallies: Tallies) -> list[list[str]]:
    variants = dict.fromkeys(variant for _, variant in tallies)
    return [[v, *(_cell(tallies.get((d, v))) for d in DTYPES)] for v in variants]


def _cell(tally: Tally | None) -> str:
    return "" if tally is None or not tally.cases else f"{tally.cases:,}: {tally.ratio:.2f}"


def _processor() -> str:
    """Return the processor's name as the system tells it."""
    found = Path("/proc/cpuinfo")
    lines = found.read_text(encoding="utf-8").splitlines() if found.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
