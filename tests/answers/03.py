# %% 1 right
def side(H, R, before, after, t):
    return len(range(0, H + before + after - R + 1, t))
# %% 1 wrong
def side(H, R, before, after, t):
    return (H + before + after - R) // t
# %% 1 wrong
def side(H, R, before, after, t):
    return (H - R) // t + 1
# %% 1 wrong
def side(H, R, before, after, t):
    return (H + before + after - R) / t + 1
# %% 1 wrong
def side(H, R, before, after, t):
    return (H + 2 * before - R) // t + 1
# %% 2 right
multiply_adds = 105_415_200 + 223_948_800 + 149_520_384 + 112_140_288 + 74_760_192
# %% 2 wrong
multiply_adds = 1_076_634_144
# %% 2 wrong
multiply_adds = 665_784_865
# %% 2 wrong
multiply_adds = 724_406_816
# %% 3 right
def convolution_1x1(x, W, b):
    return np.einsum("nhwc,ck->nhwk", x, W[0, 0]) + b
# %% 3 wrong
def convolution_1x1(x, W, b):
    return x @ W[0, 0]
# %% 3 right
def convolution_1x1(x, W, b):
    return x @ W + b                    # W's first two sides are 1
# %% 3 wrong
def convolution_1x1(x, W, b):
    return x @ (W[0, 0] + b)
# %% 3 wrong
def convolution_1x1(x, W, b):
    return x.reshape(40, 3) @ W.reshape(3, 6) + b
# %% 4 right
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] += x[:, stride * p + r, stride * q + s].T @ dy[:, p, q]
    return dW
# %% 4 wrong
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] += x[:, 2 * p + r, 2 * q + s].T @ dy[:, p, q]
    return dW
# %% 4 wrong
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] = x[:, stride * p + r, stride * q + s].T @ dy[:, p, q]
    return dW
# %% 4 wrong
def weight_gradient(dy, x, R, stride):
    N, P, Q, K = dy.shape
    dW = np.zeros((R, R, x.shape[3], K))
    for r, s, p, q in np.ndindex(R, R, P, Q):
        dW[r, s] += x[:, stride * p + r, stride * q + s].T @ dy[:, p, q] / N
    return dW
# %% 4 wrong
def weight_gradient(dy, x, R, stride):
    return np.tensordot(x, dy, 3)
# %% 5 right
def input_gradient_by_slices(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for p, q in np.ndindex(P, Q):
        for r, s in np.ndindex(R, S):
            dx[:, stride * p + r, stride * q + s] += dy[:, p, q] @ W[r, s].T
    return dx
# %% 5 wrong
def input_gradient_by_slices(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for p, q in np.ndindex(P, Q):
        for r, s in np.ndindex(R, S):
            dx[:, stride * p + r, stride * q + s] += dy[:, p, q] @ W[R - 1 - r, S - 1 - s].T
    return dx
# %% 5 wrong
def input_gradient_by_slices(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for p, q in np.ndindex(P, Q):
        for r, s in np.ndindex(R, S):
            dx[:, stride * p + r, stride * q + s] = dy[:, p, q] @ W[r, s].T
    return dx
# %% 5 wrong
def input_gradient_by_slices(dy, W, shape, stride):
    dx = np.zeros(shape)
    (R, S), (P, Q) = W.shape[:2], dy.shape[1:3]
    for r, s in np.ndindex(R, S):
        dx[:, r:r + P, s:s + Q] += dy @ W[r, s].T
    return dx
# %% 5 wrong
def input_gradient_by_slices(dy, W, shape, stride):
    dx = np.zeros(shape)
    for r, s in np.ndindex(W.shape[:2]):
        dx[:, r::stride, s::stride] += dy @ W[r, s].T
    return dx
# %% 6 right
def two_sides(layer, x, v):
    y, cache = layer.forward(x)
    dx, grads = layer.backward(v, cache)
    return (y * v).sum(), (x * dx).sum()
# %% 6 wrong
def two_sides(layer, x, v):
    a = np.vdot(layer.forward(x)[0], v)
    return a, a
# %% 6 wrong
def two_sides(layer, x, v):
    y, cache = layer.forward(x)
    return np.vdot(y, y), np.vdot(x, layer.backward(v, cache)[0])
# %% 6 wrong
def two_sides(layer, x, v):
    y, cache = layer.forward(x)
    return np.vdot(y, v), np.vdot(x, layer.backward(v, cache))
