"""Plant bugs, and see that the tests find them.

    python tests/mutants.py             all of them (about two minutes on two cores)
    python tests/mutants.py pool        those whose name has "pool" in it

Each is one change to one file, of a kind that has been made in real programs, and the test that must fail for it. The
change is made in a copy of the project. Exit status 1 if a bug escapes, or if its text is no longer there to change.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS, NETWORK, LEARNING, TRAIN, DATA = (f"tests/test_{name}.py" for name in ("layers", "network", "learning", "train",
                                                                              "data"))

MUTANTS = [     # name, file, text, its replacement, the test that must fail
    ("conv: stride ignored going right", "nn/conv.py", "(down * stride, image, right * stride, down, right, channel)",
     "(down * stride, image, right, down, right, channel)", f"{LAYERS}::test_conv_is_the_seven_loops"),
    ("conv: kernels not turned for the input's gradient", "nn/conv.py", "W[::-1, ::-1].reshape", "W.reshape",
     f"{LAYERS}::test_gradients"),
    ("conv: turned, but C and K of a group exchanged wrongly", "nn/conv.py", "transpose(0, 1, 4, 3, 2)",
     "transpose(0, 1, 4, 2, 3)", f"{LAYERS}::test_gradients"),
    ("conv: groups read each other's channels", "nn/conv.py", "for rows, columns in im2col(x[..., g * c:(g + 1) * c], R, "
     "S, stride):\n            kernels", "for rows, columns in im2col(x[..., (groups - 1 - g) * c:(groups - g) * c], R, S, "
     "stride):\n            kernels", f"{LAYERS}::test_conv_is_the_seven_loops"),
    ("conv: padding on the wrong side", "nn/conv.py", "padded[before:before + H, :, before:before + W]",
     "padded[after:after + H, :, after:after + W]", f"{LAYERS}::test_conv_padding_is_zeros_around_the_image"),
    ("conv: the input's gradient forgets the stride", "nn/conv.py", "self.size - 1 - self.before, self.stride)",
     "self.size - 1 - self.before, 1)", f"{LAYERS}::test_gradients"),
    ("relu: written into its input", "nn/activation.py", "np.maximum(x, x.dtype.type(0))",
     "np.maximum(x, x.dtype.type(0), out=x)", f"{LAYERS}::test_inputs_are_never_written_to"),
    ("relu: gradient written into dy", "nn/activation.py", "return dy * (y > 0), {}",
     "dy *= y > 0\n        return dy, {}", f"{LAYERS}::test_inputs_are_never_written_to"),
    ("lrn: four maps instead of five", "nn/lrn.py", "near = abs(i[:, None] - i) <= self.size // 2",
     "near = (abs(i[:, None] - i) <= self.size // 2) & (i[:, None] - i > -(self.size // 2))",
     f"{LAYERS}::test_norm_is_the_papers_formula"),
    ("lrn: the gradient lacks its factor 2", "nn/lrn.py", "-2 * self.alpha * self.beta", "-self.alpha * self.beta",
     f"{LAYERS}::test_gradients"),
    ("lrn: alpha divided by the size", "nn/lrn.py", "self.window_sum(x * x, self.alpha)",
     "self.window_sum(x * x, self.alpha / self.size)", f"{LAYERS}::test_norm_is_the_papers_formula"),
    ("lrn: windows cross the groups", "nn/lrn.py", "(near & same)", "near", f"{LAYERS}::test_norm_is_the_papers_formula"),
    ("pool: the gradient assigned, not added", "nn/pool.py", "place += dy * (winner == number)",
     "np.copyto(place, dy, where=winner == number)", f"{LAYERS}::test_pool_one_pixel_can_win_four_windows"),
    ("pool: the last of equal values wins", "nn/pool.py", "(place > y)", "(place >= y)",
     f"{LAYERS}::test_pool_first_of_equal_values_gets_the_gradient_once"),
    ("dropout: left on at test time", "nn/dropout.py", "if not train:", "if False:",
     f"{LAYERS}::test_dropout"),
    ("dropout: no × 0.5 at test time", "nn/dropout.py", "x * x.dtype.type(scale)", "x * x.dtype.type(1)",
     f"{LAYERS}::test_dropout"),
    ("dropout: both towers draw the first one's mask", "nn/dropout.py", "keep[..., t * F:(t + 1) * F]", "keep[..., :F]",
     f"{NETWORK}::test_two_towers_are_one_grouped_tower"),
    ("loss: not divided by N", "nn/loss.py", "        d /= len(d)\n", "", f"{LAYERS}::test_loss_gradient"),
    ("loss: overflows", "nn/loss.py", "z = logits - logits.max(1, keepdims=True)", "z = logits + 0",
     f"{LAYERS}::test_loss_is_stable"),
    ("network: an exchange forgotten", "nn/network.py", "for s, x in xs.items()], axis=-1)",
     "for s, x in [(t, xs[t])] * len(xs)], axis=-1)", f"{NETWORK}::test_two_towers_are_one_grouped_tower"),
    ("network: only one receiver's gradient comes back", "nn/network.py", "sum(own[1:], start=own[0])", "own[0]",
     f"{NETWORK}::test_two_towers_are_one_grouped_tower"),
    ("network: a piece's gradient replaces the others'", "nn/network.py", "total[name] += gradient",
     "total[name] = gradient", f"{NETWORK}::test_pieces_and_threads_change_nothing"),
    ("sgd: decay taken from the velocity", "nn/optim.py", "change = w * real(decay)", "change = v * real(decay)",
     f"{LEARNING}::test_the_update_rule_of_section_5"),
    ("sgd: the rate outside the velocity", "nn/optim.py", "            w += v\n",
     "            w += v * real(rate / 0.1)\n", f"{LEARNING}::test_the_update_rule_of_section_5"),
    ("sgd: biases decay too", "nn/optim.py", '"b": bias_decay}', '"b": weight_decay}',
     f"{LEARNING}::test_the_update_rule_of_section_5"),
    ("plateau: drops a fourth time", "nn/optim.py", "if dropped <= drops else None", "if dropped <= drops + 1 else None",
     f"{LEARNING}::test_plateau"),
    ("checkpoint: written in place", "nn/checkpoint.py", 'temporary = f"{path}.tmp"', "temporary = path",
     f"{LEARNING}::test_a_write_that_fails_leaves_the_old_checkpoint"),
    ("checkpoint: pickles are run", "nn/checkpoint.py", "np.load(path, allow_pickle=False)",
     "np.load(path, allow_pickle=True)", f"{LEARNING}::test_files_that_are_no_checkpoint"),
    ("train: the velocity is not resumed", "train.py", '        sgd.load(arrays["velocity"])\n', "",
     f"{TRAIN}::test_killed_at_any_point_it_resumes_to_the_same_bits"),
    ("train: resumed at the start of the epoch", "train.py", 'options.seed, epoch, batch,', 'options.seed, epoch, 0,',
     f"{TRAIN}::test_killed_at_any_point_it_resumes_to_the_same_bits"),
    ("data: the mean is not aligned with the crop", "data.py", "np.subtract(images[i][crop], mean[crop], out=view)",
     "np.subtract(images[i][crop], mean[:side, :side], out=view)", f"{DATA}::test_mean_is_cut_where_the_image_is"),
    ("data: validation images stay in the training set", "data.py", "for part in (held, ~held))",
     "for part in (held, held | ~held))", DATA)]


def attempt(mutant):
    """→ (name, verdict): 'caught', or what went wrong."""
    name, file, old, new, test = mutant
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "runs", "docs", "__pycache__"))
        text = (copy / file).read_text()
        if text.count(old) != 1:
            return name, f"CANNOT BE PLANTED: its text is {text.count(old)} times in {file}"
        (copy / file).write_text(text.replace(old, new))
        result = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test], cwd=copy,
                                capture_output=True, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    verdicts = {0: f"ESCAPED {test}", 1: "caught"}
    return name, verdicts.get(result.returncode, f"{test} DID NOT RUN:\n{result.stdout}{result.stderr}")


def main():
    chosen = [mutant for mutant in MUTANTS if all(word in mutant[0] for word in sys.argv[1:])]
    with ThreadPoolExecutor(2) as pool:
        results = []
        for name, verdict in pool.map(attempt, chosen):
            print(f"{name:60} {verdict}", flush=True)
            results.append(verdict == "caught")
    print(f"{sum(results)} of {len(results)} caught")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
