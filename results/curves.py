"""The loss and error of several runs, epoch by epoch, in one picture."""

from results import figures
from training.run import read_log


def curves(options, out):
    """evaluate.py curves: print each run's lowest validation error and draw curves.png in `out`."""
    runs = {str(run): read_log(run) for run in options.runs}
    out.mkdir(parents=True, exist_ok=True)
    figures.draw_curves_together(runs, out / "curves.png")
    for run, rows in runs.items():
        lowest = min(rows, key=lambda row: row["val_top1"])
        print(f"{run}: {len(rows)} epochs, lowest validation error {lowest['val_top1']:.2%} in epoch "
              f"{lowest['epoch']:.0f}")
    print(f"drawn: {out}/curves.png")
