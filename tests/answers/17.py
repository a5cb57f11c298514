# %% 1 right
def joined(gradients, counts):
    total = 0
    for gradient, count in zip(gradients, counts):
        total = total + gradient * count
    return total / sum(counts)
# %% 1 wrong
def joined(gradients, counts):
    return gradients.mean(0)
# %% 1 wrong
def joined(gradients, counts):
    return gradients.sum(0)
# %% 1 wrong
def joined(gradients, counts):
    return counts @ gradients / 10
# %% 1 wrong
def joined(gradients, counts):
    return counts @ gradients / len(counts)
# %% 2 right
def ring_seconds(n, P, alpha, beta):
    return sum(alpha + n / (P * beta) for turn in range(2 * P - 2))
# %% 2 wrong
def ring_seconds(n, P, alpha, beta):
    return (P - 1) * (alpha + n / P / beta)
# %% 2 wrong
def ring_seconds(n, P, alpha, beta):
    return 2 * (P - 1) * (alpha + n / beta)
# %% 2 wrong
def ring_seconds(n, P, alpha, beta):
    return 2 * P * (alpha + n / P / beta)
# %% 2 wrong
def ring_seconds(n, P, alpha, beta):
    return 2 * (P - 1) / P * n / beta + 2 * np.log2(P) * alpha
# %% 3 right
def too_many(F, E, B):
    P = 2
    while E * B * P <= F:
        P += 1
    return P
# %% 3 wrong
def too_many(F, E, B):
    return F // (E * B)
# %% 3 wrong
def too_many(F, E, B):
    return 2 * F // (E * B) + 1
# %% 3 wrong
def too_many(F, E, B):
    return F / (E * B)
# %% 3 wrong
def too_many(F, E, B):
    return 27
