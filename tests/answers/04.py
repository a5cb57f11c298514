# %% 1 right
def sigmoid_slope(y):
    return y - y**2, 0.25
# %% 1 wrong
def sigmoid_slope(y):
    return 1 - y * y, 1
# %% 1 wrong
def sigmoid_slope(y):
    return y * (1 - y), 1
# %% 1 wrong
def sigmoid_slope(y):
    return y * (1 - y)
# %% 1 wrong
def sigmoid_slope(y):
    return y * (1 - y), (y * (1 - y)).max() + 0.01
# %% 2 right
def saturated_from(s):
    t = (1 - s) ** 0.5
    return 0.5 * np.log((1 + t) / (1 - t))
# %% 2 wrong
def saturated_from(s):
    return np.arctanh(1 - s)
# %% 2 wrong
def saturated_from(s):
    return np.tanh(np.sqrt(1 - s))
# %% 2 wrong
def saturated_from(s):
    return 0.881374
# %% 3 right
layers = next(L for L in range(100) if 0.4**L < 0.001)
# %% 3 wrong
layers = 7
# %% 3 wrong
layers = 7.54
# %% 3 wrong
layers = 1000
# %% 4 right
class LeakyReLU(Layer):
    def forward(self, x, train=True):
        return np.where(x > 0, x, 0.1 * x), x

    def backward(self, dy, cache):
        return 0.1 * dy + 0.9 * dy * (cache > 0), {}
# %% 4 wrong
class LeakyReLU(Layer):
    def forward(self, x, train=True):
        return np.where(x > 0, x, 0.1 * x), x

    def backward(self, dy, cache):
        return dy * (cache > 0), {}
# %% 4 wrong
class LeakyReLU(Layer):
    def forward(self, x, train=True):
        return np.where(x > 0, x, 0.1 * x), x

    def backward(self, dy, cache):
        return np.where(cache > 0, dy, 0.1 * dy)
# %% 4 wrong
class LeakyReLU(Layer):
    def forward(self, x, train=True):
        return np.maximum(x, 0), x

    def backward(self, dy, cache):
        return dy * (cache > 0), {}
# %% 4 wrong
class LeakyReLU(Layer):
    def forward(self, x, train=True):
        return np.where(x > 0, x, 0.1 * x), x

    def backward(self, dy, cache):
        return np.where(cache > 0, 1, 0.1), {}
