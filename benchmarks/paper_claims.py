"""The paper's claims as grids of runs: which tables, which settings, which figure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import paper_figures as figures  # these lie beside this file
from matplotlib.figure import Figure
from paper_lab import EPSILON, GENERATOR, Point, Record, Settings

SAMPLE: Settings = {GENERATOR: "sample"}
MIX: Settings = {GENERATOR: "mix"}
REAL: Settings = {GENERATOR: "real"}
CONDITIONAL: Settings = {"privacy.accounting": "conditional", "adapt.method": "none"}
PLAIN_KIP: Settings = {"privacy.accounting": "conditional", "adapt.method": "kip", "adapt.targets": "plain"}
CLASSES_TOGETHER: Settings = {"approximate.per_class": False, "approximate.components": 10}
MIX_SIZES = (5, 20, 80, 200)
EPSILONS = (0.1, 0.3, 1.0, 3.0, 10.0)
_MIXED_CLUSTERS = 5  # of each class


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
      name: Of the figure's file.
      points: Gives the runs, from whether real tables are at hand.
      draw: Makes the figure from the records of the runs.
    """

    name: str
    points: Callable[[bool], list[Point]]
    draw: Callable[[Sequence[Record]], Figure]


def grid(claim: str, tables: Sequence[str], fixed: Settings, axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Every combination of the axes' values on every table, for seed 0."""
    combinations = itertools.product(*axes.values())
    settings = [{**fixed, **dict(zip(axes, values, strict=True))} for values in combinations]
    return [Point(claim, table, 0, chosen) for table in tables for chosen in settings]


def with_seeds(points: Sequence[Point], seeds: Sequence[int]) -> list[Point]:
    """Repeats the runs for each seed, all of a seed before the next."""
    return [Point(point.claim, point.table, seed, point.settings) for seed in seeds for point in points]


def _tables(real: bool, *named: str) -> tuple[str, ...]:
    return named if real else ("tangled",)


def toy(_: bool) -> list[Point]:
    """(a) Both generators on known clusters, three components for each class; drawing also with a wider clip norm."""
    axes = {EPSILON: (0.3, 1.0, 3.0, 10.0), GENERATOR: ("sample", "mix")}
    points = [Point("a", "toy", 0, REAL), *grid("a", ["toy"], {"approximate.components": 3}, axes)]
    wider = {"approximate.components": 3, "encode.clip_norm": figures.WIDE_CLIP, **SAMPLE}
    return points + grid("a", ["toy"], wider, {EPSILON: (0.3, 1.0, 3.0, 10.0)})


def mixing(real: bool) -> list[Point]:
    """(b) Mixing within clusters and at random, priced as the paper does; clusters hold a group at least."""
    tables = _tables(real, "magic_telescope", "adult")
    points = grid("b", tables, REAL, {})
    for size in MIX_SIZES:
        fixed = {**CONDITIONAL, "anonymize.mix_size": size}
        clusters = {"approximate.components": _MIXED_CLUSTERS, "approximate.min_cluster_size": size}
        points += grid("b", tables, {**fixed, **clusters, **MIX}, {})
        points += grid("b", tables, {**fixed, **clusters, **MIX, **CLASSES_TOGETHER}, {})
        points += grid("b", tables, {**fixed, GENERATOR: "random"}, {})
    return points


def kip(real: bool) -> list[Point]:
    """(c) With and without Kernel Inducing Points, for drawing, for mixing, and for mixing as the paper prices it."""
    tables = _tables(real, "magic_telescope", "adult")
    points = grid("c", tables, REAL, {})
    for generator in (SAMPLE, MIX):
        points += grid("c", tables, generator, {"adapt.method": ("none", "kip")})
    return points + grid("c", tables, {**MIX, **CONDITIONAL}, {}) + grid("c", tables, {**MIX, **PLAIN_KIP}, {})


def alpha(real: bool) -> list[Point]:
    """(d) From pure classifier to pure density, at a budget that leaves the centres' place visible."""
    tables = ("tangled", "magic_telescope") if real else ("tangled", "overlapping")
    fixed = {**MIX, **PLAIN_KIP, EPSILON: 10.0, "approximate.components": 10, "approximate.min_cluster_size": 100}
    fixed["anonymize.mix_size"] = 20
    return grid("d", tables, REAL, {}) + grid("d", tables, fixed, {"adapt.alpha": (0.0, 0.25, 0.5, 0.75, 1.0)})


def clusterability(_: bool) -> list[Point]:
    """(e) The same release on tables with clear, overlapping and no clusters."""
    tables = ("separated", "overlapping", "uniform")
    points = grid("e", tables, REAL, {})
    for components in ("auto", 4):
        points += grid("e", tables, {**SAMPLE, "approximate.components": components}, {})
    return points + grid("e", tables, MIX, {})


def sensitivity(real: bool) -> list[Point]:
    """(f) Cluster size for mixing; components and inducing points for drawing."""
    tables = _tables(real, "magic_telescope")
    points = grid("f", tables, REAL, {})
    points += grid("f", tables, {**MIX, **CONDITIONAL}, {"approximate.min_cluster_size": (100, 300, 1000, 2500)})
    points += grid("f", tables, SAMPLE, {"approximate.components": (1, 2, 4, 8)})
    return points + grid("f", tables, SAMPLE, {"adapt.support_size": (10, 50, 200, 500)})


def budgets(real: bool) -> list[Point]:
    """(g) Utility over the budget, end to end."""
    tables = _tables(real, "magic_telescope", "adult")
    return grid("g", tables, REAL, {}) + grid("g", tables, {}, {EPSILON: EPSILONS, GENERATOR: ("sample", "mix")})


def other_tasks(real: bool) -> list[Point]:
    """(h) Regression, and tables without a label."""
    numbers = ("california_housing", "bike_sharing_hour") if real else ("friedman",)
    bare = ("separated/unlabelled", "magic_telescope/unlabelled" if real else "tangled/unlabelled")
    points = grid("h", (*numbers, *bare), REAL, {})
    points += grid("h", numbers, SAMPLE, {EPSILON: (1.0, 10.0)})
    points += grid("h", bare, {**SAMPLE, "approximate.components": 8}, {EPSILON: (1.0, 10.0)})
    return points + grid("h", bare, {**MIX, "approximate.components": 8}, {EPSILON: (1.0, 10.0)})


def covariances(real: bool) -> list[Point]:
    """(i) The three covariances of the mixture, and from 10 to 200 columns."""
    shapes = {"approximate.covariance": ("isotropic", "diagonal", "full")}
    few = _tables(real, "magic_telescope")
    wide = ("wide-10", "wide-50", "wide-200")
    clusters = {EPSILON: 3.0, "approximate.components": 4, "approximate.min_cluster_size": 300}
    points = grid("i", (*few, *wide), REAL, {})
    for generator in (SAMPLE, MIX):
        points += grid("i", few, {**generator, **clusters}, shapes)
    points += grid("i", wide, {**MIX, **clusters}, shapes)
    return points + grid("i", wide, {**SAMPLE, EPSILON: 3.0}, {})


CLAIMS = {
    "a": Claim("a_toy", toy, figures.draw_toy),
    "b": Claim("b_mixing", mixing, figures.draw_mixing),
    "c": Claim("c_kip", kip, figures.draw_kip),
    "d": Claim("d_alpha", alpha, figures.draw_alpha),
    "e": Claim("e_clusterability", clusterability, figures.draw_clusterability),
    "f": Claim("f_sensitivity", sensitivity, figures.draw_sensitivity),
    "g": Claim("g_epsilon", budgets, figures.draw_budgets),
    "h": Claim("h_tasks", other_tasks, figures.draw_tasks),
    "i": Claim("i_covariance", covariances, figures.draw_covariances),
}
