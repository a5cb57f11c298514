"""The speed of preparing images and making batches, compared with torchvision and with a training step.

    python benchmarks/loader.py                         on 512 photographs of 500×375 made from datasets/photos
    python benchmarks/loader.py --data ILSVRC2012/      on JPEG folders of your own (the first 2048 training images)

decoding    one core: the short side to 256 and the centre 256×256 (§ 2), ours and the obvious loop (open, convert,
            resize, crop) with Pillow's filters: BICUBIC is its default, BILINEAR is ours and torchvision's
batches     of 128 augmented 224×224 views (crop, mirror, colour noise, mean image), from prepared shards, raw and JPEG,
            and from JPEG folders; by threads (what data.batches does) and by processes that write into shared memory;
            torchvision's ImageFolder and DataLoader with the same crops, mirrors and normalisation (without the colour
            noise, which it lacks) and as many workers
waiting     a training step of the full net with batches from raw shards: how long it waits for data, and how much
            longer a step takes than with a batch in memory

Contestants alternate, so background load affects all of them alike. Printed: medians and
ratios of medians. Without torchvision (see requirements/bench.txt) its line is left out, and the output says so.
"""

import argparse
import io
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import data
from imaging import sources
from imaging.decode import decode
from imaging.images import Files
from imaging.items import read
from imaging.prepare import prepare_folder

SIDE, BATCH = 224, 128


