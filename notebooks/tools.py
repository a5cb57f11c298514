"""Shared by the chapters: figures, the project's source, exercises that check answers, fair timing.

    import tools                                    # from here on `nn`, `alexnet` and `data` can be imported
    from tools import check, photo, show, show_source, timed

This module contains no AlexNet code.
"""

import inspect
import io
import statistics
import sys
import textwrap
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, Markdown, display
from PIL import Image as Pictures

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))               # a chapter runs in notebooks/: the project lies one folder up
sys.path += [str(ROOT / "notebooks"), str(ROOT / "benchmarks")]     # full_runs and benchmarks, from the blank edition too

# Okabe and Ito's colours, told apart by the colour-blind; lines and markers differ as well, for paper without colour.
BLACK, ORANGE, BLUE, GREEN, PURPLE = "#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7"
plt.rcParams.update({
    "figure.figsize": (7.2, 3.2), "figure.constrained_layout.use": True, "figure.dpi": 100,
    "font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10, "legend.fontsize": 9, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False, "grid.alpha": 0.3,
    "lines.linewidth": 1.6, "lines.markersize": 5, "image.cmap": "gray", "image.interpolation": "nearest",
    "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, BLACK, GREEN, PURPLE])
    + plt.cycler(linestyle=["-", "--", ":", "-.", "-"]) + plt.cycler(marker=["o", "s", "^", "v", "D"])})

np.set_printoptions(precision=4, suppress=True, linewidth=110)


def show(figure, caption, dpi=150):
    """Show a figure with its caption under it, the same bytes on every run (of the same numbers). The caption, in
    Markdown, is also what a reader who cannot see the picture gets. dpi: 100 for photographs, which 150 makes heavy."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    plt.close(figure)
    plain = caption.replace("*", "").replace("`", "").replace("$", "").replace("\\", "")
    width = round(figure.get_figwidth() * 100)
    display(Image(file.getvalue(), format="png", width=width, metadata={"alt": plain}))
    display(Markdown(caption))


def show_source(thing, first="", stop=None):
    """Show the project's source of a function, class or method: as it is now, so that no copy can grow old.
    Of a long one, a part: from the line that contains `first` to the one before the next that contains `stop`."""
    thing = inspect.unwrap(thing)
    path = Path(inspect.getsourcefile(thing)).resolve().relative_to(ROOT)
    lines = inspect.getsource(thing).splitlines()
    start = next(n for n, line in enumerate(lines) if first in line)
    end = next((n for n, line in enumerate(lines) if n > start and stop and stop in line), len(lines))
    source = textwrap.dedent("\n".join(lines[start:end])).rstrip()
    display(Markdown(f"`{path.as_posix()}`:\n\n```python\n{source}\n```"))


def photo(name, side=None):
    """One of datasets/photos: (H, W, 3) float64 from 0 to 1, and its credit as text. side: cut the centre square out
    and scale it to side×side pixels."""
    picture = Pictures.open(ROOT / "datasets" / "photos" / f"{name}.jpg").convert("RGB")
    if side:
        least = min(picture.size)
        left, top = (picture.width - least) // 2, (picture.height - least) // 2
        picture = picture.crop((left, top, left + least, top + least)).resize((side, side), Pictures.Resampling.BICUBIC)
    lines = (ROOT / "datasets" / "photos" / "CREDITS.md").read_text(encoding="utf-8").splitlines()
    credit, = (line.strip("| ").split(" | ")[1:3] for line in lines if line.startswith(f"| {name}.jpg"))
    return np.asarray(picture) / 255.0, f"Photograph: {credit[0]}; {credit[1]}."


def timed(*functions, rounds=5):
    """Median seconds of each function, called in turn `rounds` times after one call that does not count: in turn,
    so that whatever else the machine does meanwhile is shared out fairly."""
    seconds = [[] for _ in functions]
    for round_ in range(rounds + 1):
        for function, own in zip(functions, seconds):
            start = time.perf_counter()
            function()
            if round_:
                own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in seconds]


class NotYet(AssertionError):
    """An exercise's answer is not right: one sentence, without a traceback."""

    def _render_traceback_(self):
        return [f"Not yet: {self}"]


