"""The public domain of a table: column types, bounds, categories, labels, task.

The author of a domain declares it to be public knowledge. Nothing in it may be looked up in the rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from threea_spark.config.coded import coded_columns
from threea_spark.config.columns import BoundedColumn, CategoricalColumn, Column
from threea_spark.config.near_names import meant_or
from threea_spark.config.reading import Frozen, parse_model
from threea_spark.config.row_rules import FunctionalRule, RowRule, UniqueRule, of_kind
from threea_spark.config.rule_checks import rule_problems
from threea_spark.config.yaml_files import content_of, read_yaml
from threea_spark.errors import ConfigError

Task: TypeAlias = Literal["classification", "regression", "none"]
MAX_COLUMNS = 10_000
MAX_CLASSES = 1_000
MAX_LABELS = 4
MAX_FURTHER_CLASSES = 64


class Domain(Frozen):
    """Public knowledge about a table.

    Attributes:
      columns: The columns by name, in the order in which they are released.
      label: The column that models predict, or the first of several; None for the task "none".
      further_labels: The others, where `label` was given as a list: each may depend on those before it.
      task: classification (categorical label), regression (numeric label) or none; it is that of the first label.
      rules: Rules between the columns of a row, which every released row keeps.
      coded: The domain of the columns that are counted, modelled and drawn in their place.
    """

    columns: dict[str, Column]
    label: str | None = None
    further_labels: tuple[str, ...] = ()
    task: Task = "classification"
    rules: tuple[RowRule, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, content: Any) -> Any:  # noqa: ANN401 - whatever was given
        """Splits a list of labels into the first and the further ones."""
        if not isinstance(content, dict):
            return content
        if "further_labels" in content:
            raise ValueError("further_labels is not a known field; list all labels under `label`")
        asked = content.get("label")
        if not isinstance(asked, list | tuple):
            return content
        if not asked or not all(isinstance(name, str) for name in asked):
            raise ValueError("label must be text, or a list of the names of columns")
        return {**content, "label": asked[0], "further_labels": tuple(asked[1:])}

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Writes one label as its name and several as a list, and rules where there are any."""
        plain: dict[str, Any] = handler(self)
        further = plain.pop("further_labels", ())
        if not self.rules:  # so that earlier versions read the domain, and its digest stays
            plain.pop("rules", None)
        return {**plain, "label": [plain["label"], *further]} if further else plain

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
        self._check_label_type(self._labelled(self.label))
        self._check_further_labels()
        return self

    def _labelled(self, name: str) -> Column:
        if name not in self.columns:
            raise ValueError(f"label {name!r} is not among the columns; {meant_or(name, self.columns, 'add it there')}")
        return self.columns[name]

    def _check_further_labels(self) -> None:
        names = self.labels
        if len(names) > MAX_LABELS:
            raise ValueError(f"label: at most {MAX_LABELS} labels, got {len(names)}; each takes a part of the budget")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"label: {twice!r} is listed twice; drop one")
        for name in self.further_labels:
            column = self._labelled(name)
            if column.is_timestamp or (column.is_categorical and column.is_open):
                raise ValueError(f"label {name!r}: a label is a number, or a category with listed values")
            if column.is_categorical and len(column.values) > MAX_FURTHER_CLASSES:
                raise ValueError(
                    f"label {name!r}: at most {MAX_FURTHER_CLASSES} classes where it is not the first label, got "
                    f"{len(column.values)}; list it first, or merge classes"
                )

    @model_validator(mode="after")
    def _rules_fit(self) -> Domain:
        if problem := next(rule_problems(self.columns, self.labels, self.rules), None):
            raise ValueError(problem)
        if self.rules and not self.coded.features:
            raise ValueError("rules: no column is left that the others follow from; describe one more")
        return self

    def _check_label_type(self, column: Column) -> None:
        if self.task == "classification":
            if not column.is_categorical or column.is_open:
                raise ValueError(
                    f"label {self.label!r}: classification needs a categorical label with listed values, such as "
                    '{type: categorical, values: ["no", "yes"]}; to predict a number, write `task: regression`'
                )
            if len(column.values) > MAX_CLASSES:
                raise ValueError(f"label {self.label!r}: at most {MAX_CLASSES} classes, got {len(column.values)}")
        elif column.is_categorical or column.is_timestamp:
            raise ValueError(f"label {self.label!r}: regression needs an integer or float label")

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order in which they are drawn."""
        return () if self.label is None else (self.label, *self.further_labels)

    def for_label(self, name: str | None = None) -> Domain:
        """The domain for models of one label: that label alone, and none of the others among the columns.

        Args:
          name: One of `labels`; None is the first, if there is any.

        Raises:
          ConfigError: if it is no label.
        """
        if name is not None and name not in self.labels:
            raise ConfigError(f"label {name!r} is none of {list(self.labels)}; choose one of them")
        if not self.further_labels:
            return self
        own = name or self.label
        others = {*self.labels, *self.keys} - {own}
        columns = {key: column for key, column in self.columns.items() if key not in others}
        task = "classification" if self.columns[str(own)].is_categorical else "regression"
        return Domain.model_validate({"columns": columns, "label": own, "task": task})

    @property
    def features(self) -> dict[str, Column]:
        """All columns but the first label and row numbers: further labels are coded like other columns."""
        left_out = {self.label, *self.keys}
        return {name: column for name, column in self.columns.items() if name not in left_out}

    @cached_property
    def coded(self) -> Domain:
        """The coded columns, which are counted, modelled and drawn; the domain itself if no rule binds its columns."""
        if not self.rules:
            return self
        return Domain.model_validate(
            {"columns": coded_columns(self), "label": list(self.labels) or None, "task": self.task}
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that number the released rows; they need no entry among the columns."""
        return tuple(rule.unique for rule in of_kind(self.rules, UniqueRule))

    @property
    def rules_in_words(self) -> tuple[str, ...]:
        """The rules between columns, one sentence each."""
        return tuple(rule.in_words() for rule in self.rules)

    @property
    def counted_functions(self) -> tuple[FunctionalRule, ...]:
        """Functional rules whose pairs are found by noisy counts."""
        return tuple(rule for rule in of_kind(self.rules, FunctionalRule) if rule.functional.mapping is None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The first label's categories; empty unless the task is classification."""
        return () if self.task != "classification" or self.label is None else self.classes_of(self.label)

    def classes_of(self, label: str) -> tuple[str, ...]:
        """The categories of a label; empty where it is a number."""
        column = self.columns[label]
        return tuple(column.values) if column.is_categorical else ()

    @property
    def open_columns(self) -> dict[str, CategoricalColumn]:
        """Columns whose categories are not public, by name; row numbers have none."""
        columns = {name: column for name, column in self.columns.items() if name not in self.keys}
        return {name: column for name, column in columns.items() if column.is_categorical and column.is_open}

    @property
    def columns_without_bounds(self) -> dict[str, BoundedColumn]:
        """Columns of which a bound is `auto`, by name."""
        return {
            name: column
            for name, column in self.columns.items()
            if name not in self.keys and not column.is_categorical and not column.has_bounds
        }

    def with_columns(self, columns: Mapping[str, Column]) -> Domain:
        """The same domain with other columns of the same names."""
        labels = list(self.labels) or None
        return Domain.model_validate({"columns": columns, "label": labels, "task": self.task, "rules": self.rules})

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
    def of(cls, given: Domain | Mapping[str, Any] | str | os.PathLike[str]) -> Domain:
        """Returns the domain that is given as such, as a mapping of its fields, or as the path of its YAML.

        Raises:
          ConfigError: with one line for each broken rule; or if it is none of these.
        """
        if isinstance(given, Domain):
            return given
        content, where = content_of(given, name="domain", kind="a Domain")
        return cls.from_dict(content, where=where)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Domain:
        """Reads a domain's YAML; raises as `of`."""
        return cls.from_dict(read_yaml(path), where=str(path))

    @classmethod
    def from_dict(cls, content: dict[str, Any], *, where: str = "domain") -> Domain:
        """Checks a domain given as plain Python values.

        Raises:
          ConfigError: with one line for each broken rule.
        """
        return parse_model(cls, content, where=where)
