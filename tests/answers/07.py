# %% 1 right
def bytes_sent(side, maps, images):
    return np.zeros((images, side, side, maps), np.float32).nbytes
# %% 1 wrong
def bytes_sent(side, maps, images):
    return 11_075_584
# %% 1 wrong
def bytes_sent(side, maps, images):
    return 2 * 4 * images * maps * side**2
# %% 1 wrong
def bytes_sent(side, maps, images):
    return images * maps * side**2
# %% 1 wrong
def bytes_sent(side, maps):
    return maps * side**2 * 4
# %% 2 right
def exchange_backward(g0, g1, width):
    return np.split(g0 + g1, [width], axis=-1)
# %% 2 wrong
def exchange_backward(g0, g1, width):
    return g0[..., :width], g1[..., width:]
# %% 2 wrong
def exchange_backward(g0, g1, width):
    return np.split(g0 + g1, 2, axis=-1)[::-1]
# %% 2 wrong
def exchange_backward(g0, g1, width):
    return g0 + g1
# %% 2 wrong
def exchange_backward(g0, g1, width):
    return (g0 + g1) / 2, (g0 + g1) / 2
# %% 2 wrong
def exchange_backward(g0, g1, width):
    return g0[width, width, width, width, width]
# %% 3 right
def numbers_crossing(numbers, T):
    return T * (numbers - numbers / T)
# %% 3 wrong
def numbers_crossing(numbers, T):
    return numbers * T
# %% 3 wrong
def numbers_crossing(numbers, T):
    return numbers
# %% 3 wrong
def numbers_crossing(numbers, T):
    return numbers - numbers // T
# %% 4 right
fewest = next(n for n in range(1, 2000) if 58_624 * n > 60_965_224)
# %% 4 wrong
fewest = 1039
# %% 4 wrong
fewest = 60_965_224 / 58_624
# %% 4 wrong
fewest = 128
