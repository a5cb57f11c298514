"""What train.py needs besides its loop: the options (options.py), the run's folder (run.py), the measurements of an epoch
(meter.py). It contains no layer and no update rule."""