def called(function):
    """function(), where any error of the answer becomes one sentence."""
    try:
        return function()
    except NotYet:
        raise
    except Exception as error:
        said = str(error) or "no message"
        raise NotYet(said if isinstance(error, AssertionError) else f"your code raises {type(error).__name__}: {said}") from None


def check(answer, expected, mistakes=(), tolerance=None):
    """Say that an answer is right, or raise NotYet with a sentence that says what is wrong. The sentence does not
    contain the right answer.

    answer: a number, an array or a list of them, or a function without arguments that returns one. What such a
        function raises becomes a sentence too.
    mistakes: pairs (a wrong answer, what was probably done to get it), tried before the general remarks.
    tolerance: relative to the largest number expected. Default: 0 if only whole numbers are expected, else 1e-6.
    """
    answer = called(answer) if callable(answer) else answer
    if any(part is None or part is Ellipsis for part in (answer if isinstance(answer, (list, tuple)) else [answer])):
        raise NotYet("no answer: replace the ... in the cell above, and return a value")
    try:
        found, wanted = np.asarray(answer, float), np.asarray(expected, float)
    except (TypeError, ValueError):
        raise NotYet(f"a number or an array is expected, got {type(answer).__name__}") from None
    if tolerance is None:
        tolerance = 0 if np.asarray(expected).dtype.kind in "iub" else 1e-6

    def near(a, b):
        return a.shape == b.shape and np.all(np.abs(a - b) <= tolerance * max(np.abs(b).max(initial=0), 1e-300))

    if not near(found, wanted):
        for wrong, remark in mistakes:
            if near(found, np.asarray(wrong, float)):
                raise NotYet(remark)
        if found.shape != wanted.shape:
            raise NotYet(f"the shape is {found.shape}, expected {wanted.shape}")
        if not np.isfinite(found).all():
            raise NotYet(f"{np.sum(~np.isfinite(found))} of {found.size} numbers are not finite")
        if found.ndim == 0:
            raise NotYet(f"{found:.10g} is not the number")
        index = np.unravel_index(np.abs(found - wanted).argmax(), found.shape)
        places = ", ".join(map(str, index))
        part = np.mean(np.abs(found - wanted) > tolerance * np.abs(wanted).max())
        raise NotYet(f"{part:.0%} of the entries are wrong; the worst is [{places}], here {found[index]:.6g}")
    print("Right.")


def check_gradients(make, x, forward=None):
    """Say that the layer that make() returns has a right backward pass, or raise NotYet. x: its input, or a list of
    several. forward: what the layer has to compute, as function of (layer, x)."""
    from nn import check_layer

    def worst():
        errors = []
        for one in x if isinstance(x, list) else [x]:
            layer = make()
            if forward is not None and not np.allclose(layer.forward(one)[0], forward(layer, one)):
                raise NotYet("forward does not compute the formula any more")
            answer = layer.backward(np.ones_like(layer.forward(one)[0]), layer.forward(one)[1])
            if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict)):
                raise NotYet("backward must return dx and a dictionary of the parameters' gradients")
            if answer[1].keys() != layer.params.keys():
                raise NotYet(f"the dictionary must have the keys of params: {sorted(layer.params)}")
            errors.append(check_layer(layer, one))
        return max(errors)

    print(f"Right: largest relative error {called(worst):.0e}.")


def sentence(trial):
    """What the trial says when it fails; None when it passes."""
    try:
        trial()
    except NotYet:
        raise
    except AssertionError as error:
        return str(error)


def court(trial, honest, suspect, forbidden=lambda layer: False):
    """[does the project's layer pass?, does the suspect?] as 1 and 0, each under another name (chapter 16). forbidden:
    which layers of the project's the trial may not compare with."""
    class Guarded(honest):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            if forbidden(self):
                raise NotYet("compare with the formula, not with the project's own layer")

    own, trial.__globals__[honest.__name__] = trial.__globals__[honest.__name__], Guarded
    try:
        return [int(sentence(lambda kind=kind: trial(type("Layer", (kind,), {}))) is None)
                for kind in (honest, suspect)]
    finally:
        trial.__globals__[honest.__name__] = own


VERDICTS = [([1, 1], "the suspect is acquitted: your trial does not see its bug"),
            ([0, 0], "the project's layer is convicted, too: your trial asks for what is not so"),
            ([0, 1], "only the project's layer is convicted: is a comparison the wrong way round?")]
