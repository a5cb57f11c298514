# %% 1 right
multiply_adds = 105_415_200 + 223_948_800 + 149_520_384 + 112_140_288 + 74_760_192
# %% 1 wrong
multiply_adds = 1_076_634_144
# %% 1 wrong
multiply_adds = 665_784_865
# %% 1 wrong
multiply_adds = 724_406_816
# %% 2 right
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] += x[:, stride * p + r, stride * q + s].T @ dy[:, p, q]
    return dW
# %% 2 wrong
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] += x[:, 2 * p + r, 2 * q + s].T @ dy[:, p, q]
    return dW
# %% 2 wrong
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] = x[:, stride * p + r, stride * q + s].T @ dy[:, p, q]
    return dW
# %% 2 wrong
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] += x[:, stride * p + r, stride * q + s].T @ dy[:, p, q] / N
    return dW
# %% 2 wrong
def weight_gradient(dy, x, R, stride):
    return np.tensordot(x, dy, 3)
# %% 3 right
def two_sides(layer, x, v):
    y, cache = layer.forward(x)
    dx, grads = layer.backward(v, cache)
    return (y * v).sum(), (x * dx).sum()
# %% 3 wrong
def two_sides(layer, x, v):
    a = np.vdot(layer.forward(x)[0], v)
    return a, a
# %% 3 wrong
def two_sides(layer, x, v):
    y, cache = layer.forward(x)
    return np.vdot(y, y), np.vdot(x, layer.backward(v, cache)[0])
# %% 3 wrong
def two_sides(layer, x, v):
    y, cache = layer.forward(x)
    return np.vdot(y, v), np.vdot(x, layer.backward(v, cache))
