"""The time of a training step of the small net, compared with the first edition of this program.

    python benchmarks/small_step.py                     batches of 64, all cores
    python benchmarks/small_step.py --threads 1 --against COMMIT

The first edition comes from the repository's history, so this needs a clone with its history, and git. Each edition runs
in a process of its own. They alternate, so background load affects both alike. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are
unset for both. Printed: medians in milliseconds, and the median of the rounds' ratios.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIRST = "f9377232f0fbc62b8d41d156546b69f2b7b2ec79"     # the last commit of the first edition
STEPS = 25                                              # of a round

WORKER = """
import statistics, sys, time
import numpy as np
from alexnet import SmallAlexNet
from nn import SGD
net = SmallAlexNet(10, (28, 28, 1), threads=int(sys.argv[1]))
sgd, rng, step = SGD(net), np.random.default_rng(0), 0
images = rng.standard_normal((int(sys.argv[2]), 28, 28, 1)).astype(np.float32)
labels = rng.integers(0, 10, len(images))
for line in sys.stdin:
    seconds = []
    for _ in range(int(line)):
        start = time.perf_counter()
        loss, gradients = net.loss_and_gradients(images, labels, step)
        sgd.step(gradients, 0.01)
        seconds.append(time.perf_counter() - start)
        step += 1
    print(statistics.median(seconds), flush=True)
"""


class Edition:
    """The program in `folder`, running in a process of its own."""

    def __init__(self, folder, threads, batch):
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        self.seconds = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(threads), str(batch)], cwd=folder, env=environment | {"PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self):
        """A round: the median time of a step, in seconds."""
        self.process.stdin.write(f"{STEPS}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return float(line) if line else sys.exit("small_step.py: one of the editions ended; its error stands above")


def unpack(commit, folder):
    """Write the files of a commit into `folder`."""
    try:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        sys.exit(f"small_step.py: found no commit {commit[:12]}: use git and a clone of the whole history "
                 "(git fetch --unshallow), or name another commit with --against")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
                        else os.cpu_count(), help="of each edition (default: one per core)")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--against", metavar="COMMIT", default=FIRST, help="default: the first edition")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        unpack(args.against, folder)
        ours, first = editions = [Edition(place, args.threads, args.batch) for place in (ROOT, folder)]
        for number in range(args.rounds + 1):                   # the first round warms up
            for edition in editions[::1 if number % 2 else -1]:
                edition.seconds.append(edition.run())
        for edition in editions:
            edition.process.stdin.close()
            edition.process.wait()
    ratio = statistics.median(a / b for a, b in zip(ours.seconds[1:], first.seconds[1:]))
    for name, edition in ("here", ours), (args.against[:8], first):
        print(f"{name:8} {statistics.median(edition.seconds[1:]) * 1e3:8.1f} ms a step of {args.batch}, {args.threads} thread(s)")
    print(f"here / {args.against[:8]}: {ratio:.2f}, the median of {args.rounds} rounds")


if __name__ == "__main__":
    main()
