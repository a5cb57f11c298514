# %% 1 right
def trial_B(Pool):
    pool, x = Pool(2, 1), rng.permutation(20).reshape(1, 4, 5, 1) / 1.0
    y, cache = pool.forward(x)
    assert abs(pool.backward(np.ones_like(y), cache)[0].sum() - y.size) < 1e-9
def trial_C(Conv):
    check_layer(Conv(1, 1, 2, stride=3), rng.standard_normal((1, 9, 8, 1)))
# %% 1 wrong
def trial_B(Pool):
    check_layer(Pool(3, 2), rng.permutation(2 * 7 * 9 * 3).reshape(2, 7, 9, 3) / 8)
def trial_C(Conv):
    check_layer(Conv(2, 3, 3), rng.standard_normal((2, 7, 9, 2)))
# %% 1 wrong
def trial_B(Pool):
    assert False
def trial_C(Conv):
    assert False
# %% 1 wrong
def trial_B(Pool):
    assert Pool is MaxPool2d
def trial_C(Conv):
    assert Conv is Conv2d
# %% 1 wrong
def trial_B(Pool):
    assert Pool.__name__ != "B"
def trial_C(Conv):
    assert Conv.__name__ != "C"
# %% 1 wrong
def trial_B(Pool):
    check_layer(Pool(3, 2), rng.permutation(2 * 7 * 9 * 3).reshape(2, 7, 9, 3) / 8)
def trial_C(Conv):
    check_layer(Conv(2, 3, 3, strides=2), rng.standard_normal((2, 7, 9, 2)))
# %% 2 right
def trial_D(R):
    x = np.array([[-1.0, 2.0]])
    R().forward(x)
    assert x[0, 0] == -1
# %% 2 wrong
def trial_D(R):
    assert R is ReLU
# %% 2 wrong
def trial_D(R):
    assert np.array_equal(R().forward(signs.copy())[0], np.maximum(signs, 0))
# %% 2 wrong
def trial_D(R):
    y, cache = R().forward(signs.copy())
    assert np.array_equal(R().backward(np.ones_like(y), cache)[0], signs < 0)
# %% 3 right
def trial_E(Pool):
    check_layer(Pool(2, 2), rng.standard_normal((1, 4, 6, 2)))
# %% 3 wrong
def trial_E(Pool):
    check_layer(Pool(2, 2), whole / 4)
# %% 3 wrong
def trial_E(Pool):
    check_layer(Pool(2, 2), np.ones((1, 4, 4, 1)) / 3)
# %% 3 wrong
def trial_E(Pool):
    x = np.float32(whole / 3)
    y, cache = Pool(2, 2).forward(x)
    assert np.any(Pool(2, 2).backward(np.ones_like(y), cache)[0])
# %% 4 right
def trial_F(Loss):
    loss, z = Loss(), rng.standard_normal((4, 3))
    value, cache = loss.forward(z, np.array([0, 2, 1, 1]))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert np.allclose(loss.backward(cache), (p - np.eye(3)[[0, 2, 1, 1]]) / 4)
# %% 4 wrong
def trial_F(Loss):
    check_layer(AsLayer(Loss(), np.array([2, 0])), rng.standard_normal((3, 5)))
# %% 4 wrong
def trial_F(Loss):
    check_layer(AsLayer(Loss(), np.array([2])), rng.standard_normal((1, 5)))
# %% 4 wrong
def trial_F(Loss):
    loss, z = Loss(), rng.standard_normal((4, 3))
    value, cache = loss.forward(z, np.array([0, 2, 1, 1]))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert np.allclose(loss.backward(cache), p - np.eye(3)[[0, 2, 1, 1]])
# %% 5 right
def trial_G(Conv):
    layer, x = Conv(1, 1, 2, padding=(0, 1)), rng.standard_normal((1, 3, 3, 1))
    layer.params = {"W": np.ones((2, 2, 1, 1)), "b": np.zeros(1)}
    assert np.isclose(layer.forward(x)[0][0, 0, 0, 0], x[0, :2, :2].sum())
# %% 5 wrong
def trial_G(Conv):
    layer, own, x = Conv(2, 3, 3, padding=(0, 1)), Conv2d(2, 3, 3, padding=(0, 1)), rng.standard_normal((2, 6, 5, 2))
    layer.params = own.params = {name: rng.standard_normal(p.shape) for name, p in own.params.items()}
    assert np.allclose(layer.forward(x)[0], own.forward(x)[0])
# %% 5 wrong
def trial_G(Conv):
    check_layer(Conv(2, 3, 3, padding=(0, 1)), rng.standard_normal((2, 6, 5, 2)))
