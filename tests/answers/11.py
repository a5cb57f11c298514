# %% 1 right
def limit(steepest, momentum):
    return (2 + 2 * momentum) * steepest**-1
# %% 1 wrong
def limit(steepest, momentum):
    return 2 / steepest
# %% 1 wrong
def limit(steepest, momentum):
    return 0.04 if momentum == 0 else 0.076
# %% 1 wrong
def limit(steepest, momentum):
    return 2 / (1 - momentum) / steepest
# %% 1 wrong
def limit(steepest, momentum):
    return steepest["lambda"]
# %% 2 right
def factor_of_u(old, new):
    return 1 / (new / old)
# %% 2 wrong
def factor_of_u(old, new):
    return new / old
# %% 2 wrong
def factor_of_u(old, new):
    return 10
# %% 2 wrong
def factor_of_u(old, new):
    return 1
# %% 3 right
def he_deviation(shape):
    n = 1
    for side in shape[:-1]:
        n *= side
    return (2 / n) ** 0.5
# %% 3 wrong
def he_deviation(shape):
    return np.sqrt(1 / np.prod(shape[:-1]))
# %% 3 wrong
def he_deviation(shape):
    return np.sqrt(2 / np.prod(shape))
# %% 3 wrong
def he_deviation(shape):
    R, S, C, K = shape
    return np.sqrt(2 / (R * S * C))
# %% 3 wrong
def he_deviation(shape):
    return np.sqrt(2 / (shape[0] ** 2 * shape[-2]))
# %% 4 right
def resting_places(curvatures, minima, d, momentum):
    return [minima / (1 + decay / curvatures) for decay in (d, d - momentum * d)]
# %% 4 wrong
def resting_places(curvatures, minima, d, momentum):
    return minima * curvatures / (curvatures + d), minima * curvatures / (curvatures + d / 10)
# %% 4 wrong
def resting_places(curvatures, minima, d, momentum):
    return minima * d / (curvatures + d), minima * d / (curvatures + d)
# %% 4 wrong
def resting_places(curvatures, minima, d, momentum):
    return minima * curvatures / (curvatures + d)
# %% 4 wrong
def resting_places(curvatures, minima, d, momentum):
    return minima * curvatures / (curvatures + (1 - momentum) * d), minima * curvatures / (curvatures + d)
