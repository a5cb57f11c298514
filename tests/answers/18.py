# %% 1 right
def multiplications(m, r):
    return (1 + (r - 1) / m) ** 2
# %% 1 wrong
def multiplications(m, r):
    return (m + r - 1) ** 2
# %% 1 wrong
def multiplications(m, r):
    return (m + r - 1) / m
# %% 1 wrong
def multiplications(m, r):
    return r * r
# %% 1 wrong
def multiplications(m, r):
    return (m + 2) ** 2 / m**2
# %% 2 right
def karatsuba(u, g):
    low, high = u[0] * g[0], u[1] * g[1]
    return [low, low + high - (u[0] - u[1]) * (g[0] - g[1]), high]
# %% 2 wrong
def karatsuba(u, g):
    return [u[0] * g[0], u[0] * g[1] + u[1] * g[0], u[1] * g[1]]
# %% 2 wrong
def karatsuba(u, g):
    low, high = u[0] * g[0], u[1] * g[1]
    return [high, (u[0] + u[1]) * (g[0] + g[1]) - low - high, low]
# %% 2 wrong
def karatsuba(u, g):
    low, high = u[0] * g[0], u[1] * g[1]
    return [low, (u[0] + u[1]) ** 2 - low - high, high]
# %% 2 wrong
def karatsuba(u, g):
    return [10, 29, 21]
# %% 3 right
def kernel_gradient(dy, d, A, B, G):
    inner = [sum(A[i, m] * dy[m] for m in range(len(dy))) * (B[i] @ d) for i in range(len(B))]
    return sum(inner[i] * G[i] for i in range(len(inner)))
# %% 3 wrong
def kernel_gradient(dy, d, A, B, G):
    return G @ ((A @ dy) * (B @ d))
# %% 3 wrong
def kernel_gradient(dy, d, A, B, G):
    return B.T @ ((A @ dy) * (B @ d))
# %% 3 wrong
def kernel_gradient(dy, d, A, B, G):
    return G.T @ (A @ dy)
# %% 4 right
def after_folding(C, R, t):
    r = int(np.ceil(R / t))
    return C * t * t, r, C * ((t * r) ** 2 - R * R)
# %% 4 wrong
def after_folding(C, R, t):
    return C * t, -(-R // t), 0
# %% 4 wrong
def after_folding(C, R, t):
    return C * t * t, R // t, 0
# %% 4 wrong
def after_folding(C, R, t):
    return 48, 3, 69
# %% 4 wrong
def after_folding(C, R, t):
    return C * t * t, -(-R // t)
