"""The stand-in for CuPy against CuPy itself: the same snippets are accepted, with equal results, or refused by both."""

import pytest
import strict_cupy
from test_strict_cupy import (
    ACCEPTED,
    FOREIGN,
    FOREIGN_ACCEPTED,
    FOREIGN_STRICTER,
    REFUSED,
    STRICTER,
    assert_same,
    evaluate,
    snippets,
)

pytestmark = pytest.mark.cuda


def both(snippet):
    import cupy
    with strict_cupy.install(devices=2):
        double = evaluate(snippet, strict_cupy.cupy)
    return evaluate(snippet, cupy), double


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("snippet", snippets(ACCEPTED) + [
    pytest.param(snippet, marks=pytest.mark.multigpu) for snippet in snippets(FOREIGN_ACCEPTED)])
def test_accepted_with_equal_results(snippet):
    (real, error), (double, _) = both(snippet)
    assert error is None
    assert_same(real, double)


@pytest.mark.parametrize("snippet", snippets(REFUSED))
def test_refused(snippet):
    assert both(snippet)[0][1] is not None


@pytest.mark.multigpu
@pytest.mark.parametrize("snippet", snippets(FOREIGN))
def test_refused_of_another_device(snippet):
    import cupy
    if cupy.cuda.runtime.deviceCanAccessPeer(0, 1):
        pytest.skip("these devices can reach each other's memory: CuPy goes on with a warning")
    assert both(snippet)[0][1] is not None


@pytest.mark.parametrize("snippet", snippets(STRICTER) + [
    pytest.param(snippet, marks=pytest.mark.multigpu) for snippet in snippets(FOREIGN_STRICTER)])
def test_the_real_one_is_more_lenient(snippet):
    """Else it belongs among what both refuse."""
    (_, error), (_, refused) = both(snippet)
    assert error is None and refused is not None


def test_the_record_is_of_this_cupy():
    import cupy
    if cupy.__version__ != strict_cupy.NAMES["version"]:
        pytest.skip(f"recorded was CuPy {strict_cupy.NAMES['version']}, this is {cupy.__version__}")
    from record_cupy import record
    assert record() == strict_cupy.NAMES
