"""The configuration of Adapt: kernel inducing points and the label function."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from threea_spark.config.bounded import AUTO, Auto
from threea_spark.config.reading import Frozen
from threea_spark.config.tables import Rows


class AdaptConfig(Frozen):
    """Kernel Inducing Points and the label function."""

    method: Literal["kip", "none"] = Field(default="kip", description="none: no label function")
    support_size: Annotated[int, Field(ge=2, le=10_000)] | Auto = Field(default=AUTO, description="inducing points")
    alpha: float = Field(default=0.1, ge=0, le=1, description="share of the density term; 1 keeps the points")
    targets: Literal["private", "released", "plain"] = Field(default="private", description="rows that the points fit")
    learn_labels: bool = Field(default=True, description="whether the points' labels move too")
    steps: int = Field(default=60, ge=1, le=10_000, description="noisy steps that move the points")
    rows: Literal["auto", "all", "sample"] = Field(
        default="auto",
        description="rows that teach the label function: a part that tells as much where there are millions, all, or a "
        "sample on the driver",
    )
    max_rows: Rows = Field(default=200_000, description="maximum number of rows on the driver, of a sample")
    depth: int = Field(default=1, ge=1, le=8, description="hidden layers of the kernel's network")
    activation: Literal["relu", "erf"] = Field(default="relu", description="activation of the kernel's network")
    kernel: Literal["closed_form", "neural_tangents"] = Field(
        default="closed_form", description="whose code computes the kernel; the library's, for steps without noise only"
    )
    ridge: float = Field(default=1e-3, gt=0, le=1e6, description="as a share of the kernel's mean trace")

    @model_validator(mode="after")
    def _kernel_fits(self) -> AdaptConfig:
        if self.kernel == "neural_tangents" and (self.method == "none" or self.targets == "private"):
            raise ValueError(
                "kernel: neural_tangents is for steps without noise (targets: released or plain); use closed_form"
            )
        return self
