# %% 1 right
def number_of_views(image, side):
    places = range(image - side + 1)
    return len([(i, j, mirror) for i in places for j in places for mirror in (0, 1)])
# %% 1 wrong
def number_of_views(image, side):
    return 2 * (image - side) ** 2
# %% 1 wrong
def number_of_views(image, side):
    return (image - side + 1) ** 2
# %% 1 wrong
def number_of_views(image, side):
    return 2048
# %% 2 right
def cut_out(view, top, left, size):
    view = view + 0
    for i in range(max(top, 0), min(top + size, view.shape[0])):
        for j in range(max(left, 0), min(left + size, view.shape[1])):
            view[i, j] = 0
    return view
# %% 2 wrong
def cut_out(view, top, left, size):
    view = view.copy()
    view[top:top + size, left:left + size] = 0
    return view
# %% 2 wrong
def cut_out(view, top, left, size):
    view[max(0, top):max(0, top + size), max(0, left):max(0, left + size)] = 0
    return view
# %% 2 wrong
def cut_out(view, top, left, size):
    return view
# %% 2 wrong
def cut_out(view, top, left, size):
    view = view.copy()
    for i in range(top, top + size):
        for j in range(left, left + size):
            view[i, j] = 0
    return view
# %% 3 right
def share_of_crops(i, j, n, side):
    inside = [a <= i < a + side and b <= j < b + side for a in range(n) for b in range(n)]
    return sum(inside) / n**2
# %% 3 wrong
def share_of_crops(i, j, n, side):
    return min(i + 1, n) * min(j + 1, n) / n**2
# %% 3 wrong
def share_of_crops(i, j, n, side):
    return sum(a <= i < a + side for a in range(n)) / n
# %% 3 wrong
def share_of_crops(i, j, n, side):
    return sum(a <= i <= a + side and b <= j <= b + side for a in range(n) for b in range(n)) / n**2
# %% 3 wrong
def share_of_crops(i, j, n, side):
    return i / 0
# %% 4 right
def colour_shift(alpha, values, vectors):
    return sum(alpha[i] * values[i] * vectors[:, i] for i in range(3)) / 255
# %% 4 wrong
def colour_shift(alpha, values, vectors):
    return vectors @ (alpha * values)
# %% 4 wrong
def colour_shift(alpha, values, vectors):
    return vectors @ (alpha * np.sqrt(values))
# %% 4 wrong
def colour_shift(alpha, values, vectors):
    return vectors.T @ (alpha * values) / 255
# %% 4 wrong
def colour_shift(alpha, values, vectors):
    return vectors @ (0.1 * alpha * values) / 255
# %% 5 right
def predict_views(logits):
    p = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    return p.mean(0)
# %% 5 wrong
def predict_views(logits):
    return softmax(logits.mean(0))
# %% 5 wrong
def predict_views(logits):
    return sum(softmax(one) for one in logits)
# %% 5 wrong
def predict_views(logits):
    return softmax(logits[0])
# %% 5 wrong
def predict_views(logits):
    p = np.exp(logits) / np.exp(logits).sum(0)
    return p.mean(0)
