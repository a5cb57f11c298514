# %% 1 right
def avoided(better, worse):
    return 1 - better / worse
# %% 1 wrong
def avoided(better, worse):
    return (worse - better) / better
# %% 1 wrong
def avoided(better, worse):
    return worse - better
# %% 1 wrong
def avoided(better, worse):
    return 0.416
# %% 1 wrong
def avoided(better):
    return better
# %% 2 right
def geometric(probabilities):
    logits = np.log(probabilities).sum(0) / len(probabilities)
    logits -= logits.max(1, keepdims=True)
    return np.exp(logits) / np.exp(logits).sum(axis=1)[:, None]
# %% 2 wrong
def geometric(probabilities):
    return probabilities.mean(0)
# %% 2 wrong
def geometric(probabilities):
    return np.exp(np.log(probabilities).mean(0))
# %% 2 wrong
def geometric(probabilities):
    g = probabilities.prod(0) ** (1 / 3)
    return g / g.sum(1, keepdims=True)
# %% 2 wrong
def geometric(probabilities):
    g = probabilities.prod(0)
    return g / g.sum(1)
# %% 3 right
def vote(near, labels):
    counts = (labels[near][:, :, None] == np.arange(labels.max() + 1)).sum(1)
    return counts.argmax(1)
# %% 3 wrong
def vote(near, labels):
    return labels[near[:, 0]]
# %% 3 wrong
def vote(near, labels):
    counts = np.array([np.bincount(labels[row], minlength=10)[::-1] for row in near])
    return 9 - counts.argmax(1)
# %% 3 wrong
def vote(near, labels):
    return np.array([np.bincount(row).argmax() for row in near])
# %% 3 wrong
def vote(near, labels):
    return np.median(labels[near], axis=1)
# %% 4 right
def test_images(gain, differ, deviations):
    return differ * (deviations / gain) ** 2
# %% 4 wrong
def test_images(gain, differ, deviations):
    return deviations * np.sqrt(differ) / gain
# %% 4 wrong
def test_images(gain, differ, deviations):
    return 14_400
# %% 4 wrong
def test_images(gain, differ, deviations):
    return 9 * differ / gain**2
