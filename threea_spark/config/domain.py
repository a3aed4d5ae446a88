"""The public domain of a table: column types, bounds, categories, label, task.

The author of a domain declares it to be public knowledge. Nothing in it may be looked up in the rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import model_validator

from threea_spark.config.columns import CategoricalColumn, Column
from threea_spark.config.near_names import near_name
from threea_spark.config.reading import Frozen, parse_model
from threea_spark.config.yaml_files import read_yaml

Task: TypeAlias = Literal["classification", "regression", "none"]
MAX_COLUMNS = 10_000
MAX_CLASSES = 1_000


class Domain(Frozen):
    """Public knowledge about a table.

    Attributes:
      columns: The columns by name, in the order in which they are released.
      label: The column that models predict; None for the task "none".
      task: classification (categorical label), regression (numeric label) or none.
    """

    columns: dict[str, Column]
    label: str | None = None
    task: Task = "classification"

    @model_validator(mode="after")
    def _label_fits(self) -> Domain:
        if not self.columns:
            raise ValueError("columns is empty; describe at least one column")
        if len(self.columns) > MAX_COLUMNS:
            raise ValueError(f"at most {MAX_COLUMNS} columns, got {len(self.columns)}")
        if self.task == "none":
            if self.label is not None:
                raise ValueError("task none takes no label; drop `label` or choose classification or regression")
            return self
        if self.label is None:
            raise ValueError(f"task {self.task} needs `label`; name the column or write `task: none`")
        if self.label not in self.columns:
            near = near_name(self.label, self.columns)
            fix = "add it there" if near is None else f"did you mean {near!r}?"
            raise ValueError(f"label {self.label!r} is not among the columns; {fix}")
        self._check_label_type(self.columns[self.label])
        return self

    def _check_label_type(self, column: Column) -> None:
        if self.task == "classification":
            if not column.is_categorical or column.is_open:
                raise ValueError(f"label {self.label!r}: classification needs a categorical label with listed values")
            if len(column.values) > MAX_CLASSES:
                raise ValueError(f"label {self.label!r}: at most {MAX_CLASSES} classes, got {len(column.values)}")
        elif column.is_categorical or column.is_timestamp:
            raise ValueError(f"label {self.label!r}: regression needs an integer or float label")

    @property
    def features(self) -> dict[str, Column]:
        """All columns but the label."""
        return {name: column for name, column in self.columns.items() if name != self.label}

    @property
    def classes(self) -> tuple[str, ...]:
        """The label's categories; empty unless the task is classification."""
        if self.task != "classification" or self.label is None:
            return ()
        column = self.columns[self.label]
        return tuple(column.values) if column.is_categorical else ()

    @property
    def open_columns(self) -> dict[str, CategoricalColumn]:
        """Columns whose categories are not public, by name."""
        return {name: column for name, column in self.columns.items() if column.is_categorical and column.is_open}

    def n_classes(self, label_cells: int) -> int:
        """Classes of the label by its type, without the one of null.

        Args:
          label_cells: Classes of a numeric label.
        """
        if self.label is None:
            return 1
        column = self.columns[self.label]
        return len(column.values) if column.is_categorical else label_cells

    @classmethod
    def from_yaml(cls, path: str | Path) -> Domain:
        """Reads a domain and reports all broken rules at once.

        Raises:
          ConfigError: with one line for each broken rule.
        """
        return cls.from_dict(read_yaml(path), where=str(path))

    @classmethod
    def from_dict(cls, content: dict[str, Any], *, where: str = "domain") -> Domain:
        """Checks a domain given as plain Python values.

        Raises:
          ConfigError: with one line for each broken rule.
        """
        return parse_model(cls, content, where=where)
