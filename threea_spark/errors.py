"""Errors, with one class for each condition that a caller can act on.

Messages name the column or field, the rule it broke and the fix. They never contain a value read from a row.
"""

from __future__ import annotations


class ThreeAError(Exception):
    """Base of every error this library raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(ThreeAError):
    """The configuration or the domain breaks a rule. Raised before Spark starts."""

    exit_code = 2


class SourceError(ThreeAError):
    """The source table, or the requested version of it, cannot be read."""

    exit_code = 3


class SchemaError(ThreeAError):
    """The source table's schema does not fit the domain."""

    exit_code = 4


class TargetExistsError(ThreeAError):
    """The target holds something that this release did not write; it is never overwritten."""

    exit_code = 5


class ReleaseExistsError(ThreeAError):
    """This release was already written, earlier or by a concurrent run; nothing was rewritten."""

    exit_code = 6


class BudgetError(ThreeAError):
    """The ledger has too little budget left for this release."""

    exit_code = 7


class PrivacyError(ThreeAError):
    """The code tried to spend more than the plan allows, or asked for something that is not proved."""

    exit_code = 8


class ReleaseFailedError(ThreeAError):
    """A stage failed after rows were read; target and staging were removed, but the budget stays spent."""

    exit_code = 9


class ModelError(ThreeAError):
    """A saved model cannot be loaded, or lacks what was asked of it."""

    exit_code = 10


class LedgerError(ThreeAError):
    """The ledger was changed by something else, cannot be written, or has no such entry."""

    exit_code = 12


class EnvironmentNotReadyError(ThreeAError):
    """A package, a jar, a Java runtime or a service that this step needs is missing."""

    exit_code = 11


class ClusterNotReadyError(ThreeAError):
    """A check of `threea doctor` found a problem that would stop a release."""

    exit_code = 13
