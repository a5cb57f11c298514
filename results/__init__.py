"""Trained nets: predictions, error rates, features and pictures (paper § 6).

    from results import load

    net = load("runs/small-fashion-mnist")          # a run's folder, or a weight file (interop/)
    net.classify("photo.jpg")                       # [("Pullover", 0.71), …]: five classes, ten views (§ 4.1)
    net.predict(images, views=10)                   # (n, classes); images: uint8 (n, size, size, C)
    net.features(images)                            # (n, F): the last layer's input (§ 6.1)
"""

from results.trained import Trained, load
