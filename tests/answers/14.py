# %% 1 right
def sign_test(changes):
    positive = sum(d > 0 for d in changes)
    n = len(changes)
    ways = [bin(i).count("1") for i in range(2**n)]
    return np.mean([abs(w - n / 2) >= abs(positive - n / 2) for w in ways])
# %% 1 wrong
def sign_test(changes):
    return 2 / 2 ** len(changes)
# %% 1 wrong
def sign_test(changes):
    n, k = len(changes), min(np.sum(changes > 0), np.sum(changes < 0))
    return sum(comb(n, i) for i in range(k + 1)) / 2**n
# %% 1 wrong
def sign_test(changes):
    n, k = len(changes), min(np.sum(changes > 0), np.sum(changes < 0))
    return 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n
# %% 1 wrong
def sign_test(changes):
    n, k = len(changes), np.sum(changes < 0)
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)
# %% 2 right
def unpaired_by_paired(without, whole):
    n = len(whole)
    return np.sqrt(without.var() + whole.var()) / np.sqrt((without - whole).var()) * (n / n)
# %% 2 wrong
def unpaired_by_paired(without, whole):
    return (without - whole).std() / np.sqrt(without.var() + whole.var())
# %% 2 wrong
def unpaired_by_paired(without, whole):
    return (without.std() + whole.std()) / (without - whole).std()
# %% 2 wrong
def unpaired_by_paired(without, whole):
    return np.sqrt(without.var(ddof=1) / 5 + whole.var(ddof=1) / 5) / mean_and_error(without - whole)[1]
# %% 2 wrong
def unpaired_by_paired(without, whole):
    return without.variance
# %% 3 right
def seeds_needed(points, part, scatter):
    n = 1
    while scatter / n**0.5 > part * points:
        n += 1
    return n
# %% 3 wrong
def seeds_needed(points, part, scatter):
    return (scatter / (part * points)) ** 2
# %% 3 wrong
def seeds_needed(points, part, scatter):
    return round((scatter / (part * points)) ** 2)
# %% 3 wrong
def seeds_needed(points, part, scatter):
    return int(np.ceil((3 * scatter / points) ** 2))
# %% 3 wrong
def seeds_needed(points, part, scatter):
    return 24
