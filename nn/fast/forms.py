"""What all sets of forms share. PlainForms is the set without any: the textbook runs as it stands."""

from nn.optim import update


class PlainForms:
    """Each layer in its plain form."""

    fast = {}                           # {plain class: fast class}

    def of_tower(self, layers):
        """{name: layer} of a tower → {name: its form}."""
        return {name: self.form(layer) for name, layer in layers.items()}

    def form(self, layer):
        """The form of a plain layer that runs here; the layer itself where there is no faster one."""
        fast = self.choose(layer)
        return layer if fast is None else self.made(fast, layer)

    def made(self, fast, layer):
        """`layer` as an object of its subclass `fast`."""
        form = object.__new__(fast)
        form.__dict__ = layer.__dict__  # one set of attributes, `params` among them, for both
        return form

    def choose(self, layer):
        """The fast class for a plain layer, or None."""
        return self.fast.get(type(layer))

    def prepare(self, layers, count):
        """{key: layer} → {key: {argument: value} for its forward and backward}, once for all pieces of a batch of
        `count` images."""
        return {key: {} for key in layers}

    def update(self, updates):
        """Apply a list of nn.optim.Update."""
        for one in updates:
            update(*one)
