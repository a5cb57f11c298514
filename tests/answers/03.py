# %% 1 right
multiply_adds = 105_415_200 + 223_948_800 + 149_520_384 + 112_140_288 + 74_760_192
# %% 1 wrong
multiply_adds = 1_076_634_144
# %% 1 wrong
multiply_adds = 665_784_865
# %% 1 wrong
multiply_adds = 724_406_816
# %% 2 right
def input_gradient(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for p, q in np.ndindex(P, Q):
        for r, s in np.ndindex(R, S):
            dx[:, stride * p + r, stride * q + s] += dy[:, p, q] @ W[r, s].T
    return dx
# %% 2 wrong
def input_gradient(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for p, q in np.ndindex(P, Q):
        for r, s in np.ndindex(R, S):
            dx[:, stride * p + r, stride * q + s] += dy[:, p, q] @ W[R - 1 - r, S - 1 - s].T
    return dx
# %% 2 wrong
def input_gradient(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for p, q in np.ndindex(P, Q):
        for r, s in np.ndindex(R, S):
            dx[:, stride * p + r, stride * q + s] = dy[:, p, q] @ W[r, s].T
    return dx
# %% 2 wrong
def input_gradient(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for r, s in np.ndindex(R, S):
        dx[:, r:r + P, s:s + Q] += dy @ W[r, s].T
    return dx
# %% 2 wrong
def input_gradient(dy, W, shape, stride):
    dx = np.zeros(shape)
    for r, s in np.ndindex(W.shape[:2]):
        dx[:, r::stride, s::stride] += dy @ W[r, s].T
    return dx
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
