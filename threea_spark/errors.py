"""What can go wrong, as one class for each thing a caller can act on.

Messages name the column or field, the rule it broke and the mend. They never hold a value read from a row.
"""

from __future__ import annotations


class ThreeAError(Exception):
    """Base of every error this library raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class ConfigError(ThreeAError):
    """The configuration or the domain breaks a rule. Raised before Spark starts."""

    exit_code = 2


class SourceError(ThreeAError):
    """The source table, or the asked version of it, cannot be read."""

    exit_code = 3


class SchemaError(ThreeAError):
    """The source table's schema does not fit the domain."""

    exit_code = 4


class TargetExistsError(ThreeAError):
    """The target holds something this release did not write; it is never overwritten."""

    exit_code = 5


class ReleaseExistsError(ThreeAError):
    """This very release has been written before, or by another run just now; nothing was rewritten."""

    exit_code = 6


class BudgetError(ThreeAError):
    """The ledger has too little left for what this release would spend."""

    exit_code = 7


class PrivacyError(ThreeAError):
    """The code tried to spend what the plan does not hold, or asked for what is not proved."""

    exit_code = 8


class ReleaseFailedError(ThreeAError):
    """A stage failed after rows were read; target and staging were removed, and what was spent stays spent."""

    exit_code = 9


class ModelError(ThreeAError):
    """A saved model cannot be loaded, or does not hold what was asked of it."""

    exit_code = 10


class LedgerError(ThreeAError):
    """The ledger was changed by something else, or holds no such entry."""

    exit_code = 12


class EnvironmentNotReadyError(ThreeAError):
    """A package, a jar, a Java runtime or a service that this step needs is missing."""

    exit_code = 11


class ClusterNotReadyError(ThreeAError):
    """A check of `threea doctor` found what would stop a release."""

    exit_code = 13
