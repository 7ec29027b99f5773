"""Judge one case of a campaign again: ``cd tests; python -m campaign VARIANT PRECISION SEED INDEX``."""

from __future__ import annotations

import sys

import torch

from campaign.drawing import draw
from campaign.judging import judge
from campaign.variants import PLAIN, subject


def main() -> int:
    """Print the case and its verdict; return 1 unless it passed."""
    variant, precision, seed, index = sys.argv[1:]
    torch.set_num_threads(1)
    under = subject(variant)
    drawn = draw(under, precision, int(seed), int(index), plain=variant in PLAIN)
    verdict = judge(under, *drawn)
    sys.stdout.write(f"{drawn.case!r}\n{drawn.layouts}\n{verdict}\n")
    return verdict.status != "passed"


if __name__ == "__main__":
    sys.exit(main())
