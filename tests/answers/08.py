# %% 1 right
def receptive_field(triples):
    r = 1
    for z, s, e in reversed(triples):
        r = (r - 1) * s + (z - 1) * e + 1
    return r
# %% 1 wrong
def receptive_field(triples):
    r, j = 1, 1
    for z, s, e in triples:
        r, j = r + (z - 1) * j, j * s
    return r
# %% 1 wrong
def receptive_field(triples):
    r, j = 1, 1
    for z, s, e in triples:
        j *= s
        r += (z - 1) * e * j
    return r
# %% 1 wrong
def receptive_field(triples):
    return sum(z for z, s in triples)
# %% 2 right
images_needed = int(np.ceil(16 * 9216 * 4096 / (9216 * 4096 - 16 * (9216 + 4096))))
# %% 2 wrong
images_needed = 16
# %% 2 wrong
images_needed = 16.09
# %% 2 wrong
images_needed = 18
# %% 3 right
def largest_batch(card, parameters, kept_per_image):
    return int((card - 12 * parameters) / kept_per_image)
# %% 3 wrong
def largest_batch(card, parameters, kept_per_image):
    return (card - 4 * parameters) // kept_per_image
# %% 3 wrong
def largest_batch(card, parameters, kept_per_image):
    return card // (kept_per_image + 12 * parameters)
# %% 3 wrong
def largest_batch(card, parameters, kept_per_image):
    return round((card - 12 * parameters) / kept_per_image + 0.5)
# %% 3 wrong
def largest_batch(card, parameters, kept_per_image):
    raise MemoryError
# %% 4 right
def faster(share, times):
    return times / (times * (1 - share) + share)
# %% 4 wrong
def faster(share, times):
    return 1 / (1 - share)
# %% 4 wrong
def faster(share, times):
    return 1 - share + share / times
# %% 4 wrong
def faster(share, times):
    return times * share
