"""Errors that scikit-learn knows by its own or Python's names, and which are ours too."""

from __future__ import annotations

from sklearn import exceptions

from threea_spark.errors import ConfigError, SchemaError


class InputError(SchemaError, ValueError):
    """X or y is nothing that a table can be made of; a ValueError, as scikit-learn's conventions ask."""


class NotFittedError(ConfigError, exceptions.NotFittedError):  # type: ignore[misc]  # scikit-learn has no types
    """The Synthesizer has no model yet; scikit-learn's error of this name, and one of ours."""
