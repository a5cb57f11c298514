# %% 1 right
def steps_of(images, batch, epochs):
    return epochs * ((images - images % batch) / batch)
# %% 1 wrong
def steps_of(images, batch, epochs):
    return images * epochs / batch
# %% 1 wrong
def steps_of(images, batch, epochs):
    return images * epochs // batch
# %% 1 wrong
def steps_of(images, batch, epochs):
    return 4200
# %% 2 right
def images_needed(e, wanted):
    n = int((e - e**2) / wanted**2)
    return n if e * (1 - e) / n <= wanted**2 else n + 1
# %% 2 wrong
def images_needed(e, wanted):
    return e * (1 - e) / wanted**2
# %% 2 wrong
def images_needed(e, wanted):
    return int(e * (1 - e) / wanted**2)
# %% 2 wrong
def images_needed(e, wanted):
    return int(np.ceil(e * (1 - e) / wanted))
# %% 2 wrong
def images_needed(e, wanted):
    return int(np.ceil(e / wanted**2))
# %% 3 right
def precision_and_recall(confusion, c):
    hits = np.diag(confusion)
    return (hits / confusion.sum(axis=0))[c], (hits / confusion.sum(axis=1))[c]
# %% 3 wrong
def precision_and_recall(confusion, c):
    return confusion[c, c] / confusion[c].sum(), confusion[c, c] / confusion[:, c].sum()
# %% 3 wrong
def precision_and_recall(confusion, c):
    return confusion[c, c] / confusion.sum(), confusion[c, c] / confusion[c].sum()
# %% 3 wrong
def precision_and_recall(confusion, c):
    shirt = classes.index("Shirt")
    return confusion[shirt, shirt] / confusion[:, shirt].sum(), confusion[shirt, shirt] / confusion[shirt].sum()
# %% 4 right
def stopped(errors, patience=3):
    if len(errors) <= patience:
        return False
    lowest = min(errors[:-patience])
    return all(error >= lowest for error in errors[-patience:])
# %% 4 wrong
def stopped(errors, patience=3):
    return len(errors) > patience and min(errors[-patience:]) > min(errors[:-patience])
# %% 4 wrong
def stopped(errors, patience=3):
    return len(errors) > 3 and min(errors[-3:]) >= min(errors[:-3])
# %% 4 wrong
def stopped(errors, patience=3):
    return min(errors[-patience:]) >= min(errors[:-patience])
# %% 4 wrong
def stopped(errors, patience=3):
    return errors[-1] >= errors[-2]
