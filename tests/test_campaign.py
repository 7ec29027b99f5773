"""Right code passes every drawn case, whatever its algorithm; the full campaign runs by ``pytest -m campaign -s``.

BNVERIFY_CAMPAIGN_CASES changes the number of cases a dtype, BNVERIFY_CAMPAIGN_SEED the seed. Only a campaign of the full
size writes docs/campaign.md; a smaller one prints its report.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from campaign.drawing import draw
from campaign.running import DTYPES, Tallies, everything, run, together
from campaign.variants import COMPILED, subject
from campaign.writing import markdown, share

from bnverify.case import Case

DOCUMENT = Path(__file__).parent.parent / "docs" / "campaign.md"
FULL = 100_000
JUDGED = 0.9
"""The least share of cases that have to be judged by the bound or the known answer, in every dtype."""


def wrong(tallies: Tallies) -> list[str]:
    return [str(failure) for tally in tallies.values() for failure in tally.failures]


def test_three_hundred_cases_a_dtype_pass_and_are_judged() -> None:
    uncompiled = [name for name in everything() if name not in COMPILED]
    tallies = run(300, 1, uncompiled, lambda _: None, processes=1)
    assert wrong(tallies) == []
    for dtype in DTYPES:
        total = together(tallies, dtype)
        assert total.cases == 300
        assert share(total) >= JUDGED, f"{dtype}: {share(total):.1%} judged"


def test_a_case_is_the_same_whenever_its_number_is_drawn() -> None:
    def texts() -> list[Case]:
        return [draw(subject("two-pass"), "float32", 5, index) for index in range(20)]

    assert [repr(case) for case in texts()] == [repr(case) for case in texts()]


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_the_campaign_finds_no_fault_in_right_code() -> None:
    cases = int(os.environ.get("BNVERIFY_CAMPAIGN_CASES", FULL))
    seed = int(os.environ.get("BNVERIFY_CAMPAIGN_SEED", "20"))
    started = time.perf_counter()
    tallies = run(cases, seed, everything(), say)
    text = markdown(tallies, seed, time.perf_counter() - started)
    say(text)
    assert wrong(tallies) == []
    for dtype in DTYPES:
        total = together(tallies, dtype)
        assert total.cases == cases
        assert share(total) >= JUDGED, f"{dtype}: {share(total):.1%} judged"
    if cases >= FULL:
        _ = DOCUMENT.write_text(text, encoding="utf-8")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
