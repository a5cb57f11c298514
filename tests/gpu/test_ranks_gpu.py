"""Two processes with CUDA devices: gradients go through pinned memory, and losses are those of one process."""

import numpy as np
import pytest
from test_ranks import mpi, some_steps

pytestmark = pytest.mark.cuda


@mpi
@pytest.mark.parametrize("more", [(), ("--model-parallel",)], ids=["data", "towers"])
def test_losses_are_those_of_one_process(more):
    alone, shared = some_steps(0, "float32", 10, 8, "cuda"), some_steps(2, "float32", 10, 8, *more, "cuda")
    np.testing.assert_allclose(shared["losses"], alone["losses"], rtol=1e-5)
    assert some_steps(2, "float32", 10, 8, *more, "cuda") == shared