def photographs(folder, count):
    """Folders of JPEG files, of ImageNet's most frequent size, cut at random from the project's photographs."""
    rng = np.random.default_rng(0)
    photos = [Image.open(path).convert("RGB") for path in sorted((ROOT / "datasets" / "photos").glob("*.jpg"))]
    for i in range(count):
        photo = photos[i % len(photos)]
        left, top = (int(rng.integers(0, side // 4)) for side in photo.size)
        path = folder / "train" / f"class{i % len(photos)}" / f"{i:05}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        box = left, top, left + 3 * photo.width // 4, top + 3 * photo.height // 4
        photo.resize((500, 375), box=box).save(path, quality=92)
    for c, photo in enumerate(photos):
        path = folder / "val" / f"class{c}" / "0.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
    return folder


def obvious(raw, resampling):
    image = Image.open(io.BytesIO(raw)).convert("RGB")
    factor = 256 / min(image.size)
    image = image.resize((round(image.width * factor), round(image.height * factor)), resampling)
    left, top = (image.width - 256) // 2, (image.height - 256) // 2
    return np.asarray(image.crop((left, top, left + 256, top + 256)))


# The contestants: each a function that goes through `count` batches --------------------------------------------------

def drain(batches, count):
    for _ in range(count):
        if next(batches, None) is None:
            raise SystemExit("too few images for this benchmark: give more")


def ours(split, mean, colour, workers):
    epochs = iter(range(10**9))

    def run(count):
        with data.batches(split, BATCH, SIDE, mean, 0, next(epochs), colour=colour, workers=workers) as source:
            drain(source, count)
    return run


def fill(name, split, mean, colour, epoch, index):
    """What a process does: one batch, into shared memory."""
    memory = shared_memory.SharedMemory(name)
    views = np.ndarray((BATCH, SIDE, SIDE, 3), np.float32, memory.buf)
    data.random_views(split.images, index, SIDE, mean, 0, epoch, colour=colour, out=views)
    del views
    memory.close()


class Processes:
    """data.batches by processes: batches in `workers` + 1 blocks of shared memory, used again and again."""

    def __init__(self, split, mean, colour, workers):
        self.arguments, self.workers = (split, mean, colour), workers
        self.pool = multiprocessing.get_context("spawn").Pool(workers)
        size = BATCH * SIDE * SIDE * 3 * 4
        self.blocks = [shared_memory.SharedMemory(create=True, size=size) for _ in range(workers + 1)]
        self.epochs = iter(range(10**9))

    def __call__(self, count):
        epoch, split = next(self.epochs), self.arguments[0]
        order = data.order(len(split.labels), 0, epoch)

        def start(number):
            return self.pool.apply_async(fill, (self.blocks[number % len(self.blocks)].name, *self.arguments, epoch,
                                                order[number * BATCH:(number + 1) * BATCH]))
        running = [start(number) for number in range(min(count, self.workers + 1))]
        for number in range(count):
            running[number].get()
            if len(running) < count:
                running.append(start(len(running)))

    def close(self):
        self.pool.terminate()
        self.pool.join()
        for block in self.blocks:
            block.close()
            block.unlink()


def torchvision_loader(folder, workers):
    import torch
    from torchvision import datasets, transforms
    torch.set_num_threads(1)
    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(256), transforms.RandomCrop(SIDE),
                                transforms.RandomHorizontalFlip(), transforms.ToTensor(),
                                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    images = datasets.ImageFolder(str(folder / "train"), steps)
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, num_workers=workers, drop_last=True,
                                         persistent_workers=workers > 0)

    def run(count):
        source = iter(loader)
        drain(source, count)
        for _ in source:                                    # persistent workers would go on with the rest
            pass
    return run, len(images) // BATCH


# The tables ----------------------------------------------------------------------------------------------------------

def turns(contestants, rounds):
    """{name: seconds of each round}, after a round to warm up."""
    seconds = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def print_rates(title, images, seconds, beside):
    print(f"\n{title:54} {'images/s':>9} {'of ' + beside:>28}")
    reference = statistics.median(seconds[beside])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"  {name:52} {images / median:9,.0f} {reference / median:28.2f}")


def decoding(raws, rounds):
    contestants = {"ours": lambda: [decode(raw, 256) for raw in raws]}
    for name in "BILINEAR", "BICUBIC", "LANCZOS":
        contestants[f"obvious, {name}"] = lambda kind=Image.Resampling[name]: [obvious(raw, kind) for raw in raws]
    print_rates("decoding, one core", len(raws), turns(contestants, rounds), "obvious, BICUBIC")


def waiting(split, mean, colour, workers, steps):
    from alexnet import AlexNet
    from nn import SGD

    network = AlexNet(1000, threads=os.cpu_count())
    sgd = SGD(network)
    again = np.tile(np.arange(len(split.labels)), -(-(steps + 1) * BATCH // len(split.labels)))
    split = data.Split(split.images.part(again), split.labels[again])
    ready = next(data.batches(split, BATCH, SIDE, mean, 0, 0, colour=colour, workers=0))
    spent = {"ready": [], "made": [], "waited": []}
    source = data.batches(split, BATCH, SIDE, mean, 0, 0, colour=colour, workers=workers)
    for step in range(2 * steps + 2):                       # the first two warm up
        began = time.perf_counter()
        images, labels = ready if step % 2 else next(source)
        waited = time.perf_counter() - began
        loss, gradients = network.loss_and_gradients(images, labels, step)
        sgd.step(gradients, 1e-5)
        spent["ready" if step % 2 else "made"].append(time.perf_counter() - began)
        if not step % 2:
            spent["waited"].append(waited)
    source.close()
    made, ready, waited = (statistics.median(spent[name][1:]) for name in ("made", "ready", "waited"))
    print(f"\na training step of the full net, batch {BATCH}, {os.cpu_count()} threads, {workers} workers: {made:.2f} "
          f"s, of which {waited / made:.2%} waiting for data;\nwith a batch in memory {ready:.2f} s: ratio "
          f"{made / ready:.3f}")
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with train/CLASS/*.JPEG (default: made)")
    parser.add_argument("--images", type=int, default=512, help="how many (default: 512; of --data at most 2048)")
    parser.add_argument("--workers", type=int, default=2, help="threads or processes (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--steps", type=int, default=6, help="training steps to look at; 0: none (default: 6)")
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, Pillow {Image.__version__}, {os.cpu_count()} "
          "cores")

    with tempfile.TemporaryDirectory() as scratch:
        folder = options.data or photographs(Path(scratch, "jpegs"), max(options.images, 2 * BATCH))
        items = list(sources.find(folder).train())[:2048 if options.data else None]
        decoding([read(item) for item in items[:128]], options.rounds)

        began = time.perf_counter()
        prepare_folder(folder, Path(scratch, "raw"), workers=options.workers)
        seconds = time.perf_counter() - began
        print(f"\nprepared {len(items):,} images with {options.workers} processes: {len(items) / seconds:,.0f} "
              "images/s, start and end included")
        prepare_folder(folder, Path(scratch, "jpeg"), jpeg=90, workers=options.workers)
        raw, jpeg = (data.load(Path(scratch, name), holdout=0).train for name in ("raw", "jpeg"))
        files = data.Split(Files(items, 256), raw.labels[:len(items)])
        mean, colour = data.mean_image(raw.images), data.colour_noise(raw.images)
        count = min(8, len(raw.labels) // BATCH)

        processes = Processes(raw, mean, colour, options.workers)
        contestants = {"raw shards, made by the caller": ours(raw, mean, colour, 0),
                       f"raw shards, {options.workers} threads": ours(raw, mean, colour, options.workers),
                       f"raw shards, {options.workers} processes, shared memory": processes,
                       f"JPEG shards, {options.workers} threads": ours(jpeg, mean, colour, options.workers),
                       f"JPEG folders, {options.workers} threads": ours(files, mean, colour, options.workers)}
        beside = f"JPEG folders, {options.workers} threads"
        try:
            run, available = torchvision_loader(folder, options.workers)
            beside = f"JPEG folders, torchvision, {options.workers} workers"
            count = min(count, available)
            contestants[beside] = run
            if available > count:
                print("torchvision goes through all of its images: its line would be too slow; give fewer --images")
        except (ImportError, RuntimeError) as error:
            print(f"torchvision is not at hand ({error}): its line is left out")
        seconds = turns({name: lambda run=run: run(count) for name, run in contestants.items()}, options.rounds)
        processes.close()
        print_rates(f"{count} batches of {BATCH}", count * BATCH, seconds, beside)
        if options.steps:
            step = waiting(raw, mean, colour, options.workers, options.steps)
            for name, times in seconds.items():
                median = statistics.median(times) / count
                print(f"  {name:52} a batch in {median:6.3f} s, {median / step:6.1%} of a step")


if __name__ == "__main__":
    main()
