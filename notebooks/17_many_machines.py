# %% [markdown]
# # 17 Many machines
#
# **What the paper says.** Training took five to six days on two cards (§ 1). Each card holds a tower, half of the kernels, and the cards exchange maps
# in a few layers (§ 3.2). The authors expect better results from faster GPUs and more data. Two years later Krizhevsky went on from two cards to eight
# with another scheme ("One weird trick for parallelizing convolutional neural networks", 2014).
#
# **The question.** How can $P$ processes, on one machine or on many, share a training step and compute what one process would compute? What must they
# send each other, how long does that take, and how much of it can be hidden? And is a batch of 1,024 images just a larger batch?
#
# You need chapters [07](07_two_gpus.ipynb) and [11](11_learning.ipynb). About one and a half hours with the exercises. All chapters:
# [README](README.md).

# %%
import importlib.util
import json
import os
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np

import tools
from tools import BLACK, BLUE, ORANGE, check, show, show_source
from alexnet import AlexNet, SmallAlexNet
import scaling
from full_runs import results
from nn.optim import warm_up
rng = np.random.default_rng(17)

# %% [markdown]
# ## A picture first
#
# A process of such a group is called a *rank*. Three ways to share the net among four ranks: each takes a part of the images (*data parallel*), or a
# part of the neurons (the paper's towers), or a part of the images in the convolutions and a part of the neurons in the fully connected layers (2014).

# %% tags=["figure"]
figure, axes = plt.subplots(1, 3, figsize=(7.4, 2.5), sharey=True)
ways = {"data parallel": (1, 1), "towers × data parallel": (0.5, 0.5), "2014": (1, 0.25)}
for axis, (name, widths) in zip(axes, ways.items()):
    for rank in range(4):
        for y, width in (1, widths[0]), (0, widths[1]):
            axis.add_patch(plt.Rectangle((1.15 * rank, y), 1, 0.8, fc="1", ec="0.6", lw=0.8, ls=":"))
            axis.add_patch(plt.Rectangle((1.15 * rank + rank % (1 / width) * width, y), width, 0.8, fc=BLUE if y else ORANGE, ec=BLACK, hatch="" if y else "///"))
        axis.text(1.15 * rank + 0.5, -0.28, str(rank), ha="center", fontsize=8)
    if "towers" in name:
        for pair in (0, 2):
            axis.plot([1.15 * pair, 1.15 * pair, 1.15 * pair + 2.15, 1.15 * pair + 2.15], [1.9, 2, 2, 1.9], color=BLACK, ls="-", marker="", lw=1)
    axis.set(xlim=(-0.1, 4.6), ylim=(-0.45, 2.1), title=name)
    axis.axis("off")
axes[0].text(-0.15, 1.4, "convo-\nlutions", ha="right", va="center", fontsize=9)
axes[0].text(-0.15, 0.4, "fully\nconnected", ha="right", va="center", fontsize=9)
axes[0].text(-0.15, -0.28, "rank", ha="right", fontsize=8)
show(figure, "**Figure 17.1.** Which part of the weights each of four ranks holds (filled; the dotted box is the whole). A rank that holds all weights of a "
             "layer needs only its own images, and must add up gradients. A rank that holds some of the neurons needs the maps of every image that it shares "
             "with others: of its pair's images (brackets), or of all (2014).")

# %% [markdown]
# ## The gradient of a batch is a sum
#
# The loss of a batch is a mean over its $N$ images. Let rank $r$ take $N_r$ of them, and call its own mean loss $L_r$. Then
#
# $$L = \frac{1}{N} \sum_{i=1}^{N} \ell_i = \sum_{r=0}^{P-1} \frac{N_r}{N}\, L_r, \qquad
# \frac{\partial L}{\partial w} = \sum_{r=0}^{P-1} \frac{N_r}{N}\, \frac{\partial L_r}{\partial w} .$$
#
# So each rank computes the gradient of its part, and one sum over the ranks gives all of them the gradient of the whole batch. Then all make the same
# update and keep the same weights, which never have to be sent. Two things can go wrong. Where $P$ does not divide $N$, the plain mean of the ranks'
# gradients is not the mean over images. And dropout must mask image $i$ of the batch as one process does: here a mask follows from (seed, step, layer,
# place in the batch), so a rank need only know the `place` of its first image.
#
# Ten images on three ranks, which we compute one after the other in 64 bits. **Expect** $10^{-12}$ or less for the sum, and a large error for each of
# the two mistakes.

