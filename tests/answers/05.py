# %% 1 right
def loudest(k, alpha, beta):
    return (k / alpha) ** 0.5 / (2 * beta - 1) ** 0.5
# %% 1 wrong
def loudest(k, alpha, beta):
    return np.sqrt(2 * k / alpha)
# %% 1 wrong
def loudest(k, alpha, beta):
    return np.sqrt(k / alpha)
# %% 1 wrong
def loudest(k, alpha, beta):
    return k / (alpha * (2 * beta - 1))
# %% 1 wrong
def loudest(k, alpha):
    return np.sqrt(2 * k / alpha)
# %% 2 right
caffe = LocalResponseNorm(alpha=2e-5, k=1.0)
# %% 2 wrong
caffe = LocalResponseNorm(k=1.0)
# %% 2 wrong
caffe = LocalResponseNorm(alpha=2e-5)
# %% 2 wrong
caffe = "LocalResponseNorm"
# %% 3 right
def backward_alone(g, a, k, alpha, beta):
    d = k + alpha * a * a
    return g * d ** (-beta - 1) * (d - 2 * alpha * beta * a * a)
# %% 3 wrong
def backward_alone(g, a, k, alpha, beta):
    return g * (k + alpha * a**2) ** -beta
# %% 3 wrong
def backward_alone(g, a, k, alpha, beta):
    d = k + alpha * a**2
    return g * d**-beta - alpha * beta * a * g * a * d ** (-beta - 1)
# %% 3 wrong
def backward_alone(g, a, k, alpha, beta):
    d = 2 + alpha * a**2
    return g * d**-0.75 - 1.5 * alpha * a * g * a * d**-1.75
# %% 3 wrong
def backward_alone(g, a, k, alpha, beta):
    d = k + alpha * a**2
    return d**-beta - 2 * alpha * beta * a**2 * d ** (-beta - 1)
# %% 4 right
kept, more = 290_400 * 2, 290_400
# %% 4 wrong
kept, more = 290_400, 290_400
# %% 4 wrong
kept, more = 580_800.4, 290_400
# %% 4 wrong
kept, more = 580_800, 871_200