# %% 5 wrong
def trial_G(Conv):
    padded, plain, x = Conv(2, 3, 3, padding=1), Conv2d(2, 3, 3), rng.standard_normal((2, 6, 5, 2))
    padded.params = plain.params = {name: rng.standard_normal(p.shape) for name, p in plain.params.items()}
    assert np.allclose(padded.forward(x)[0], plain.forward(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))[0])
# %% 5 wrong
def trial_G(Conv):
    padded, plain, x = Conv(2, 3, 3, padding=(0, 1)), Conv2d(2, 3, 3), rng.standard_normal((2, 6, 5, 2))
    padded.params = plain.params = {name: rng.standard_normal(p.shape) for name, p in plain.params.items()}
    assert np.allclose(padded.forward(x)[0], plain.forward(np.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0))))[0])
# %% 6 right
def trial_H(Conv):
    layer, x = Conv(4, 2, 1, groups=2), rng.standard_normal((1, 3, 3, 4))
    W = rng.standard_normal((1, 1, 2, 2))
    layer.params = {"W": W, "b": np.zeros(2)}
    wanted = np.stack([x[..., :2] @ W[0, 0, :, 0], x[..., 2:] @ W[0, 0, :, 1]], axis=3)
    assert np.allclose(layer.forward(x)[0], wanted)
# %% 6 wrong
def trial_H(Conv):
    layer, own, x = Conv(4, 6, 3, groups=2), Conv2d(4, 6, 3, groups=2), rng.standard_normal((2, 5, 6, 4))
    layer.params = own.params = {name: rng.standard_normal(p.shape) for name, p in own.params.items()}
    assert np.allclose(layer.forward(x)[0], own.forward(x)[0])
# %% 6 wrong
def trial_H(Conv):
    check_layer(Conv(4, 6, 3, groups=2), rng.standard_normal((2, 5, 6, 4)))
# %% 6 wrong
def trial_H(Conv):
    layer, x = Conv(4, 6, 3, groups=2), rng.standard_normal((2, 5, 6, 4))
    assert np.allclose(layer.forward(x)[0], 0)
# %% 7 right
def trial_I(Norm):
    x = rng.uniform(-2, 2, (1, 1, 1, 12))
    y = Norm(5, alpha=2.0, k=1.0).forward(x)[0]
    for i in range(12):
        around = sum(x[0, 0, 0, j] ** 2 for j in range(12) if abs(j - i) <= 2)
        assert abs(y[0, 0, 0, i] - x[0, 0, 0, i] * (1 + 2 * around) ** -0.75) < 2e-3 * abs(y[0, 0, 0, i])
# %% 7 wrong
def trial_I(Norm):
    x = rng.standard_normal((2, 3, 2, 9))
    wanted = [x[..., i] / (2 + 1e-4 * (x[..., max(0, i - 2):i + 3] ** 2).sum(3)) ** 0.75 for i in range(9)]
    assert np.allclose(Norm().forward(x)[0], np.stack(wanted, 3), rtol=1e-3)
# %% 7 wrong
def trial_I(Norm):
    x = rng.standard_normal((2, 3, 2, 9))
    wanted = [x[..., i] / (2 + 1e-4 * (x[..., max(0, i - 2):i + 3] ** 2).sum(3)) ** 0.75 for i in range(9)]
    assert np.allclose(Norm().forward(x)[0], np.stack(wanted, 3))
# %% 7 wrong
def trial_I(Norm):
    x = rng.standard_normal((2, 3, 2, 9))
    assert np.allclose(Norm(5, alpha=1.0).forward(x)[0], LocalResponseNorm(5, alpha=1.0).forward(x)[0], rtol=1e-3)
# %% 7 wrong
def trial_I(Norm):
    check_layer(Norm(5, alpha=1.0), rng.standard_normal((2, 3, 2, 9)))
# %% 8 right
def trial_J(Drop):
    y = Drop(0.2).forward(np.ones((1, 50)), train=False)[0]
    assert np.all(y == y[0, 0]) and abs(y[0, 0] - 0.8) < 1e-12
# %% 8 wrong
def trial_J(Drop):
    x = rng.standard_normal((3, 40))
    assert np.allclose(Drop(0.5).forward(x, train=False)[0], x)
# %% 8 wrong
def trial_J(Drop):
    check_layer(Drop(0.5), rng.standard_normal((3, 40)), key=(2,))
# %% 8 wrong
def trial_J(Drop):
    x = rng.standard_normal((3, 40))
    assert np.allclose(Drop(0.5).forward(x, train=False)[0], Dropout(0.5).forward(x, train=False)[0])
# %% 8 wrong
def trial_J(Drop):
    x = rng.standard_normal((3, 40))
    assert np.allclose(Drop(0.5).forward(x, test=True)[0], 0.5 * x)
