"""The settings of Encode, Approximate and Anonymize, one frozen model for each stage; see config/adapt.py for Adapt.

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


class AnonymizeConfig(Frozen):
    """How the released rows are made."""

    generator: Literal["sample", "mix", "random"] = Field(default="sample", description="draw rows, or average them")
    rows: Rows | Literal["match"] = Field(default="match", description="rows to release; match: the noisy row count")
    mix_size: Rows | Auto = Field(default=AUTO, description="rows averaged in a group")
    label_probability: bool = Field(
        default=False, description="adds what the model knows of the label: class probabilities, or the expected number"
    )
