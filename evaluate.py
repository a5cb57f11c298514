"""Evaluate trained nets (paper § 6).

    python evaluate.py RUN_OR_WEIGHTS … [--data …]      error rates; several named together are an ensemble
    python evaluate.py classify [PHOTO …]               the five likeliest classes, with bars (Figure 4, left)
    python evaluate.py filters                          the first layer's kernels, tower by tower (Figure 3)
    python evaluate.py activations PHOTO                every layer's output for a photograph
    python evaluate.py neighbours [PHOTO …]             the nearest training images, by features and by pixels (Figure 4)
    python evaluate.py curves RUN RUN …                 the loss and error of several runs in one picture
    python evaluate.py export RUN FILE                  FILE.onnx or FILE.safetensors, for other programs

RUN_OR_WEIGHTS, and --weights of the others (default: the newest run in runs/), is a run's folder or a file: a best.npz,
or published or fine-tuned weights (.onnx, .caffemodel, .pth, .safetensors, .npy: see interop/), told by their contents. PHOTO
is an image, a folder of images, or - for an image from standard input. Pictures and tables go to the folder --out (default
evaluation/). Files of weights do not name their classes: --classes FILE does.

An image is a top-k error if its label is not among the k classes with the largest probabilities (§ 6).
Ties count as errors, so a net that gives all classes the same probability counts as wrong on every image. Ten views are
the four corners, the centre and their mirror images; their probabilities are averaged after the softmax (§ 4.1), and so
are those of an ensemble's members.

From Python: results.load(RUN_OR_WEIGHTS).classify(PHOTO); see results/.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("evaluate.py needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": run it with a newer one")

import argparse
import os
from pathlib import Path

import data
import interop
from nn import CheckpointError
from nn.run.device import use_tf32
from results import load
from results.classify import classify
from results.curves import curves
from results.errors import errors
from results.layers import activations, filters
from results.neighbours import neighbours
from training.errors import UserError, expect, in_words
from training.run import newest
from training.terminal import any_terminal


def export(net, options, out):
    """evaluate.py export: write options.file."""
    interop.export(net, options.file)
    print(f"{options.file}: {Path(options.file).stat().st_size:,} bytes, {len(net.classes)} classes; it takes images of "
          f"{net.size}×{net.size} pixels, as its metadata says")


def make_parser():
    """→ (the parser, {name: its parser} of the commands)."""
    parser = argparse.ArgumentParser(prog="evaluate.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(function, name, text):
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(function=function)
        one.add_argument("--out", default="evaluation", metavar="FOLDER", help="folder for pictures and tables (default: "
                         "evaluation)")
        return one.add_argument

    def net(add, weights=True):
        if weights:
            add("--weights", metavar="RUN_OR_WEIGHTS", help="the net (default: the newest run in runs/)")
        add("--classes", metavar="FILE", help="names of the net's classes: one a line in the order of its outputs, or JSON, "
            "a list or {\"0\": name} (default: those in the file; ImageNet's if it has 1000; else numbers)")
        add("--mean", metavar="FILE", help="Caffe's mean image, subtracted instead of the net's own: imagenet_mean.binaryproto "
            "or ilsvrc_2012_mean.npy")
        add("--threads", type=int, help="CPU threads (default: one per core)")
        add("--device", default="cpu", help="cpu (default), cuda, cuda:0 or cuda:0,cuda:1, as in train.py")
        add("--tf32", action=argparse.BooleanOptionalAction, default=False, help="on GPUs: products on the tensor cores, as in "
            "train.py (default: no)")
        add("--batch-size", type=int, default=128, metavar="N", help="images at a time (default: 128)")

    def images(add):
        add("--data", help="fashion-mnist, cifar10, an .npz file or a folder with train/CLASS/* and val/CLASS/* "
            "(default: the data that the net was trained on)")
        add("--split", default="test", choices=("test", "validation", "train"), help="which of its images (default: test)")

    def photos(add, what):
        add("photos", nargs="*", metavar="PHOTO", help=f"images {what}: files, folders of them, - for one from standard "
            "input (default: some of --split)")
        add("--count", type=int, default=8, metavar="N", help="images taken from --split (default: 8)")
        add("--seed", type=int, default=0, help="their choice follows from it (default: 0)")

    add = command(errors, "errors", "top-1 and top-5 error with one view and with ten, of each net and of all together")
    add("weights", nargs="+", metavar="RUN_OR_WEIGHTS")
    images(add)
    net(add, weights=False)

    add = command(classify, "classify", "the likeliest classes of photographs, with bars")
    photos(add, "to classify")
    images(add)
    add("--views", type=int, choices=(1, 10), default=10, help="views averaged (§ 4.1; default: 10)")
    add("--top", type=int, default=5, metavar="K", help="classes shown (default: 5)")
    net(add)

    add = command(filters, "filters", "the kernels of the first layer, tower by tower")
    add("weights", nargs="?", metavar="RUN_OR_WEIGHTS", help="the net (default: the newest run in runs/)")
    net(add, weights=False)

    add = command(activations, "activations", "every layer's output for a photograph")
    add("photos", nargs=1, metavar="PHOTO", help="an image, or - for one from standard input")
    net(add)

    add = command(neighbours, "neighbours", "the nearest training images, by features and by pixels")
    photos(add, "to find neighbours of")
    images(add)
    net(add)

    add = command(curves, "curves", "the loss and error of several runs in one picture")
    add("runs", nargs="+", metavar="RUN")

    add = command(export, "export", "write a net for other programs: ONNX, or safetensors with PyTorch's names")
    add("weights", metavar="RUN_OR_WEIGHTS")
    add("file", metavar="FILE", help="its name ends in .onnx or .safetensors")
    net(add, weights=False)
    return parser, commands.choices


def run(options):
    """Run a command with its options → the exit status."""
    out = Path(options.out)
    if options.function is not curves:
        use_tf32(options.tf32, options.device)
    if options.function in (errors, curves):                # they load several nets, or none
        return options.function(options, out)
    net = load(options.weights or newest(), options.threads, options.device, options.classes, options.mean)
    return options.function(net, options, out)


def main(arguments=None):
    """Evaluate with a list of command-line arguments (default: the program's own) → the exit status: 0, 1 after an error
    (also if some photographs could not be read), 130 after Ctrl-C."""
    with any_terminal():
        return guarded(sys.argv[1:] if arguments is None else list(arguments))


def guarded(arguments):
    """The exit status of a command line; an error that a user can fix is a sentence on standard error."""
    parser, commands = make_parser()
    if arguments and arguments[0] not in commands and arguments[0] not in ("-h", "--help"):
        arguments = ["errors", *arguments]                  # the command that needs no name
    if not arguments:
        parser.print_help()
        return 1
    options = parser.parse_args(arguments)
    try:
        for name, most in ("batch_size", 1 << 20), ("threads", 1024), ("count", 1 << 30), ("top", 1 << 30):
            value = getattr(options, name, None)
            expect(value is None or 1 <= value <= most, f"--{name.replace('_', '-')} must be from 1 to {most}, got {value}")
        expect(getattr(options, "seed", 0) >= 0, f"--seed must be at least 0, got {getattr(options, 'seed', 0)}")
        return run(options) or 0
    except BrokenPipeError:                                 # evaluate.py … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (UserError, data.DataError, CheckpointError, OSError, ValueError, MemoryError) as error:
        print(f"evaluate.py: {in_words(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("evaluate.py: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
