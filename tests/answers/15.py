# %% 1 right
def pytorch_alpha(alpha, size):
    return sum(alpha for _ in range(size))
# %% 1 wrong
def pytorch_alpha(alpha, size):
    return alpha / size
# %% 1 wrong
def pytorch_alpha(alpha, size):
    return alpha
# %% 1 wrong
def pytorch_alpha(alpha, size):
    return 5e-4
# %% 1 wrong
def pytorch_alpha(alpha, size):
    return alpha * sise
# %% 2 right
def momentum_outside(g, lr, momentum):
    n = len(g)
    v = [sum(momentum ** (t - s) * g[s] for s in range(t + 1)) for t in range(n)]
    return -np.dot(lr, v)
# %% 2 wrong
def momentum_outside(g, lr, momentum):
    w = v = 0.0
    for gradient, rate in zip(g, lr):
        v = momentum * v - rate * gradient
        w += v
    return w
# %% 2 wrong
def momentum_outside(g, lr, momentum):
    w = v = 0.0
    for gradient, rate in zip(g, lr):
        v = 0.9 * v + gradient
        w -= rate * v
    return w
# %% 2 wrong
def momentum_outside(g, lr, momentum):
    w = v = 0.0
    for gradient, rate in zip(g, lr):
        v = momentum * v + (1 - momentum) * gradient
        w -= rate * v
    return w
# %% 2 wrong
def momentum_outside(g, lr, momentum=0.9):
    return g @ lr / (1 - momentum)
# %% 3 right
may = np.array([True, True, False, False, True])
# %% 3 wrong
may = [1, 1, 1, 0, 1]
# %% 3 wrong
may = [1, 0, 0, 0, 0]
# %% 3 wrong
may = [1, 1, 0, 1]
# %% 4 right
def factors(rate):
    keep = 1 - rate
    return np.array([keep, 1, 1]) / keep
# %% 4 wrong
def factors(rate):
    return 1, 2, 2
# %% 4 wrong
def factors(rate):
    return 1, 1 - rate, 1 - rate
# %% 4 wrong
def factors(rate):
    return 1 / (1 - rate), 1 / (1 - rate), 1
# %% 4 wrong
def factors(rate):
    return 1, 1 / (1 - rate)