# %%
net = SmallAlexNet(threads=1)
for tower in net.towers:
    for layer in tower.values():
        layer.params.update({key: w.astype(np.float64) for key, w in layer.params.items()})
images, labels = rng.standard_normal((10, 28, 28, 1)), rng.integers(0, 10, 10)

def gradients_of(part, first):
    """Gradients of the mean loss of some of the images; first: the place that dropout takes."""
    net.place = first
    return net.join(net.loss_and_gradients(images[part], labels[part], step=5)[1])

def apart(a, b):
    return max(np.abs(a[name] - b[name]).max() / np.abs(b[name]).max() for name in b)

parts = [slice(10 * r // 3, 10 * (r + 1) // 3) for r in range(3)]               # 3, 3 and 4 images
counts = [part.stop - part.start for part in parts]
whole = gradients_of(slice(0, 10), 0)
own = [gradients_of(part, part.start) for part in parts]
forgetful = [gradients_of(part, 0) for part in parts]                       # all begin at image 0
cases = {"weighted by images": (own, counts), "mean of the ranks": (own, [1, 1, 1]),
         "masks as of image 0": (forgetful, counts)}
errors = {}
for case, (given, shares) in cases.items():
    total = {key: sum(n * g[key] for n, g in zip(shares, given)) / sum(shares) for key in whole}
    errors[case] = apart(total, whole)
    print(f"{case:20} {errors[case]:.0e}")

# %% [markdown]
# ## A sum that all ranks get
#
# Sending all gradients to rank 0, which adds them up and sends the sum back, would make rank 0's connection carry $2(P-1)$ times the gradients. A ring
# does better. Cut the $m$ numbers into $P$ pieces. In each of $P - 1$ turns every rank sends one piece to its right neighbour, which adds its own: then
# each rank has one piece of the finished sum. In $P - 1$ more turns the finished pieces go round. **Expect** the sum on all ranks, and $2\,m\,(P-1)/P$
# numbers sent by each: hardly more for 8 ranks than for 4.

# %%
def ring_sum(arrays):
    """→ the sum as each rank has it, and how many numbers a rank has sent."""
    P = len(arrays)
    pieces, sent = [np.array_split(array.copy(), P) for array in arrays], 0
    for turn in range(2 * (P - 1)):
        for rank in range(P):                                   # at the same time on a real ring
            i, right = (rank - turn) % P, pieces[(rank + 1) % P]
            right[i][:] = pieces[rank][i] + (right[i] if turn < P - 1 else 0)   # add, then pass on
        sent += len(pieces[0][0])
    return [np.concatenate(own) for own in pieces], sent

ring_errors, ring_sent = {}, {}
for P in (2, 4, 8):
    arrays = rng.standard_normal((P, 8000))
    summed, ring_sent[P] = ring_sum(arrays)
    ring_errors[P] = max(np.abs(one - arrays.sum(0)).max() for one in summed)
    print(f"P = {P}: error {ring_errors[P]:.0e}, each rank sends {ring_sent[P]:,} numbers of 8,000")

# %% [markdown]
# The program does not do this itself. It calls `Iallreduce` of MPI (the message passing interface of supercomputers since 1994), which chooses a way
# for the message's size and the network.
#
# ## The order, to the last bit
#
# In floating point $(a + b) + c \neq a + (b + c)$. So a sum over ranks depends on the order of its terms. We take the gradients of four ranks in 32
# bits, and add them one after another, in pairs, and on the ring. **Expect** other last bits in about a fifth of the numbers, and nowhere an error
# above some $10^{-7}$ of the largest.

# %%
four = [np.float32(0.25) * g["fc6.W"].astype(np.float32).ravel()
        for g in (gradients_of(slice(k, k + 2), k) for k in range(0, 8, 2))]
first = ((four[0] + four[1]) + four[2]) + four[3]
orders = {"one by one": first, "in pairs": (four[0] + four[1]) + (four[2] + four[3]),
          "on the ring": ring_sum(four)[0][0]}
exact, last_bits, roundings = sum(g.astype(np.float64) for g in four), {}, {}
for name, total in orders.items():
    last_bits[name] = np.mean((total != first)[exact != 0])
    roundings[name] = np.abs(total - exact).max() / np.abs(exact).max()
    print(f"{name:11} other than one by one: {last_bits[name]:4.0%}; error {roundings[name]:.0e}")

# %% [markdown]
# None of these is more right than the others. But training amplifies a last bit: on two processors that add in different orders, an earlier version of
# the default run ended with errors of 11.90 and 12.20 % ([results](../docs/results.md)), like two seeds. So the *same* number of ranks usually gives the
# same bits again, if MPI adds in the same order, and *another* number agrees within rounding. On a ring, note, each piece begins at another rank: even the
# numbers of one array are added in different orders.
#
# ## Two ranks, now
#
# `tests/on_ranks.py` trains a small net for 20 steps in 64 bits and prints its losses. Where MPI is installed (`pip install -r requirements/mpi.txt`),
# the next cell starts it with two and with three ranks; else it takes what the same commands printed before ([results](results/README.md)). **Expect**
# the same losses from one, two and three ranks to 12 digits, and other last bits.

# %%
command = [sys.executable, str(tools.ROOT / "tests" / "on_ranks.py"), "float64", "10", "20"]
mpiexec = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or shutil.which("mpiexec")
alone = {key: value for key, value in os.environ.items() if not key.startswith(("PMI_", "OMPI_"))}

def losses_of(ranks):
    start = [mpiexec, "-n", str(ranks)] if ranks > 1 else []
    done = subprocess.run(start + command, capture_output=True, text=True, check=True, env=alone)
    return json.loads(done.stdout)["losses"]

if mpiexec and importlib.util.find_spec("mpi4py"):
    losses, origin = {P: losses_of(P) for P in (1, 2, 3)}, "on this machine"
else:
    rows, origin = results("17_ranks"), "recorded"
    losses = {P: [row["loss"] for row in rows if row["ranks"] == P] for P in (1, 2, 3)}
losses_apart = {P: max(abs(np.array(losses[P]) / losses[1] - 1)) for P in (2, 3)}
print(f"losses of steps 1 and 20 ({origin}): {losses[1][0]:.4f}, {losses[1][-1]:.4f}")
for P, error in losses_apart.items():
    print(f"{P} ranks: largest relative difference from one process {error:.0e}")

# %% [markdown]
# ## What overlaps
#
# Backward begins with fc8 and ends with conv1. The fully connected layers have 96 % of the parameters and 8 % of the multiplications, so nearly all
# bytes of gradients are known when nearly all of backward is still to come. Their sums can start at once, while the convolutions' backward runs. That
# is why `Network.backward` calls `start` (`nn/run/summing.py`) after each stage: it hands the stage's gradients to a thread that talks to MPI, and the
# update waits for that thread. A thread is needed because MPI moves a message on only while somebody asks about it.
#
# ## What it costs
#
# Three numbers describe a machine: $s$ seconds for a multiplication and addition, $\alpha$ seconds until a message begins to arrive (latency), and
# $\beta$ bytes a second from then on (bandwidth). To send $n$ bytes takes $\alpha + n / \beta$. (These are not the α and β of chapters 05 and 09, and
# many papers write β for the seconds of one byte.) The sum over $P$ ranks sends $2 n (P - 1) / P$ bytes; a ring needs $2 (P - 1)$ messages for it,
# and recursive halving and doubling only $2 \log_2 P$ (Thakur et al. 2005):
#
# $$T_{\text{sum}}(n, P) = 2\, \frac{P - 1}{P}\, \frac{n}{\beta} + 2\, \alpha \log_2 P .$$
#
# For large $P$ the first term no longer grows: it is twice the time to send all gradients once. A step takes forward, then backward of the fully
# connected layers, then the convolutions' backward *or* the sum of the fully connected layers' gradients, whichever takes longer, and last the sum of
# the convolutions' gradients:

# %%
show_source(scaling.summed)
show_source(scaling.data)

# %% [markdown]
# The scheme of 2014 avoids the large sum. In the fully connected layers each rank holds $1/P$ of the neurons and computes them for the images of *all*
# ranks. The weights' gradients are then whole where they are needed, and nothing is summed. Instead each rank receives the maps of all other ranks'
# images: $9216 + 4096 + 4096$ numbers an image, forward, and their gradients backward, in $6 (P - 1)$ messages. That is little for few ranks, but it
# grows with $P$.

# %%
show_source(scaling.trick)

# %% [markdown]
# Towers: pairs of ranks share the net of their $2 \cdot 128$ images as the paper's two cards do. Each rank has half of the weights, so half of the
# gradients are summed, over $P/2$ pairs, and maps go to and fro within a pair. The maps of these two schemes are taken as not hidden at all behind
# computation; in a good program part of them is.

# %%
show_source(scaling.towers)

# %% [markdown]
# Now the paper's net, 128 images on each rank, and ranks that do $10^{13}$ multiplications and additions a second, which makes 28 ms a step. Three
# networks: 10 Gb/s Ethernet ($\alpha$ = 30 µs, $\beta$ = 1.25 GB/s), 100 Gb/s (5 µs, 12.5 GB/s), and NVLink between the GPUs of one machine (5 µs,
# 450 GB/s). These are **predictions**: the model leaves out everything else, and nothing of this project has run on a GPU or on such a network.
# **Expect**
#
# - over 10 Gb/s: towers to take less than data parallelism; the scheme of 2014 to win with two ranks and to lose with many;
# - over 100 Gb/s: towers to lose with two ranks and to win with 16;
# - over NVLink: all three alike, up to 16 ranks.

# %%
paper_net, ranks = scaling.describe(AlexNet(init=None)), [2**k for k in range(11)]
predicted = {}
for name, (latency, bandwidth) in scaling.NETWORKS.items():
    machine = scaling.Machine(name, 1e-13, latency, bandwidth)
    for way in (scaling.data, scaling.towers, scaling.trick):
        fits = ranks[way is scaling.towers:]                    # towers need two ranks
        predicted[name, way.__name__] = {P: way(paper_net, machine, P, 128)[0] for P in fits}
        of = [f"{1e3 * predicted[name, way.__name__][P]:6.0f} ms" for P in (2, 16, 1024)]
        print(f"{name:8} {way.__name__:6} on 2, 16 and 1024 ranks:" + "".join(of))

# %% tags=["figure"]
figure, axes = plt.subplots(1, 3, figsize=(7.4, 2.9), sharey=True)
for axis, name in zip(axes, scaling.NETWORKS):
    for way, label in (("data", "data parallel"), ("towers", "towers × data"), ("trick", "2014")):
        axis.loglog(list(predicted[name, way]), np.array(list(predicted[name, way].values())) / predicted[name, "data"][1], label=label)
    axis.set(title=name, xlabel="ranks P")
    axis.set_xticks([1, 4, 16, 64, 256, 1024], ["1", "4", "16", "64", "256", "1024"])
    axis.set_xticks([], minor=True)
axes[0].set(ylabel="time of a step / that of one rank")
axes[0].legend(loc="upper left")
show(figure, "**Figure 17.2.** Predicted time of a step with 128 images on each rank, by number of ranks, over three networks. 1 is ideal: P times the images in "
             "the same time. Data parallel levels off at twice the time of all gradients over one connection; the maps of the 2014 scheme grow with P.")

# %% [markdown]
# And the overlap? For 16 ranks over 100 Gb/s, the same step as lines on a clock. **Expect** the sum of the fully connected layers to begin early and
# still to end last: 469 MB are too much for the time that the convolutions' backward gives.

# %%
machine = scaling.Machine("100 Gb/s", 1e-13, *scaling.NETWORKS["100 Gb/s"])
work = 128 * machine.seconds
forward = work * (paper_net.conv_work + paper_net.full_work)
known = forward + 2 * work * paper_net.full_work        # the first sum can begin
spans = {"forward": (0, forward), "backward, fully connected": (forward, known - forward),
         "backward, convolutions": (known, 2 * work * paper_net.conv_work),
         "sum, fully connected": (known, scaling.summed(paper_net.full_bytes, 16, machine))}
last = max(map(sum, spans.values())), scaling.summed(paper_net.conv_bytes, 16, machine)
spans["sum, convolutions"], overlapped = last, sum(last)
in_turn = sum(length for _, length in spans.values())
print(f"with overlap {1e3 * overlapped:.1f} ms, one after another {1e3 * in_turn:.1f} ms, "
      f"one rank alone {1e3 * predicted['100 Gb/s', 'data'][1]:.1f} ms")

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(7.2, 2.2))
for k, (name, (start, length)) in enumerate(spans.items()):
    axes.barh(k, 1e3 * length, left=1e3 * start, color=ORANGE if "sum" in name else BLUE, hatch="///" if "sum" in name else "", ec=BLACK)
axes.set(yticks=range(len(spans)), yticklabels=list(spans), xlabel="milliseconds", ylim=(len(spans) - 0.5, -0.5))
show(figure, "**Figure 17.3.** A data-parallel step of 16 ranks over 100 Gb/s, predicted. Plain bars compute, hatched bars wait for the network. The "
             "fully connected layers' sum runs beside the convolutions' backward; what sticks out is lost.")

# %% [markdown]
# Of 37 ms of sums, 17 ms are hidden: the time of the convolutions' backward. The step takes 47.4 ms instead of 64.5, and 1.7 times as long as one
# rank alone, which needs no sum.
#
# ## Large batches
#
# With 128 images on each of 64 ranks the batch has 8,192 images, and an epoch has 64 times fewer steps. What must $\varepsilon$ be then? Take plain
# descent. $k$ steps with batches $B_1, \dots, B_k$, and one step with all of their images and a rate $\varepsilon'$, give
#
# $$w_k = w_0 - \varepsilon \sum_{j=1}^{k} g_j(w_{j-1}), \qquad w'_1 = w_0 - \frac{\varepsilon'}{k} \sum_{j=1}^{k} g_j(w_0) .$$
#
# They agree for $\varepsilon' = k\, \varepsilon$, if the gradients change little over $k$ steps: *linear scaling*. (With momentum too, as long as its
# memory of ten steps is short against training.) At the beginning of training they change fast. So Goyal et al. (2017) let $\varepsilon$ rise from
# the small batch's rate to $k\, \varepsilon$ over the first epochs, a *warm-up*, and trained ImageNet in an hour with batches of 8,192. (Krizhevsky
# used linear scaling in 2014, and noted that theory suggests $\sqrt{k}$.) In `train.py` these are the options `--lr-batch` and `--warm-up`.

# %%
show_source(warm_up)

# %% [markdown]
# The small net of chapter [12](12_training.ipynb) on Fashion-MNIST, with larger and larger batches and the same number of epochs, as recorded
# ([results](results/README.md) has the commands): one seed, four epochs, a sketch. An epoch has 9,000 images, so with batches of 1,024 it is 9 steps.
# **Expect** the error to rise with the batch if $\varepsilon$ stays, because there are fewer steps; four times the rate to do much harm without a
# warm-up, and little with one; and sixteen times the rate to leave the net near guessing either way.

# %%
recorded, table = results("17_batches"), {}         # {way: {batch: [test error of each seed]}}
for row in recorded:
    way = "ε stays" if row["lr"] == 0.02 else "scaled, warm-up" if row["warm_up"] else "scaled"
    error = 100 * np.nan_to_num(row["test_ten_views"], nan=0.9)  # no finite loss: as guessing
    table.setdefault(way, {}).setdefault(int(row["batch"]), []).append(error)
batches = sorted(table["ε stays"])
for way in ("scaled", "scaled, warm-up"):                       # of the smallest, nothing is scaled
    table[way] = {batches[0]: table["ε stays"][batches[0]]} | table[way]
print("test error (%)  " + "".join(f"{batch:>8}" for batch in batches))
for way, errors_of in table.items():
    print(f"{way:16}" + "".join(f"{np.mean(errors_of[batch]):8.2f}" for batch in batches))

# %% tags=["figure"]
figure, axes = plt.subplots(figsize=(6, 3))
for way, errors_of in table.items():
    line, = axes.plot(batches, [np.mean(errors_of[batch]) for batch in batches], label=way)
    axes.plot(batches, [errors_of[batch] for batch in batches], ls="", marker=".", color=line.get_color(), alpha=0.6)
axes.set_xscale("log", base=2)
axes.set(xticks=batches, xticklabels=batches, xlabel="images in a batch", ylabel="test error (%)")
axes.legend()
epochs, seeds = recorded[0]["epochs"], len({row["seed"] for row in recorded})
show(figure, f"**Figure 17.4.** Test error over ten views after {epochs:.0f} epochs, by batch size, with three rules for ε; {seeds} seed{'s' * (seeds > 1)}, a dot each. "
             "Guessing has 90 %.")

# %% [markdown]
# So the unchanged $\varepsilon$ is best here at every batch, and linear scaling is no law. It ends where $k\, \varepsilon$ becomes larger than what
# the net can bear, and the start of 0.02 is not far below that (chapter [11](11_learning.ipynb)): a fair test of scaling would start from a smaller
# rate. The nets of Goyal et al. have batch normalisation and bear it, up to batches of 8,192.
#
# ## Exercises
#
# Solutions are folded. `python notebooks/build.py blank` makes the edition without them.
#
# **1.** Each rank has the gradient of the mean loss over its own images, and the number of these images. Some ranks may have none. Return the gradient
# of the mean over all images.

# %% tags=["solution"]
def joined(gradients, counts):
    """gradients (P, n), counts (P,) → (n,)"""
    ### BEGIN SOLUTION
    return np.asarray(counts) @ gradients / np.sum(counts)
    ### END SOLUTION

# %% tags=["check"]
cases = [(rng.standard_normal((3, 5)), np.array([3, 3, 4])), (rng.standard_normal((4, 2)), np.array([7, 0, 1, 3]))]
check(lambda: np.concatenate([joined(*case) for case in cases]),
      np.concatenate([(g * n[:, None]).sum(0) / n.sum() for g, n in cases]),
      [(np.concatenate([g.mean(0) for g, _ in cases]), "that counts ranks, not images"),
       (np.concatenate([g.sum(0) for g, _ in cases]), "the loss is a mean over all images, not a sum of means"),
       (np.concatenate([n @ g for g, n in cases]), "divide by the number of all images")])

# %% [markdown]
# **2.** On a ring, how long does the sum of $n$ bytes over $P$ ranks take, if each turn costs the latency $\alpha$ and its bytes at bandwidth $\beta$?
# (One rank alone needs no time.)

# %% tags=["solution"]
def ring_seconds(n, P, alpha, beta):
    ### BEGIN SOLUTION
    return 2 * (P - 1) * (alpha + n / P / beta)
    ### END SOLUTION

# %% tags=["check"]
cases = [(1e6, 4, 1e-5, 1e9), (3e8, 10, 2e-6, 1.25e10), (5e5, 1, 1e-3, 1e8), (2e4, 64, 5e-5, 4e9)]
right = [2 * (P - 1) / P * n / beta + 2 * (P - 1) * alpha for n, P, alpha, beta in cases]
check(lambda: [ring_seconds(*case) for case in cases], right,
      [(np.divide(right, 2), "the finished pieces must go round, too"),
       ([2 * (P - 1) * (alpha + n / beta) for n, P, alpha, beta in cases], "a turn sends one piece, a P-th of the bytes"),
       ([2 * (P - 1) / P * n / beta for n, P, alpha, beta in cases], "each turn has its latency")])

# %% [markdown]
# **3.** The fully connected layers have $F$ parameters, and $E$ numbers an image enter them. Each rank has $B$ images. From how many ranks on does the
# scheme of 2014 *receive* more bytes for these layers in a step than data parallelism sends for them? Return the smallest such whole $P$.

# %% tags=["solution"]
def too_many(F, E, B):
    ### BEGIN SOLUTION
    return F // (E * B) + 1                                 # 2 E B (P − 1) > 2 F (P − 1) / P
    ### END SOLUTION

# %% tags=["check"]
cases = [(58_631_144, 17_408, 128), (58_631_144, 17_408, 32), (1_000_000, 500, 100), (9_437_184, 4_096, 256)]
right = [next(P for P in range(2, 1000) if 2 * E * B * (P - 1) * P > 2 * F * (P - 1)) for F, E, B in cases]
check(lambda: [too_many(*case) for case in cases], right,
      [([F // (E * B) for F, E, B in cases], "there data parallelism still sends as much or more"),
       ([2 * F // (E * B) + 1 for F, E, B in cases], "the maps' gradients come back: twice E B (P − 1)"),
       ([F / (E * B) for F, E, B in cases], "a whole number of ranks")])

# %% [markdown]
# ## Three questions
#
# To be answered without a computer.
#
# **1.** Why does nobody have to send weights during training?
#
# <details><summary>Answer</summary>
#
# All ranks begin with the same values, drawn from the same seed. All add the same gradients, and so make the same update. The program compares a
# checksum once, at the start.
#
# </details>
#
# **2.** A network is twice as fast. Does the step of 16 ranks in Figure 17.3 become twice as fast?
#
# <details><summary>Answer</summary>
#
# No. Only the hatched bars become half as long. The fully connected layers' sum (35 ms) then ends about when the convolutions' backward (17 ms) does, and
# the step takes hardly longer than on one rank.
#
# </details>
#
# **3.** The paper's batch of 128 is shared by 128 ranks, one image each. What is gained?
#
# <details><summary>Answer</summary>
#
# Nothing: a step takes longer. Each rank computes for one image and sends twice the bytes of all gradients, 484 MB, as with any other share. Over 100 Gb/s
# that takes 39 ms, more than one such rank needs for all 128 images, 28 ms. That is why more machines go with larger batches.
#
# </details>
#
# ## Summary
#
# Ranks that hold the whole net and share the images need one sum of gradients a step, weighted by images, and then compute what one process computes,
# up to the order of additions. That sum costs each rank twice the bytes of the gradients, however many ranks there are. Most of these bytes belong to
# the fully connected layers, which backward finishes first, so the sum runs beside the convolutions' backward. Towers send maps and half of the gradients,
# the scheme of 2014 the maps of all images and only the convolutions' gradients, which pays on slow networks, the latter with few ranks only. Many ranks
# mean large batches; scaling the rate with the batch, with a warm-up, worked for others and made things worse in our small net.
#
# Next: [18, Fewer multiplications](18_fewer_multiplications.ipynb), where one machine does less work for the same result.
#
# ## What this chapter claimed
#
# If this cell runs, the text is true on your machine.

# %% tags=["claims"]
assert errors["weighted by images"] < 1e-12 and min(errors["mean of the ranks"], errors["masks as of image 0"]) > 1e-2
assert max(ring_errors.values()) < 1e-13 and all(n == 2 * 8000 * (P - 1) // P for P, n in ring_sent.items())
assert all(0.1 < last_bits[name] < 0.4 for name in ("in pairs", "on the ring")) and max(roundings.values()) < 1e-6
assert max(losses_apart.values()) < 1e-12 and len(losses[1]) == 20
megabytes = (paper_net.conv_bytes + paper_net.full_bytes) / 1e6
assert round(megabytes) == 244 and 0.96 < paper_net.full_bytes / 1e6 / megabytes < 0.965 and 0.08 < paper_net.full_work / (paper_net.conv_work + paper_net.full_work) < 0.085
slow, fast = ({way: predicted[name, way] for way in ("data", "towers", "trick")} for name in ("10 Gb/s", "NVLink"))
assert slow["trick"][2] < slow["towers"][2] < slow["data"][2] / 2 and all(slow["towers"][P] < slow["data"][P] for P in ranks[1:]) and slow["trick"][1024] > 10 * slow["data"][1024]
assert all(seconds[16] < 1.05 * fast["data"][1] for seconds in fast.values()) and abs(slow["data"][1024] / (2e6 * megabytes / 1.25e9) - 1) < 0.05
assert round(scaling.data(paper_net, machine, 128, 1)[1] / 1e6) == 484
middle = {way: predicted["100 Gb/s", way] for way in ("data", "towers")}
assert middle["towers"][2] > middle["data"][2] and middle["towers"][16] < middle["data"][16] and round(1e3 * middle["data"][1]) == 28
assert abs(in_turn - overlapped - 0.017) < 5e-4 and abs(overlapped / middle["data"][1] - 1.7) < 0.05
assert predicted["100 Gb/s", "data"][1] < overlapped < in_turn and np.isclose(overlapped, predicted["100 Gb/s", "data"][16])
assert sum(spans["sum, fully connected"]) > sum(spans["backward, convolutions"])
same, scaled, warm = ({batch: np.mean(of) for batch, of in errors_of.items()} for errors_of in table.values())
assert list(same.values()) == sorted(same.values()) and all(same[batch] <= min(scaled[batch], warm[batch]) for batch in batches)
assert warm[256] < scaled[256] - 10 and warm[256] < same[256] + 10 and min(scaled[1024], warm[1024]) > 70
print("All of it holds.")
