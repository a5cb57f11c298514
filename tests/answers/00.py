# %% 1 right
third = 384 * 256 * 9 + 384
# %% 1 wrong
third = 884_736
# %% 1 wrong
third = 384 * (3 * 3 * 128 + 1)
# %% 1 wrong
third = 885_120.3
# %% 2 right
def first_layer(side):
    return 96 * len(range(0, side - 10, 4)) ** 2
# %% 2 wrong
def first_layer(side):
    return 96 * round((side - 11) / 4 + 1.49) ** 2
# %% 2 wrong
def first_layer(side):
    return 290_400
# %% 2 wrong
def first_layer(side):
    return ((side - 11) // 4 + 1) ** 2
# %% 2 wrong
def first_layer(side):
    return [side] @ 96
# %% 3 right
exact = 3 * sum(row.multiply_adds for row in rows[1:]) + 2 * rows[0].multiply_adds
# %% 3 wrong
exact = 3 * multiply_adds
# %% 3 wrong
exact = 2_067_807_248
# %% 3 wrong
exact = 3 * multiply_adds - 3 * rows[0].multiply_adds
# %% 4 right
ungrouped = 60_965_224 + 307_200 + 663_552 + 442_368
# %% 4 wrong
ungrouped = 62_378_345
# %% 4 wrong
ungrouped = parameters + 307_456 + 663_936 + 442_624
# %% 4 wrong
ungrouped = 2 * parameters
