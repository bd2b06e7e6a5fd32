"""Makes `models/ground.json`: the ranking of the files that a draft is about, with its calibration and threshold.

The calibration is fitted on scores by rankings that had not seen a task's repository.
"""

import argparse
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.ground.ranking import FILE
from bench.data import localization, localization_fit


def main() -> None:
    """Fit on the given splits, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with localize.py and its tasks")
    parser.add_argument(
        "--repositories", type=Path, required=True, help="the folder of the tasks' repositories"
    )
    parser.add_argument("--splits", nargs="+", default=["train", "dev"])
    parser.add_argument("--cache", type=Path, help="a folder where the features are kept")
    parser.add_argument("--to", type=Path, default=files.shipped() / FILE)
    options = parser.parse_args()
    every = localization.tasks(options.data, options.repositories, options.cache).given
    tasks = [task for task in every if task.split in options.splits]
    scores = localization_fit.left_out(tasks)
    model = localization_fit.calibrated(localization_fit.fit_scores(tasks), tasks, scores)
    repositories = len({task.repo for task in tasks})
    text = f"{len(tasks)} tasks of {repositories} repositories ({', '.join(options.splits)})"
    options.to.write_bytes(msgspec.json.encode(msgspec.structs.replace(model, fitted_on=text)) + b"\n")
    print(f"{options.to}: {text}, threshold {model.threshold}")


if __name__ == "__main__":
    main()
