# %% 1 right
def share_of_crops(i, j, n, side):
    inside = [a <= i < a + side and b <= j < b + side for a in range(n) for b in range(n)]
    return sum(inside) / n**2
# %% 1 wrong
def share_of_crops(i, j, n, side):
    return min(i + 1, n) * min(j + 1, n) / n**2
# %% 1 wrong
def share_of_crops(i, j, n, side):
    return sum(a <= i < a + side for a in range(n)) / n
# %% 1 wrong
def share_of_crops(i, j, n, side):
    return sum(a <= i <= a + side and b <= j <= b + side for a in range(n) for b in range(n)) / n**2
# %% 1 wrong
def share_of_crops(i, j, n, side):
    return i / 0
# %% 2 right
def colour_shift(alpha, values, vectors):
    return sum(alpha[i] * values[i] * vectors[:, i] for i in range(3)) / 255
# %% 2 wrong
def colour_shift(alpha, values, vectors):
    return vectors @ (alpha * values)
# %% 2 wrong
def colour_shift(alpha, values, vectors):
    return vectors @ (alpha * np.sqrt(values))
# %% 2 wrong
def colour_shift(alpha, values, vectors):
    return vectors.T @ (alpha * values) / 255
# %% 2 wrong
def colour_shift(alpha, values, vectors):
    return vectors @ (0.1 * alpha * values) / 255
# %% 3 right
def predict_views(logits):
    p = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    return p.mean(0)
# %% 3 wrong
def predict_views(logits):
    return softmax(logits.mean(0))
# %% 3 wrong
def predict_views(logits):
    return sum(softmax(one) for one in logits)
# %% 3 wrong
def predict_views(logits):
    return softmax(logits[0])
# %% 3 wrong
def predict_views(logits):
    p = np.exp(logits) / np.exp(logits).sum(0)
    return p.mean(0)
