"""The error that train.py and evaluate.py print instead of a traceback."""


class UserError(ValueError):
    """An error that the user can fix. Its message is one sentence: what was found, what was expected, what to do."""


def expect(condition, sentence):
    if not condition:
        raise UserError(sentence)
