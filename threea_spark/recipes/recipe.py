"""The recipes of a release: which steps run after Encode, with which values.

One is chosen once (choice.py). `release` and `fit` run it, `threea plan` and a dry run show it, and the receipt prints
its values, so that none of them can speak of another release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from threea_spark.approximate.statistics import Covariance
from threea_spark.privacy.terms import Stage

Values = dict[str, int | float | bool | str]

ENCODE_STEPS = ("encode: histograms of every column", "encode: stage packed vectors")
WRITE_STEP = "release: write the table"


@dataclass(frozen=True)
class Clusters:
    """Clusters that are fitted by passes over the rows.

    Attributes:
      per_class: Whether each class has clusters of its own.
      n_components: Clusters of each class, or of all rows.
      min_size: Rows that every cluster must hold.
      iterations: Passes.
      covariance: Shape of a cluster's covariance.
    """

    per_class: bool
    n_components: int
    min_size: int
    iterations: int
    covariance: Covariance

    @property
    def values(self) -> Values:
        """For the receipt."""
        return {
            "components_per_class": self.n_components,
            "per_class": self.per_class,
            "min_cluster_size": self.min_size,
        }


@dataclass(frozen=True)
class LabelFunctions:
    """Which labels get a function each.

    Attributes:
      learned: These do, in the order in which they are drawn.
      kept: These are drawn as Approximate knows them.
      step_rate: Chance of each unit to be read by the functions' steps; 1 reads all rows.
    """

    learned: tuple[str, ...]
    kept: tuple[str, ...]
    step_rate: float = 1.0

    @property
    def steps(self) -> tuple[str, ...]:
        """One step a function."""
        if self.learned and not self.are_several:
            return ("adapt: inducing points and label function",)
        return tuple(f"adapt: inducing points and label function of {name}" for name in self.learned)

    @property
    def are_several(self) -> bool:
        """Whether the domain has several labels."""
        return len(self.learned) + len(self.kept) > 1

    @property
    def values(self) -> Values:
        """For the receipt: the rate where not all rows are read; several labels, which share Adapt's mu^2 equally."""
        rate: Values = {"step_rate": self.step_rate} if self.step_rate < 1.0 else {}
        if not self.are_several:
            return rate
        names = {"labels_learned": ", ".join(self.learned) or "none", "labels_kept": ", ".join(self.kept) or "none"}
        return {**names, **rate}


@dataclass(frozen=True)
class Draw:
    """Draws rows from components that know each column's histogram, and labels them.

    Attributes:
      n_cells: Histogram cells of a number.
      clip_norm: L2 bound on an encoded row, in units of score.
      per_class: Whether each class has components of its own.
      clusters: How they are found; None for one component each, where nothing is fitted.
      labels: How the first is made: `learned` by kernel inducing points, the `posterior` of independent columns, or the
        component's class.
      functions: Which labels are learned.
      support_size: Inducing points of learned labels, else 0.
      counts_again: Stages whose share counts the components once more: Adapt where too few rows are outside the largest
        class of every label to learn one, and Anonymize where it was given a share.
    """

    n_cells: int
    clip_norm: float
    per_class: bool
    clusters: Clusters | None
    labels: Literal["learned", "posterior", "component"]
    functions: LabelFunctions
    support_size: int
    counts_again: tuple[Stage, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps after Encode, in order."""
        again = tuple(f"{stage.value}: a further count of the components" for stage in self.counts_again)
        return ("approximate: components and their marginals", *self.functions.steps, *again)

    @property
    def values(self) -> Values:
        """What `auto` became, for the receipt."""
        components: Values = {"components_per_class": 1, "per_class": self.per_class}
        points: Values = {"support_size": self.support_size} if self.functions.learned else {}
        found = components if self.clusters is None else self.clusters.values
        own: Values = {"recipe": "draw", "n_cells": self.n_cells, "clip_norm": self.clip_norm}
        return {**own, **found, "labels": self.labels, **self.functions.values, **points}


@dataclass(frozen=True)
class DrawPairs:
    """Draws rows from a mixture of products that was fitted to tables of all pairs of columns, and labels them.

    Attributes:
      n_cells: Histogram cells of a number.
      clip_norm: L2 bound on an encoded row, in units of score.
      n_groups: Groups of a column's cells in the first look at all pairs.
      n_tables: Pairs that are looked at again, cell by cell.
      second_share: Part of Approximate's mu^2 for that second look.
      labels: How the first is made: `learned` by a label function, or the component's class.
      functions: Which labels are learned.
      support_size: Inducing points of learned labels, else 0.
    """

    n_cells: int
    clip_norm: float
    n_groups: int
    n_tables: int
    second_share: float
    labels: Literal["learned", "component"]
    functions: LabelFunctions
    support_size: int

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps after Encode, in order."""
        return ("approximate: tables of pairs and their mixture", *self.functions.steps)

    @property
    def values(self) -> Values:
        """What `auto` became, for the receipt."""
        own: Values = {"recipe": "draw-pairs", "n_cells": self.n_cells, "clip_norm": self.clip_norm}
        points: Values = {"support_size": self.support_size} if self.functions.learned else {}
        looks: Values = {"n_groups": self.n_groups, "n_tables": self.n_tables, "second_share": self.second_share}
        return {**own, **looks, "labels": self.labels, **self.functions.values, **points}


@dataclass(frozen=True)
class DrawWide:
    """Draws rows from class means, for few rows of many columns; the columns that tell classes apart get a second look.

    Attributes:
      n_cells: Histogram cells of a number.
      clip_norm: L2 bound on an encoded row, in units of score.
    """

    n_cells: int
    clip_norm: float

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps after Encode, in order."""
        return (
            "approximate: means of every class",
            "adapt: a second look at the columns that tell classes apart",
        )

    @property
    def values(self) -> Values:
        """What `auto` became, for the receipt."""
        return {"recipe": "draw-wide", "n_cells": self.n_cells, "clip_norm": self.clip_norm}


@dataclass(frozen=True)
class Mix:
    """Averages rows within groups of their cluster (`random`: of one cluster), and adds noise to each average.

    Attributes:
      n_cells: Histogram cells of a number.
      clip_norm: L2 bound on an encoded row, in units of score.
      clusters: How the clusters are found.
      moves_centres: Whether kernel inducing points move their centres.
      mix_size: Rows averaged into one.
      mix_clip_norm: L2 bound on a residual, in units of score.
    """

    n_cells: int
    clip_norm: float
    clusters: Clusters
    moves_centres: bool
    mix_size: int
    mix_clip_norm: float

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the steps after Encode, in order."""
        adapt = ("adapt: centres by kernel inducing points",) if self.moves_centres else ()
        return ("approximate: size-constrained clusters", *adapt, "anonymize: noise for every group")

    @property
    def values(self) -> Values:
        """What `auto` became, for the receipt."""
        own: Values = {"recipe": "mix", "n_cells": self.n_cells, "clip_norm": self.clip_norm}
        return {**own, **self.clusters.values, "mix_size": self.mix_size, "mix_clip_norm": self.mix_clip_norm}


Recipe = Draw | DrawPairs | DrawWide | Mix
