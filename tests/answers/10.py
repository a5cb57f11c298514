# %% 1 right
def inverted_dropout(x, mask, rate, train):
    return np.where(mask, x / (1 - rate), 0) if train else x
def inverted_dropout_backward(dy, mask, rate):
    return np.where(mask, dy / (1 - rate), 0)
# %% 1 wrong
def inverted_dropout(x, mask, rate, train):
    return x * mask / (1 - rate) if train else x
def inverted_dropout_backward(dy, mask, rate):
    return dy * mask
# %% 1 wrong
def inverted_dropout(x, mask, rate, train):
    return x * mask / (1 - rate) if train else (1 - rate) * x
def inverted_dropout_backward(dy, mask, rate):
    return dy * mask / (1 - rate)
# %% 1 wrong
def inverted_dropout(x, mask, rate, train):
    return x * mask / rate if train else x
def inverted_dropout_backward(dy, mask, rate):
    return dy * mask / rate
# %% 1 wrong
def inverted_dropout(x, mask, rate, train):
    return 2 * x * mask if train else x
def inverted_dropout_backward(dy, mask, rate):
    return 2 * dy * mask
# %% 1 wrong
def inverted_dropout(x, mask, rate):
    return x
def inverted_dropout_backward(dy, mask, rate):
    return dy
# %% 2 right
def deviation(neurons, rate):
    return neurons**0.5 * (rate - rate**2) ** 0.5
# %% 2 wrong
def deviation(neurons, rate):
    return rate * (1 - rate) * neurons
# %% 2 wrong
def deviation(neurons, rate):
    return np.sqrt(neurons) / 2
# %% 2 wrong
def deviation(neurons, rate):
    return (1 - rate) * neurons
# %% 2 wrong
def deviation(neurons, rate):
    return np.sqrt(variance)
# %% 3 right
def same_step(lr, rate):
    keep = 1 - rate
    return lr * keep * keep
# %% 3 wrong
def same_step(lr, rate):
    return lr / (1 - rate) ** 2
# %% 3 wrong
def same_step(lr, rate):
    return lr * (1 - rate)
# %% 3 wrong
def same_step(lr, rate):
    return lr / 4
# %% 4 right
def weighted_geometric_mean(x, r):
    logs = 0
    for mask in all_masks:
        probability = np.prod(np.where(mask, 1 - r, r))
        logs = logs + probability * np.log(one_layer((mask * x)[None])[0])
    return softmax(logs[None])[0]
# %% 4 wrong
def weighted_geometric_mean(x, r):
    p = one_layer(all_masks * x)
    g = np.exp(np.log(p).mean(0))
    return g / g.sum()
# %% 4 wrong
def weighted_geometric_mean(x, r):
    p = one_layer(all_masks * x)
    k = all_masks.sum(1)
    return (1 - r) ** k * r ** (10 - k) @ p
# %% 4 wrong
def weighted_geometric_mean(x, r):
    p = one_layer(all_masks * x)
    k = all_masks.sum(1)
    return np.exp((1 - r) ** k * r ** (10 - k) @ np.log(p))
# %% 4 wrong
def weighted_geometric_mean(x, r):
    p = one_layer(all_masks * x)
    k = all_masks.sum(1)
    g = np.exp((1 - r) ** (10 - k) * r**k @ np.log(p))
    return g / g.sum()
