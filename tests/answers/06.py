# %% 1 right
def windows_rounded_up(H, z, s):
    return int(np.ceil((H - z) / s)) + 1
# %% 1 wrong
def windows_rounded_up(H, z, s):
    return (H - z) // s + 1
# %% 1 wrong
def windows_rounded_up(H, z, s):
    return -(-(H - 3) // 2) + 1
# %% 1 wrong
def windows_rounded_up(H, z, s):
    return (H - z) / s + 1
# %% 1 wrong
def windows_rounded_up(H):
    return -(-(H - 3) // 2) + 1
# %% 2 right
number = 7.0 * (1 / 12)
# %% 2 wrong
number = 7
# %% 2 wrong
number = 84
# %% 2 wrong
number = "7/12"
# %% 3 right
class AveragePool(MaxPool2d):
    def forward(self, x, train=True):
        return sum(self.places(x)) / self.size**2, x.shape

    def backward(self, dy, cache):
        dx = np.zeros(cache)
        for p, q in np.ndindex(dy.shape[1:3]):
            i, j = self.stride * p, self.stride * q
            dx[:, i:i + self.size, j:j + self.size] += dy[:, p:p + 1, q:q + 1] / self.size**2
        return dx, {}
# %% 3 wrong
class AveragePool(MaxPool2d):
    def forward(self, x, train=True):
        return sum(self.places(x)) / self.size**2, x.shape

    def backward(self, dy, cache):
        dx = np.zeros(cache)
        for place in self.places(dx):
            place += dy
        return dx, {}
# %% 3 wrong
class AveragePool(MaxPool2d):
    def forward(self, x, train=True):
        return sum(self.places(x)) / self.size**2, x.shape

    def backward(self, dy, cache):
        dx = np.zeros(cache)
        for place in self.places(dx):
            place[...] = dy / self.size**2
        return dx, {}
# %% 3 wrong
class AveragePool(MaxPool2d):
    def forward(self, x, train=True):
        return sum(self.places(x)) / 9, x.shape

    def backward(self, dy, cache):
        dx = np.zeros(cache)
        for place in self.places(dx):
            place += dy / 9
        return dx, {}
# %% 3 wrong
class AveragePool(MaxPool2d):
    def forward(self, x, train=True):
        return sum(self.places(x)) / self.size**2, x.shape

    def backward(self, dy, cache):
        return dy[:, 1000, 1000], {}
# %% 4 right
def backward_to_all(dy, x, y, layer):
    dx = np.zeros_like(x)
    z, s = layer.size, layer.stride
    for n, p, q, c in np.ndindex(dy.shape):
        window = x[n, s * p:s * p + z, s * q:s * q + z, c]
        dx[n, s * p:s * p + z, s * q:s * q + z, c] += np.where(window == window.max(), dy[n, p, q, c], 0)
    return dx
# %% 4 wrong
def backward_to_all(dy, x, y, layer):
    return layer.backward(dy, layer.forward(x)[1])[0]
# %% 4 wrong
def backward_to_all(dy, x, y, layer):
    dx = np.zeros_like(x)
    for into, pixels in zip(layer.places(dx), layer.places(x)):
        into[...] = dy * (pixels == y)
    return dx
# %% 4 wrong
def backward_to_all(dy, x, y, layer):
    return (dy * (x == y))
# %% 4 wrong
def backward_to_all(dy, x, y, layer):
    dx = np.zeros_like(x)
    for i, j in np.ndindex(3, 3):
        dx[:, i:i + 5:2, j:j + 5:2] += dy * (x[:, i:i + 5:2, j:j + 5:2] == y)
    return dx
