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
may = np.array([True, True, False, False, True])
# %% 2 wrong
may = [1, 1, 1, 0, 1]
# %% 2 wrong
may = [1, 0, 0, 0, 0]
# %% 2 wrong
may = [1, 1, 0, 1]
# %% 3 right
def factors(rate):
    keep = 1 - rate
    return np.array([keep, 1, 1]) / keep
# %% 3 wrong
def factors(rate):
    return 1, 2, 2
# %% 3 wrong
def factors(rate):
    return 1, 1 - rate, 1 - rate
# %% 3 wrong
def factors(rate):
    return 1 / (1 - rate), 1 / (1 - rate), 1
# %% 3 wrong
def factors(rate):
    return 1, 1 / (1 - rate)
