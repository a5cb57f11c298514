# %% 1 right
def tanh_backward(dy, y):
    return dy * (1 - y) * (1 + y)
# %% 1 wrong
def tanh_backward(dy, y):
    return 1 - y**2
# %% 1 wrong
def tanh_backward(dy, y):
    return dy * (1 - np.tanh(y) ** 2)
# %% 1 wrong
def tanh_backward(dy, y):
    return dy * (1 - y)
# %% 1 wrong
def tanh_backward(dy, y):
    return dy @ (1 - y * y)
# %% 2 right
passes = 2 * 59 + 1
# %% 2 wrong
passes = 118
# %% 2 wrong
passes = 71
# %% 2 wrong
passes = 119.4
# %% 3 right
best_step = np.exp(np.log(3 * 2.2e-16) / 3)
# %% 3 wrong
best_step = (2.2e-16) ** (1 / 3)
# %% 3 wrong
best_step = (2.2e-16) ** 0.5
# %% 3 wrong
best_step = 1e-5
# %% 4 right
class Scale(Linear):
    def __init__(self, features):
        super().__init__(features, features)
        self.params = {"g": np.ones(features), "c": np.zeros(features)}

    def forward(self, x, train=True):
        return x * self.params["g"] + self.params["c"], x

    def backward(self, dy, cache):
        return np.einsum("nf,f->nf", dy, self.params["g"]), {"c": np.ones(len(dy)) @ dy, "g": np.einsum("nf,nf->f", dy, cache)}
# %% 4 wrong
class Scale(Linear):
    def __init__(self, features):
        super().__init__(features, features)
        self.params = {"g": np.ones(features), "c": np.zeros(features)}

    def forward(self, x, train=True):
        return x * self.params["g"] + self.params["c"], x

    def backward(self, dy, cache):
        return dy * self.params["g"], ((dy * cache).sum(0), dy.sum(0))
# %% 4 wrong
class Scale(Linear):
    def __init__(self, features):
        super().__init__(features, features)
        self.params = {"g": np.ones(features), "c": np.zeros(features)}

    def forward(self, x, train=True):
        return x * self.params["g"] + self.params["c"], x

    def backward(self, dy, cache):
        return dy * self.params["g"], {"g": (dy * cache).mean(0), "c": dy.mean(0)}
# %% 4 wrong
class Scale(Linear):
    def __init__(self, features):
        super().__init__(features, features)
        self.params = {"g": np.ones(features), "c": np.zeros(features)}

    def forward(self, x, train=True):
        return x * self.params["g"] + self.params["c"], x

    def backward(self, dy, cache):
        return dy, {"g": (dy * cache).sum(0), "c": dy.sum(0)}
# %% 4 wrong
class Scale(Linear):
    def __init__(self, features):
        super().__init__(features, features)
        self.params = {"g": np.ones(features), "c": np.zeros(features)}

    def forward(self, x, train=True):
        return x, x

    def backward(self, dy, cache):
        return dy, {"g": 0 * dy.sum(0), "c": 0 * dy.sum(0)}
# %% 5 right
def ratio(loss, z, labels):
    step = np.zeros_like(z)
    step[1, 2] = 1e-4
    slope = (loss.forward(z + step, labels)[0] - loss.forward(z - step, labels)[0]) / 2e-4
    value, cache = loss.forward(z, labels)
    return loss.backward(cache)[1][2] / slope
# %% 5 wrong
def ratio(loss, z, labels):
    return 4
# %% 5 wrong
def ratio(loss, z, labels):
    return len(z)
# %% 5 wrong
def ratio(loss, z, labels):
    step = np.zeros_like(z)
    step[1, 2] = 1e-4
    slope = (loss.forward(z + step, labels)[0] - loss.forward(z - step, labels)[0]) / 2e-4
    return slope / loss.backward(loss.forward(z, labels)[1])[1, 2]
# %% 5 wrong
def ratio(loss, z, labels):
    return loss.backward(z)[1, 2]
# %% 6 right
def same_training(lr, decay, N):
    smaller = lr / N
    return smaller, lr * decay / smaller
# %% 6 wrong
def same_training(lr, decay, N):
    return lr / N, decay
# %% 6 wrong
def same_training(lr, decay, N):
    return lr * N, decay / N
# %% 6 wrong
def same_training(lr, decay, N):
    return lr / 128, decay * 128
