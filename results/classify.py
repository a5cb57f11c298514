"""The likeliest classes of photographs, or of images from a data set, with bars (Figure 4, left)."""

from pathlib import Path

import numpy as np

from results import figures
from results.errors import images_for
from results.photos import photographs
from results.trained import title
from training.errors import expect


def classify(net, options, out):
    """evaluate.py classify: print each image's likeliest classes and draw classified.png in `out` → the exit status."""
    expect(options.top >= 1, f"--top must be at least 1, got {options.top}")
    names, images, shown, truths, broken = examples(net, options)
    answers = []
    for name, image, square, truth in zip(names, images, shown, truths):
        answer = likeliest(net, image, options.top, options.views)
        print(name + (f": {title(truth)}" if truth else ""))
        for label, p in zip(answer["names"], answer["probabilities"]):
            print(f"  {p:6.1%}  {'█' * round(30 * p):30}  {label}")
        answers.append(answer | dict(image=square, truth=truth and title(truth), title=name))
    note = (f"Images as the net takes them, the central square, and the {options.top} likeliest of its {len(net.classes)} "
            f"classes: {net.name}, " + ("mean of ten views." if options.views == 10 else "one view."))
    out.mkdir(parents=True, exist_ok=True)
    figures.draw_classified(answers[:24], out / "classified.png", note)
    print(f"drawn: {out}/classified.png" + (f", the first 24 of {len(answers)}" if len(answers) > 24 else ""))
    return 1 if broken else 0


def examples(net, options):
    """(names, images as the net takes them, images to show, their classes or None, how many could not be read): the
    photographs in options.photos or, if there are none, some images of the split."""
    if options.photos:
        found, broken = photographs(options.photos, net)
        names, prepared, shown = zip(*found)
        return [Path(name).name for name in names], np.stack(prepared), shown, [None] * len(names), broken
    expect(options.count >= 1, f"--count must be at least 1, got {options.count}")
    pictures, split = images_for(net, options.data, options.split)
    rng = np.random.default_rng(options.seed)
    chosen = np.sort(rng.choice(len(split.labels), min(len(split.labels), options.count), replace=False))
    truths = [pictures.classes[label] for label in split.labels[chosen]]
    return [f"{options.split} image {i}" for i in chosen], split.images[chosen], split.images[chosen], truths, 0


def likeliest(net, image, top, views=1):
    """dict(names, probabilities) of the `top` likeliest classes of an image, for figures.py."""
    names, probabilities = zip(*net.likeliest(net.predict(image[None], views)[0], top))
    return dict(names=names, probabilities=probabilities)
