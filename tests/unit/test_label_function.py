import numpy as np
import pytest

from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.ntk import Architecture

RNG = np.random.default_rng(1)
CELLS = np.column_stack([RNG.integers(0, 4, 3_000), RNG.integers(4, 7, 3_000)])


def label_function(n_classes=3, n_support=5):
    rng = np.random.default_rng(2)
    return LabelFunction(
        offset=rng.normal(size=n_classes),
        additive=rng.normal(size=(7, n_classes)),
        kernel_input=KernelInput(rng.normal(size=7)),
        x_support=rng.normal(size=(n_support, 2)),
        dual=0.1 * rng.normal(size=(n_support, n_classes)),
        architecture=Architecture(),
    )


@pytest.mark.parametrize("shares", [[0.2, 0.3, 0.5], [0.001, 0.001, 0.998], [0.98, 0.01, 0.01]])
def test_calibrated_labels_have_the_classes_shares(shares):
    calibrated = label_function().calibrated(CELLS, np.array(shares))
    assert calibrated.probabilities(CELLS).mean(axis=0) == pytest.approx(shares, rel=0.02, abs=1e-4)


def test_calibration_moves_the_offset_and_nothing_else():
    before = label_function()
    after = before.calibrated(CELLS, np.array([0.2, 0.3, 0.5]))
    assert after.additive is before.additive
    assert after.dual is before.dual
    assert not np.allclose(after.offset, before.offset)
    assert before.probabilities(CELLS).mean(axis=0) != pytest.approx([0.2, 0.3, 0.5], abs=0.01)


def test_drawn_labels_follow_their_probabilities():
    labels = label_function()
    one = np.tile(CELLS[:1], (40_000, 1))
    drawn = labels.draw(one, np.random.default_rng(3).random(40_000))
    assert np.bincount(drawn, minlength=3) / 40_000 == pytest.approx(labels.probabilities(CELLS[:1])[0], abs=0.01)


def test_the_ends_of_the_uniform_are_classes():
    labels = label_function()
    for uniform in (0.0, np.nextafter(1.0, 0.0)):
        assert set(labels.draw(CELLS, np.full(len(CELLS), uniform)).tolist()) <= {0, 1, 2}


def test_probabilities_sum_to_one_for_huge_logits():
    labels = label_function()
    huge = LabelFunction(
        1e6 * labels.offset, labels.additive, labels.kernel_input, labels.x_support, labels.dual, labels.architecture
    )
    assert np.allclose(huge.probabilities(CELLS).sum(axis=1), 1.0)


def test_without_inducing_points_no_kernel_is_asked():
    labels = label_function(n_support=0)
    expected = labels.offset + labels.additive[CELLS[:, 0]] + labels.additive[CELLS[:, 1]]
    assert np.allclose(labels.logits(CELLS), expected)
