"""Plant bugs, and see that the tests find them.

    python tests/mutants.py             all of them (some three minutes on two cores)
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
LAYERS, NETWORK, LEARNING, TRAIN, DATA, VIEWS, IMAGENET, KERNELS, STRICT, INTEROP, EVALUATE, LONG = (
    f"tests/test_{name}.py" for name in ("layers", "network", "learning", "train", "data", "views", "imagenet", "kernels",
                                         "strict_network", "interop", "evaluate", "long_runs"))

ANEW = f"{VIEWS}::test_colour_is_drawn_anew_for_every_image_and_epoch_but_not_for_every_batch"

MUTANTS = [     # name, file, text, its replacement, the test that must fail
    ("conv: stride ignored going right", "nn/conv.py", "(down * stride, image, right * stride, down, right, channel)",
     "(down * stride, image, right, down, right, channel)", f"{LAYERS}::test_conv_is_the_seven_loops"),
    ("conv: kernels not turned for the input's gradient", "nn/conv.py", "W[::-1, ::-1].reshape", "W.reshape",
     f"{LAYERS}::test_gradients"),
    ("conv: turned, but C and K of a group exchanged wrongly", "nn/conv.py", "transpose(0, 1, 4, 3, 2)",
     "transpose(0, 1, 4, 2, 3)", f"{LAYERS}::test_gradients"),
    ("conv: groups read each other's channels", "nn/conv.py",
     "im2col(x[..., g * c:(g + 1) * c], R, S, stride):\n            kernels",
     "im2col(x[..., (groups - 1 - g) * c:(groups - g) * c], R, S, stride):\n            kernels",
     f"{LAYERS}::test_conv_is_the_seven_loops"),
    ("conv: padding on the wrong side", "nn/conv.py", "padded[before:before + H, :, before:before + W]",
     "padded[after:after + H, :, after:after + W]", f"{LAYERS}::test_conv_padding_is_zeros_around_the_image"),
    ("conv: the input's gradient forgets the stride", "nn/conv.py", "self.size - 1 - self.before, self.stride)",
     "self.size - 1 - self.before, 1)", f"{LAYERS}::test_gradients"),
    ("relu: written into its input", "nn/activation.py", ".maximum(x, x.dtype.type(0))",
     ".maximum(x, x.dtype.type(0), out=x)", f"{LAYERS}::test_inputs_are_never_written_to"),
    ("relu: gradient written into dy", "nn/activation.py", "return dy * (y > 0), {}",
     "dy *= y > 0\n        return dy, {}", f"{LAYERS}::test_inputs_are_never_written_to"),
    ("lrn: four maps instead of five", "nn/lrn.py", "near = abs(i[:, None] - i) <= self.size // 2",
     "near = (abs(i[:, None] - i) <= self.size // 2) & (i[:, None] - i > -(self.size // 2))",
     f"{LAYERS}::test_norm_is_the_papers_formula"),
    ("lrn: the gradient lacks its factor 2", "nn/lrn.py", "-2 * self.alpha * self.beta", "-self.alpha * self.beta",
     f"{LAYERS}::test_gradients"),
    ("lrn: alpha divided by the size", "nn/lrn.py", "self.window_sum(x * x, self.alpha)",
     "self.window_sum(x * x, self.alpha / self.size)", f"{LAYERS}::test_norm_is_the_papers_formula"),
    ("lrn: windows cross the groups", "nn/lrn.py", "(near & same)", "near",
     f"{LAYERS}::test_norm_is_the_papers_formula"),
    ("pool: the gradient assigned, not added", "nn/pool.py", "place += dy * (winner == number)",
     "np.copyto(place, dy, where=winner == number)", f"{LAYERS}::test_pool_one_pixel_can_win_four_windows"),
    ("pool: the last of equal values wins", "nn/pool.py", "(place > y)", "(place >= y)",
     f"{LAYERS}::test_pool_first_of_equal_values_gets_the_gradient_once"),
    ("dropout: left on at test time", "nn/dropout.py", "if not train:", "if False:",
     f"{LAYERS}::test_dropout"),
    ("dropout: no × 0.5 at test time", "nn/dropout.py", "x * x.dtype.type(scale)", "x * x.dtype.type(1)",
     f"{LAYERS}::test_dropout"),
    ("dropout: both towers draw the first one's mask", "nn/dropout.py", "[:, t * F:(t + 1) * F]", "[:, :F]",
     f"{NETWORK}::test_two_towers_are_one_grouped_tower"),
    ("dropout: inverted, but not scaled", "nn/dropout.py", "1 / scale if self.inverted else 1", "1",
     f"{LAYERS}::test_dropout"),
    ("flatten: channels first", "nn/linear.py", "x.reshape(len(x), -1)", "x.transpose(0, 3, 1, 2).reshape(len(x), -1)",
     f"{LAYERS}::test_linear_and_flatten"),
    ("loss: not divided by N", "nn/loss.py", "        d /= len(d)\n", "", f"{LAYERS}::test_loss_gradient"),
    ("loss: overflows", "nn/loss.py", "z = logits - logits.max(1, keepdims=True)", "z = logits + 0",
     f"{LAYERS}::test_loss_is_stable"),
    ("loss: a net without an opinion is right", "nn/loss.py", "(scores < own[:, None]).sum(1) < scores.shape[1] - k",
     "(scores > own[:, None]).sum(1) >= k", f"{LAYERS}::test_no_opinion_is_an_error"),
    ("network: an exchange forgotten", "nn/network.py", "send(x, devices[s], devices[t]) for s, x in xs.items()]",
     "xs[t] for _ in xs]", f"{NETWORK}::test_two_towers_are_one_grouped_tower"),
    ("network: only one receiver's gradient comes back", "nn/network.py", "sum(own[1:], start=own[0])", "own[0]",
     f"{NETWORK}::test_two_towers_are_one_grouped_tower"),
    ("network: a piece's gradient replaces the others'", "nn/network.py", "total[name] += gradient",
     "total[name] = gradient", f"{NETWORK}::test_pieces_and_threads_change_nothing"),
    ("network: what crosses is not counted", "nn/run/device.py", "source.sent.get(target, 0) + array.nbytes",
     "source.sent.get(target, 0)", f"{NETWORK}::test_only_what_the_paper_says_crosses_between_the_towers"),
    ("network: the last image is lost", "nn/network.py", "for i in range(number + 1)]",
     "for i in range(number)] + [count - 1]", f"{NETWORK}::test_pieces_and_threads_change_nothing"),
    ("network: weights are handed to the wrong tower", "nn/network.py", "enumerate(zip(parameters, self.devices))",
     "enumerate(zip(parameters[::-1], self.devices))", f"{NETWORK}::test_weights_go_from_two_towers_to_one_and_back"),
    ("alexnet: conv3 sees its own tower only", "alexnet.py", "sees_all = isinstance(layer, Exchange)",
     "sees_all = False", f"{NETWORK}::test_two_towers_are_one_grouped_tower"),
    ("init: conv3 like the others", "nn/init.py", '"conv3": 0.03', '"conv3": 0.01', f"{NETWORK}::test_initial_values"),
    ("check: the sign of a difference", "nn/check.py", "np.vdot(dy, up - down)", "np.vdot(dy, down - up)",
     f"{LAYERS}::test_gradients"),
    ("check: a missing gradient is not missed", "nn/check.py", "assert grads.keys() == layer.params.keys()",
     "assert grads.keys() <= layer.params.keys()", "tests/test_check.py"),
    ("sgd: the momentum's sign", "nn/optim.py", "real(self.momentum)", "real(-self.momentum)",
     f"{LEARNING}::test_the_update_rule_of_section_5"),
    ("sgd: decay taken from the velocity", "nn/optim.py", "change = w * real(decay)", "change = v * real(decay)",
     f"{LEARNING}::test_the_update_rule_of_section_5"),
    ("sgd: the rate outside the velocity", "nn/optim.py", "            w += v\n",
     "            w += v * real(rate / 0.1)\n", f"{LEARNING}::test_the_update_rule_of_section_5"),
    ("sgd: biases decay too", "nn/optim.py", '"b": bias_decay}', '"b": weight_decay}',
     f"{LEARNING}::test_the_update_rule_of_section_5"),
    ("kernels: im2col without its bounds check", "nn/fast/kernels.cu",
     "    if (i >= count) return;\n    int c = i % C, s = i / C % S;", "    int c = i % C, s = i / C % S;",
     f"{KERNELS}::test_more_threads_than_numbers_change_nothing"),
    ("kernels: sgd without its bounds check", "nn/fast/kernels.cu", "    if (i >= count) return;\n    v[i]", "    v[i]",
     f"{KERNELS}::test_more_threads_than_numbers_change_nothing"),
    ("kernels: a thread's number is an unsigned int", "nn/fast/kernels.cu", "(long long)blockIdx.x * blockDim.x",
     "blockIdx.x * blockDim.x", f"{KERNELS}::test_numbers_beyond_2_to_the_32"),
    ("kernels: im2col reads across the edge", "nn/fast/kernels.cu", "return at < length ? at : -1;", "return at;",
     f"{KERNELS}::test_the_layer_is_its_plain_form"),
    ("kernels: im2col does not spread the gradient", "nn/fast/kernels.cu", "        if (at % dilate) return -1;\n", "",
     f"{KERNELS}::test_the_layer_is_its_plain_form"),
    ("kernels: im2col takes the first group's channels", "nn/fast/kernels.cu", "* channels + first + c]", "* channels + c]",
     f"{KERNELS}::test_the_layer_is_its_plain_form"),
    ("kernels: a chunk's gradient replaces the others'", "nn/conv.py", "dW[:, own] += columns.T",
     "dW[:, own] = columns.T", f"{KERNELS}::test_convolution_in_chunks_of_images"),
    ("kernels: lrn's window is one short", "nn/fast/kernels.cu", "j <= min(half, C - 1 - c); j++) sum += x[i + j]",
     "j < min(half, C - 1 - c); j++) sum += x[i + j]", f"{KERNELS}::test_the_layer_is_its_plain_form"),
    ("kernels: lrn's windows cross the groups", "nn/fast/kernels.py", "(x, y, d), x.shape[3] // groups",
     "(x, y, d), x.shape[3]", f"{KERNELS}::test_the_layer_is_its_plain_form"),
    ("kernels: the last of equal values wins", "nn/fast/kernels.cu", "if (value > largest) place",
     "if (value >= largest) place", f"{KERNELS}::test_pool_of_equal_values_and_of_none"),
    ("kernels: pooling loses a NaN", "nn/fast/kernels.cu", "if (value > largest || value != value)", "if (value > largest)",
     f"{KERNELS}::test_pool_of_equal_values_and_of_none"),
    ("kernels: a pixel keeps one window's gradient", "nn/fast/kernels.cu", "sum += dy[o];", "sum = dy[o];",
     f"{KERNELS}::test_the_layer_is_its_plain_form"),
    ("kernels: Philox's wrong word", "nn/fast/kernels.cu", "index / 2 % 4", "index / 2 % 4 ^ 1",
     f"{KERNELS}::test_dropout_draws_numpys_bits"),
    ("kernels: Philox's wrong half", "nn/fast/kernels.cu", "index % 2 ? word >> 32 : word", "index % 2 ? word : word >> 32",
     f"{KERNELS}::test_dropout_draws_numpys_bits"),
    ("kernels: Philox counts from 0", "nn/fast/kernels.cu", "a = index / 8 + 1", "a = index / 8",
     f"{KERNELS}::test_dropout_draws_numpys_bits"),
    ("kernels: both towers draw the first one's mask", "nn/fast/kernels.cu", "i / F * all + first + i % F",
     "i / F * all + i % F", f"{KERNELS}::test_dropout_draws_numpys_bits"),
    ("kernels: the rate outside the velocity", "nn/fast/kernels.cu",
     "momentum * v[i] - rate * (decay * w[i] + g[i]);\n    w[i] += v[i];",
     "momentum * v[i] - (decay * w[i] + g[i]);\n    w[i] += rate * v[i];",
     f"{KERNELS}::test_the_update_is_section_5s"),
    ("plateau: drops a fourth time", "nn/optim.py", "if dropped <= drops else None",
     "if dropped <= drops + 1 else None", f"{LEARNING}::test_plateau"),
    ("checkpoint: written in place", "nn/checkpoint.py", 'temporary = f"{path}.tmp"', "temporary = path",
     f"{LEARNING}::test_a_write_that_fails_leaves_the_old_checkpoint"),
    ("checkpoint: never renamed", "nn/checkpoint.py", "os.replace(temporary, path)",
     "os.rename(temporary, path + '.new')", f"{LEARNING}::test_a_checkpoint_comes_back_to_the_bit"),
    ("checkpoint: renamed before it is on the disk", "nn/checkpoint.py", "            os.fsync(file.fileno())\n", "",
     f"{LEARNING}::test_a_checkpoint_is_on_the_disk_before_it_takes_the_old_ones_name"),
    ("checkpoint: compressed archives are read", "nn/checkpoint.py", "member.compress_type != zipfile.ZIP_STORED",
     "False", f"{INTEROP}::test_an_archive_that_unfolds_is_refused"),
    ("pickles: names are looked up in Python", "interop/pickles.py", "return self.allowed[f\"{module}.{name}\"]",
     "return super().find_class(module, name)", f"{INTEROP}::test_a_state_dict_without_pytorch"),
    ("pickles: everything is allowed", "interop/pickles.py", 'if f"{module}.{name}" not in self.allowed:\n',
     'if f"{module}.{name}" not in self.allowed:\n            return super().find_class(module, name)\n',
     f"{INTEROP}::test_nothing_in_a_file_is_run"),
    ("layout: fc6 counted map by map", "interop/layout.py", "W.reshape(C, P, Q, -1).transpose(1, 2, 0, 3).reshape(W.shape)",
     "W", f"{INTEROP}::test_an_exported_net_comes_back_to_the_bit"),
    ("layout: a shape is not checked", "interop/layout.py", "elif array.shape != expected:", "elif False:",
     f"{INTEROP}::test_a_tensor_of_another_shape_is_named"),
    ("pth: a tensor may lie outside its storage", "interop/pth.py", "math.prod(size) and last >= count", "False",
     f"{INTEROP}::test_a_tensor_outside_its_storage_is_refused"),
    ("pth: the offset is forgotten", "interop/pth.py", "as_strided(numbers[offset:]", "as_strided(numbers[0:]",
     f"{INTEROP}::test_a_state_dict_without_pytorch"),
    ("protobuf: numbers are never negative", "interop/protobuf.py", "            value -= (value >> 63) << 64\n", "",
     f"{INTEROP}::test_wire_format"),
    ("trained: weights may be no numbers", "trained.py", 'weights[name].dtype.kind == "f" and np.isfinite(array).all()',
     "True", f"{INTEROP}::test_weights_that_are_not_right"),
    ("trained: ten views averaged before the softmax", "trained.py",
     "return np.mean([self.network.predict(view) for view in self.views(images, views)], axis=0)",
     "z = np.mean([np.log(self.network.predict(view)) for view in self.views(images, views)], axis=0)\n"
     "        return np.exp(z) / np.exp(z).sum(1, keepdims=True)",
     f"{EVALUATE}::test_ten_views_are_averaged_after_the_softmax"),
    ("evaluate: ties are right", "evaluate.py", "return p.shape[1] - (p < own[:, None]).sum(1)",
     "return 1 + (p > own[:, None]).sum(1)", f"{EVALUATE}::test_ranks_and_rates_on_numbers_by_hand"),
    ("evaluate: an ensemble of the first net alone", "evaluate.py", "total = {views: p[views] + total.get(views, 0) for views in p}",
     "total = total or {views: p[views] * len(options.weights) for views in p}",
     f"{EVALUATE}::test_an_ensemble_is_the_mean_after_the_softmax"),
    ("evaluate: classes matched by number", "evaluate.py", "return np.array([number[name] for name in pictures.classes])",
     "return np.arange(len(pictures.classes))", f"{EVALUATE}::test_classes_are_matched_by_name"),
    ("evaluate: the last block of neighbours only", "evaluate.py", "distances = np.concatenate([distances, new], 1)",
     "distances = np.concatenate([distances + np.float32(9), new], 1)", f"{EVALUATE}::test_the_nearest_are_the_nearest"),
    ("evaluate: a photograph lies on its side", "evaluate.py", "image = ImageOps.exif_transpose(image)", "pass",
     f"{EVALUATE}::test_a_photograph_is_turned_as_its_exif_says"),
    ("pool: zeros beyond the edge", "nn/pool.py", "constant_values=-np.inf", "constant_values=0",
     f"{LAYERS}::test_pool_of_negative_numbers_has_no_zeros_at_its_edge"),
    ("train: the velocity is not resumed", "train.py", '        sgd.load(arrays["velocity"])\n', "",
     f"{TRAIN}::test_killed_at_any_point_it_resumes_to_the_same_bits"),
    ("train: resumed at the start of the epoch", "train.py", 'options.seed, epoch, batch,', 'options.seed, epoch, 0,',
     f"{TRAIN}::test_killed_at_any_point_it_resumes_to_the_same_bits"),
    ("data: the mean is not aligned with the crop", "imaging/views.py",
     "np.subtract(images[i][crop], mean[crop], out=view)",
     "np.subtract(images[i][crop], mean[:side, :side], out=view)", f"{DATA}::test_mean_is_cut_where_the_image_is"),
    ("cuda: all weights on the first device", "nn/network.py", "layer.params[key] = device.put(layer.params[key])",
     "layer.params[key] = self.devices[0].put(layer.params[key])",
     f"{STRICT}::test_every_array_of_a_tower_is_on_its_device"),
    ("cuda: resumed velocities on the first device", "nn/network.py",
     "shares[t][name] = device.put(np.array(", "shares[t][name] = self.devices[0].put(np.array(",
     f"{STRICT}::test_every_array_of_a_tower_is_on_its_device"),
    ("cuda: the update under the first device", "nn/optim.py", "with network.devices[t], network.timed",
     "with network.devices[0], network.timed", f"{STRICT}::test_training_is_the_cpus"),
    ("cuda: a NumPy array among CuPy's, in the loss", "nn/loss.py", "right = z[xp.arange(len(z)), labels]",
     "right = z[np.arange(len(z)), labels]", f"{STRICT}::test_training_is_the_cpus"),
    ("cuda: a NumPy array among CuPy's, in LRN's plain form", "nn/lrn.py", "i = xp.arange(C)", "i = np.arange(C)",
     f"{STRICT}::test_training_is_the_cpus"),
    ("cuda: a NumPy function of CuPy's arrays", "nn/loss.py", "xp.log(xp.exp(z).sum(1))", "np.log(xp.exp(z).sum(1))",
     f"{STRICT}::test_training_is_the_cpus"),
    ("cuda: the exchange forgotten", "nn/network.py",
     "received = [send(x, devices[s], devices[t]) for s, x in xs.items()]", "received = list(xs.values())",
     f"{STRICT}::test_training_is_the_cpus"),
    ("cuda: the exchange forgotten on the way back", "nn/network.py",
     "own = [send(dy[..., start:start + width], devices[t], devices[s]) for t, dy in dys.items()]",
     "own = [dy[..., start:start + width] for dy in dys.values()]", f"{STRICT}::test_training_is_the_cpus"),
    ("cuda: the whole gradient sent back, not the tower's half", "nn/network.py",
     "send(dy[..., start:start + width], devices[t], devices[s]) for",
     "send(dy, devices[t], devices[s])[..., start:start + width] for",
     f"{STRICT}::test_only_what_the_paper_says_crosses"),
    ("cuda: sent before it is computed", "nn/run/device.py", "            self.await_event(computed)\n", "",
     f"{STRICT}::test_send"),
    ("cuda: overwritten while it is being sent", "nn/run/device.py", "        source.await_event(arrived)\n", "",
     f"{STRICT}::test_send"),
    ("cuda: a slice sent as if it were in order", "nn/run/device.py", "array = self.cupy.ascontiguousarray(array)\n",
     "pass\n", f"{STRICT}::test_send"),
    ("cuda: a step waits for its loss", "nn/network.py", "loss, cache = self.loss.forward(logits, first.put(labels))",
     "loss, cache = self.loss.forward(logits, first.put(labels))\n            float(loss)",
     f"{STRICT}::test_only_what_the_paper_says_crosses"),
    ("feed: the host refills memory that is being copied", "nn/run/feed.py", "event.synchronize()", "pass",
     f"{STRICT}::test_the_feed_hands_out_the_right_batches_in_order"),
    ("feed: a copy overwrites what a step reads", "nn/run/feed.py", "device.copying.wait_event(free)", "pass",
     f"{STRICT}::test_the_feed_hands_out_the_right_batches_in_order"),
    ("feed: a step reads before the copy is done", "nn/run/feed.py", "device.await_event(event)", "pass",
     f"{STRICT}::test_the_feed_hands_out_the_right_batches_in_order"),
    ("feed: the first copy overwrites what the memory was used for before", "nn/run/feed.py",
     "(labels, self.devices[:1]))]\n        self.used()", "(labels, self.devices[:1]))]\n        self.free = []",
     f"{STRICT}::test_the_feed_hands_out_the_right_batches_in_order"),
    ("feed: free before all is queued that reads it", "nn/run/feed.py",
     "            yield slot.take()\n            slot.used()", "            slot.used()\n            yield slot.take()",
     f"{STRICT}::test_the_feed_hands_out_the_right_batches_in_order"),
    ("feed: its memory goes back while a copy is on its way", "nn/run/feed.py", "            device.wait()   ",
     "            pass   ", f"{STRICT}::test_the_feed_takes_batches_of_any_size_and_leaves_nothing_behind"),
    ("feed: the second tower gets the first one's images", "nn/run/feed.py", "[images[i] for i in self.towers]",
     "[images[0] for i in self.towers]", f"{STRICT}::test_training_is_the_cpus"),
    ("train: memory is not looked at", "train.py", "    expect_memory(network, options.batch_size)\n", "",
     f"{STRICT}::test_too_little_memory_is_said_before_the_first_step"),
    ("data: validation images stay in the training set", "data.py", "for part in (held, ~held))",
     "for part in (held, held | ~held))", DATA),
    ("data: standard deviation for eigenvalue", "imaging/views.py", "values / 255 if", "np.sqrt(values) if",
     f"{VIEWS}::test_colour_noise_is_the_papers_formula"),
    ("data: eigenvectors in rows", "imaging/views.py", "sigma * vectors * (", "sigma * vectors.T * (",
     f"{VIEWS}::test_colour_noise_is_the_papers_formula"),
    ("data: every pixel gets its own colour", "imaging/views.py", "rows += np.tile(shifts[n], side)",
     "rows += np.tile(shifts[n], side)[::-1]", f"{VIEWS}::test_colour_noise_is_the_papers_formula"),
    ("data: the same colours in every epoch", "imaging/views.py", "generator(seed, COLOUR, epoch)",
     "generator(seed, COLOUR, 0)", ANEW),
    ("data: colour drawn by place in the batch", "imaging/views.py", "channels, seed, epoch)[index]",
     "channels, seed, epoch)[:len(index)]", ANEW),
    ("data: the erased block ends at the middle", "imaging/views.py", "stop = middles[i] - cutout // 2 + cutout",
     "stop = middles[i]", f"{VIEWS}::test_cutout_erases_one_square_block"),
    ("data: batches come as they are finished", "imaging/prefetch.py", "self.waiting.popleft()", "self.waiting.pop()",
     f"{VIEWS}::test_any_number_of_workers_gives_the_same_batches"),
    ("data: batches pile up", "imaging/prefetch.py", "while len(self.waiting) < self.ahead and", "while",
     f"{VIEWS}::test_no_more_is_made_than_asked_for"),
    ("data: threads are left behind", "imaging/prefetch.py", "self.pool.shutdown(cancel_futures=True)", "pass",
     f"{VIEWS}::test_close_ends_the_threads"),
    ("sources: the devkit's order taken for ours", "imaging/sources.py", "return self.devkit.get(int(label))",
     "return self.order[int(label) - 1]", f"{IMAGENET}::test_every_form_gives_the_same_images_and_labels"),
    ("sources: links are followed", "imaging/sources.py", "if member.issym() or member.islnk():", "if False:",
     f"{IMAGENET}::test_what_leads_out_of_an_archive_is_never_followed"),
    ("sources: ../ is no matter", "imaging/sources.py", 'if member.name.startswith(("/", "\\\\")) or', "if",
     f"{IMAGENET}::test_what_leads_out_of_an_archive_is_never_followed"),
    ("sources: an archive's end is not looked at", "imaging/sources.py", "len(mark) == 512 and not any(mark)", "True",
     f"{IMAGENET}::test_a_damaged_archive_loses_its_rest_and_no_more"),
    ("sources: a pipe is waited for", "imaging/sources.py", "stat.S_ISREG(state.st_mode)", "True",
     f"{IMAGENET}::test_links_pipes_and_giants_in_folders"),
    ("decode: bombs are decoded", "imaging/decode.py", "image.width * image.height <= PIXELS", "True",
     f"{IMAGENET}::test_a_bomb_is_not_decoded"),
    ("decode: shrunk by the decoder at any size", "imaging/decode.py", "size >= 256 and", "",
     f"{IMAGENET}::test_the_decoders_own_shrinking_stays_within_one_grey_level"),
    ("decode: the square is cut at the left", "imaging/decode.py", "top = (width - short) // 2,", "top = 0,",
     f"{DATA}::test_scale_one_only_cuts"),
    ("prepare: the mean of the validation images too", "imaging/prepare.py", 'if job.split == "train":', "if True:",
     f"{IMAGENET}::test_statistics_equal_a_direct_computation"),
    ("prepare: sums overflow", "imaging/prepare.py", "np.zeros(shape, np.uint32)", "np.zeros(shape, np.uint8)",
     f"{IMAGENET}::test_statistics_equal_a_direct_computation"),
    ("prepare: the index before the shard", "imaging/prepare.py", "        os.replace(temporary, path)\n",
     "        os.replace(temporary, path) if not str(path).endswith('.part.npz') else None\n",
     f"{IMAGENET}::test_interrupted_it_goes_on_to_the_same_bytes_and_leaves_no_process"),
    ("prepare: workers outlive their parent", "imaging/prepare.py",
     "multiprocessing.parent_process().join(), os._exit(1)", "None, None",
     f"{IMAGENET}::test_interrupted_it_goes_on_to_the_same_bytes_and_leaves_no_process"),
    ("check: checksums are not compared", "imaging/shards.py",
     "zlib.crc32(file.read(int(count))) != int(checksum, 16)", "False",
     f"{IMAGENET}::test_check_says_what_is_there_and_finds_every_damage"),
    ("figure 1: the best rate by its luckiest seed", "benchmarks/figure1.py", "np.mean(arrived[lr])", "np.min(arrived[lr])",
     f"{LONG}::test_the_best_rate_is_soonest_in_the_mean_over_seeds"),
    ("figure 1: interpolated from the wrong end", "benchmarks/figure1.py", "return before[0] + share *",
     "return before[0] + (1 - share) *", f"{LONG}::test_epochs_to_a_target"),
    ("figure 1: a run that bursts goes on", "benchmarks/figure1.py", "if not error > target:", "if error <= target:",
     f"{LONG}::test_a_course_that_bursts_ends_and_has_not_arrived"),
    ("long runs: the views of another row", "notebooks/full_runs.py", '(row["seed"], row["views"]) == (seed, views)',
     'row["seed"] == seed', f"{LONG}::test_the_stored_predictions_are_those_of_the_stored_net")]


def outcome(tests, file=None, text=None):
    """Run tests in a copy of the project, with another text in one file → (exit status, output) of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "project")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "runs", "docs", "__pycache__"))
        if file:
            (copy / file).write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        result = subprocess.run(command, cwd=copy, capture_output=True, text=True,
                                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    return result.returncode, result.stdout + result.stderr


def attempt(mutant):
    """→ (name, verdict): 'caught', or what went wrong."""
    name, file, old, new, test = mutant
    text = (ROOT / file).read_text()
    if text.count(old) != 1:
        return name, f"CANNOT BE PLANTED: its text is {text.count(old)} times in {file}"
    status, output = outcome([test], file, text.replace(old, new))
    return name, {0: f"ESCAPED {test}", 1: "caught"}.get(status, f"{test} DID NOT RUN:\n{output}")


def main():
    chosen = [mutant for mutant in MUTANTS if all(word in mutant[0] for word in sys.argv[1:])]
    status, output = outcome({mutant[-1] for mutant in chosen})
    if status:
        print(f"the tests fail before any bug is planted:\n{output}")
        return 1
    with ThreadPoolExecutor(2) as pool:
        results = []
        for name, verdict in pool.map(attempt, chosen):
            print(f"{name:60} {verdict}", flush=True)
            results.append(verdict == "caught")
    print(f"{sum(results)} of {len(results)} caught")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
