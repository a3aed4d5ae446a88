"""Each way to get a sensitivity wrong, put into the real code by name: the check of this folder must find every one."""

import re
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from pairs import check_modes

from threea_spark.adapt import label_fit, number_labels, row_gradient, targets
from threea_spark.anonymize import mix
from threea_spark.approximate import class_means, correlation, joint, tables
from threea_spark.approximate.pair_counts import JointCounts
from threea_spark.encode import codec, granularity
from threea_spark.encode.histogram import HistogramLayout
from threea_spark.privacy import clipping
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.query import RowBound

TIGHT = {"encode": {"clip_norm": 0.3}}


def clip_with(module, factor):
    """Rows are cut at another norm than is priced, or with no factor at all not cut."""
    cut = clipping.clip_rows
    return patch.object(module, "clip_rows", lambda own, norm: own if factor is None else cut(own, int(factor * norm)))


def residuals_not_clipped(factor=None):
    """The label function's rows: clipped at another bound, or not at all."""
    clipped = targets.Targets._clipped

    def other(rows_, chunk, residual, bound):
        if factor is not None:
            return clipped(rows_, chunk, residual, int(factor * bound))
        return np.trunc(residual * targets.RESIDUAL_GRID)

    return patch.object(targets.Targets, "_clipped", other)


@contextmanager
def gradients_not_clipped():
    def rounded(parts, is_row, clip_norm, norm_bound):
        import jax.numpy as jnp

        scaled = [jnp.where(is_row, part, 0.0) * norm_bound / clip_norm for part in parts]
        return [jnp.trunc(jnp.clip(part, -(2.0**30), 2.0**30)).astype(jnp.int32) for part in scaled]

    row_gradient._add_clipped.clear_cache()
    with patch.object(row_gradient, "_quantised", rounded):
        yield
    row_gradient._add_clipped.clear_cache()


def grouped_by_row_number():
    groups = mix.Mixer.groups

    def numbered(mixer, own):
        places = (np.arange(len(own.classes), dtype=np.uint64) * 2654435761 % 2**32).astype(np.uint32)
        return groups(mixer, replace(own, group_tokens=places))

    return patch.object(mix.Mixer, "groups", numbered)


def asked(change):
    """The meter is asked for what is asked, changed."""
    granted = PrivacyMeter._granted

    def changed(meter, query, mu):
        meter._contexts.clear()  # its own refusal of a name that was used before
        return granted(meter, change(query), mu)

    return patch.object(PrivacyMeter, "_granted", changed)


def unnumbered(query):
    return replace(query, name=re.sub(r"-\d+$", "", query.name))


