# %% 1 right
def lost_share(width, height):
    return abs(width - height) / max(width, height)
# %% 1 wrong
def lost_share(width, height):
    return 1 - height / width
# %% 1 wrong
def lost_share(width, height):
    return min(width, height) / max(width, height)
# %% 1 wrong
def lost_share(width, height):
    return 1 / 4
# %% 1 wrong
def lost_share(width, height):
    return 1 - height / (width - height)
# %% 2 right
def running_mean(images, shape):
    total, n = np.zeros(shape), 0
    for image in images:
        total, n = total + image, n + 1
    return total / n
# %% 2 wrong
def running_mean(images, shape):
    return np.stack(list(images)).mean(0)
# %% 2 wrong
def running_mean(images, shape):
    return images.mean(0)
# %% 2 wrong
def running_mean(images, shape):
    mean = np.zeros(shape)
    for n, image in enumerate(images):
        mean += (image - mean) / (n + 2)
    return mean
# %% 2 wrong
def running_mean(images, shape):
    mean = np.zeros(shape)
    for image in images:
        mean += image
    return mean
# %% 3 right
def folded_bias(W, b, m):
    return np.array([b[k] - sum(m * W[:, k]) for k in range(len(b))])
# %% 3 wrong
def folded_bias(W, b, m):
    return b + m @ W
# %% 3 wrong
def folded_bias(W, b, m):
    return b - W @ m
# %% 3 wrong
def folded_bias(W, b, m):
    return b - m.mean()
# %% 4 right
def new_rate(lr, s):
    return s * (s * lr)
# %% 4 wrong
def new_rate(lr, s):
    return s * lr
# %% 4 wrong
def new_rate(lr, s):
    return lr / s**2
# %% 4 wrong
def new_rate(lr, s):
    return 100 * lr
