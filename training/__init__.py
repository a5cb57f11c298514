"""What stands around the training loop in train.py: the options (options.py), the run's folder (run.py), what is measured
on the way (meter.py). This folder contains no layer and no update rule."""