def priced_at_half(query):
    return replace(query, bound=RowBound(max(1, query.bound.squared_norm // 2), query.bound.moved))


def rows_priced_one_by_one():
    """The price of a unit's rows grows with their number, not with its square."""
    granted = PrivacyMeter._granted

    def linear(meter, *query):
        found = granted(meter, *query)
        return replace(found, squared_sensitivity=found.squared_sensitivity // meter.plan.unit.max_rows)

    return patch.object(PrivacyMeter, "_granted", linear)


def labels_move_one_coordinate():
    bound = label_fit.gradient_bound
    return patch.object(label_fit, "gradient_bound", lambda *of: replace(bound(*of), moved=1))


def bound_less_one(module, name):
    """The bound of a count, one cell short."""
    bound = getattr(module, name)
    return patch.object(module, name, lambda *of: RowBound.count(bound(*of).squared_norm - 1))


def finer_tables_but_one():
    query = joint.tables_query
    return patch.object(
        joint, "tables_query", lambda *of: replace(query(*of), bound=RowBound.count(query(*of).bound.moved - 1))
    )


@contextmanager
def pairs_counted_from_both_sides():
    other, counts = tables.TableColumns.in_other_tables, JointCounts.tables

    def mirrored(joint, groups):
        return counts(joint, groups) + counts(joint, groups).T

    columns = patch.object(tables.TableColumns, "in_other_tables", lambda own: other(own) | other(own).T)
    with columns, patch.object(JointCounts, "tables", mirrored):
        yield


def squares_priced_as_counts():
    bound = RowBound(2 * number_labels.residual_bound().squared_norm // 17, 2)  # 1 and the square of 4 together
    return patch.object(number_labels, "residual_bound", lambda: bound)


def parents_not_booked():
    bound = HistogramLayout.bound.fget

    def narrower(layout):
        return replace(bound(layout), moved=1 + len(layout.fields))

    return patch.object(HistogramLayout, "bound", property(narrower))


def counted_twice():
    counts = HistogramLayout.counts
    return patch.object(HistogramLayout, "counts", lambda layout, columns: 2 * counts(layout, columns))


def counted_for_every_step():
    """A value counts at each of the steps that it follows."""

    def counts(column, numbers):
        known = numbers[~np.isnan(numbers)]
        return np.array([*(step.holds(known).sum() for step in column.steps), 0], dtype=np.int64)

    return patch.object(granularity.StepCounts, "counts", counts)


MUTANTS = {
    "mixed rows: clip halved in the price": (lambda: clip_with(mix, 2.0), "mixing", {}),
    "mixed rows: clip dropped": (lambda: clip_with(mix, None), "mixing", {}),
    "encoded rows: clip halved in the price": (lambda: clip_with(codec, 2.0), "components of all classes", TIGHT),
    "encoded rows: clip dropped": (lambda: clip_with(codec, None), "components of each class", TIGHT),
    "class means: clip halved in the price": (lambda: clip_with(class_means, 2.0), "two looks", {}),
    "class means: clip dropped": (lambda: clip_with(class_means, None), "two looks", {}),
    "correlations: clip dropped": (lambda: patch.object(correlation, "_shrunk", lambda own, _: own), "histograms", {}),
    "gradients of points: clip dropped": (gradients_not_clipped, "points and labels", {}),
    "gradients of labels: clip halved in the price": (lambda: residuals_not_clipped(2.0), "points and labels", {}),
    "gradients of labels: clip dropped": (residuals_not_clipped, "points and labels", {}),
    "labels of all rows: clip halved in the price": (lambda: residuals_not_clipped(2.0), "pairs and labels", {}),
    "labels of all rows: clip dropped": (residuals_not_clipped, "labels", {}),
    "pairs: one pair not priced": (lambda: bound_less_one(tables, "pairs_bound"), "pairs", {}),
    "pairs: counted from both sides": (pairs_counted_from_both_sides, "pairs", {}),
    "finer tables: one not priced": (finer_tables_but_one, "pairs", {}),
    "a number's residuals: squares priced as counts": (squares_priced_as_counts, "pairs and a numeric label", {}),
    "groups by row number": (grouped_by_row_number, "mixing", {"n_base": 60}),
    "one noise for a stage's sums": (lambda: asked(lambda query: replace(query, name="sum")), "two looks", {}),
    "one noise for all steps": (
        lambda: asked(unnumbered),
        "points and labels",
        {},
    ),
    "histograms priced at half": (lambda: asked(priced_at_half), "histograms", {}),
    "histograms count a row twice": (counted_twice, "histograms", {}),
    "granularity: a value counts for every step": (counted_for_every_step, "histograms", {}),
    "labels: coordinates of the cells not booked": (
        labels_move_one_coordinate,
        "points and labels",
        {},
    ),
    "histograms: coordinates of parents not booked": (
        parents_not_booked,
        "histograms",
        {},
    ),
    "a unit's rows priced one by one": (rows_priced_one_by_one, "histograms", {"max_rows": 3}),
    "category names of a unit priced one by one": (rows_priced_one_by_one, "open categories", {"max_rows": 3}),
}


SOUND = set()


def passes_unbroken(mode, own):
    if (mode, repr(own)) not in SOUND:
        check_modes([mode], **own)
        SOUND.add((mode, repr(own)))


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_check_finds(mutant):
    broken, mode, own = MUTANTS[mutant]
    passes_unbroken(mode, own)
    with (
        broken(),
        pytest.raises(AssertionError, match=r"priced for|coordinates|two sums under one noise|does not cover"),
    ):
        check_modes([mode], **own)
