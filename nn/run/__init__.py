"""What runs the textbook in nn/: devices, stages, pieces of a batch and threads, the towers' shares, feeding, profile
and memory. This folder contains no layer and no formula of the paper."""
