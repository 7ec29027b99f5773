"""Each committed result of an experiment as a plot beside this file, drawn by the experiment itself.

``--smoke`` measures one experiment in its reduced size and draws that into an empty folder instead.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib

from bnverify.claims.experiment import Experiment, Measured, experiments
from bnverify.claims.measuring import committed, committed_names, measure, measured_in

matplotlib.use("Agg")

from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
SIZE = (8.0, 4.8)
DOTS = 110
SMOKE = "outside_gradient"


def draw(experiment: Experiment, measured: Measured, folder: Path) -> Path | None:
    """Draw an outcome into a file of its name; return the file, None where the experiment draws nothing."""
    if experiment.draw is None:
        return None
    figure = Figure(figsize=SIZE, dpi=DOTS, layout="constrained")
    experiment.draw(measured, figure)
    path = folder / f"{experiment.name}.png"
    figure.savefig(path, metadata={"Software": None})
    return path


def smoke(folder: Path) -> Path | None:
    """Measure one experiment in reduced size and draw it."""
    (path,) = measure([SMOKE], folder, smoke=True)
    held = json.loads(path.read_text(encoding="utf-8"))
    return draw(experiments()[SMOKE], measured_in(held), folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw what is asked for and print the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="experiments; none: every committed result")
    parser.add_argument("--smoke", action="store_true", help="one experiment in reduced size, into an empty folder")
    chosen = parser.parse_args(arguments)
    if chosen.smoke:
        with tempfile.TemporaryDirectory() as place:
            print(smoke(Path(place)))
        return
    known = experiments()
    for name in chosen.names or committed_names():
        print(draw(known[name], committed(name).measured, HERE))


if __name__ == "__main__":
    main()
