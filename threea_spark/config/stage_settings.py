"""The settings of the stages: what a release does to its rows, one frozen model for each stage.

Every `auto` is resolved by a documented rule from public numbers (recipes/rules.py) and stated in the receipt.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from threea_spark.config.bounded import AUTO, Auto
from threea_spark.config.reading import Frozen
from threea_spark.config.tables import Rows

Cells: TypeAlias = Annotated[int, Field(ge=2, le=256)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]
Norm: TypeAlias = Annotated[float, Field(ge=1e-3, le=1e6)]


class EncodeConfig(Frozen):
    """How cells become coordinates."""

    numeric: Literal["quantile", "affine"] | Auto = Field(default=AUTO, description="codes of numeric columns")
    cells: Cells | Auto = Field(default=AUTO, description="histogram cells of a numeric column")
    clip_norm: Norm | Auto = Field(default=AUTO, description="L2 bound on an encoded row")


class ApproximateConfig(Frozen):
    """The mixture of size-constrained components."""

    components: Count | Auto = Field(default=AUTO, description="number of components; without clusters, one per class")
    per_class: bool | Auto = Field(default=AUTO, description="whether each class has its own mixture")
    covariance: Literal["isotropic", "diagonal", "full"] | Auto = Field(default=AUTO, description="a component's shape")
    min_cluster_size: Rows | Auto = Field(default=AUTO, description="minimum number of rows per component")
    iterations: int = Field(default=4, ge=1, le=100, description="passes over the rows, if there are clusters")


class AdaptConfig(Frozen):
    """Kernel Inducing Points and the label function."""

    method: Literal["kip", "none"] = Field(default="kip", description="none: no label function")
    support_size: Annotated[int, Field(ge=2, le=10_000)] | Auto = Field(default=AUTO, description="inducing points")
    alpha: float = Field(default=0.1, ge=0, le=1, description="share of the density term; 1 keeps the points")
    targets: Literal["private", "released", "plain"] = Field(default="private", description="rows that the points fit")
    learn_labels: bool = Field(default=True, description="whether the points' labels move too")
    steps: int = Field(default=60, ge=1, le=10_000, description="noisy steps that move the points")
    rows: Literal["all", "sample"] = Field(default="all", description="rows that teach the label function")
    max_rows: Rows = Field(default=200_000, description="maximum number of rows on the driver, of a sample")
    depth: int = Field(default=2, ge=1, le=8, description="hidden layers of the kernel's network")
    activation: Literal["relu", "erf"] = Field(default="relu", description="activation of the kernel's network")
    ridge: float = Field(default=1e-3, gt=0, le=1e6, description="as a share of the kernel's mean trace")


class AnonymizeConfig(Frozen):
    """How the released rows are made."""

    generator: Literal["sample", "mix", "random"] = Field(default="sample", description="draw rows, or average them")
    rows: Rows | Literal["match"] = Field(default="match", description="rows to release; match: the noisy row count")
    mix_size: Rows | Auto = Field(default=AUTO, description="rows averaged in a group")
    label_probability: bool = Field(
        default=False, description="adds what the model knows of the label: class probabilities, or the expected number"
    )
