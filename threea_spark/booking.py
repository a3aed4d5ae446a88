"""Books a release in the ledger before a row is read, and turns whatever stops it into one error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from threea_spark.engine.quiet import unprinted_query_errors
from threea_spark.errors import ReleaseFailedError, ThreeAError
from threea_spark.publish.ledger import Ledger

log = logging.getLogger("threea_spark")


@contextmanager
def booked(ledger: Ledger) -> Iterator[None]:
    """Charges the ledger before a row is read, and records in it what became of the release."""
    ledger.start()
    try:
        with one_error("the release"), unprinted_query_errors():
            yield
    except ThreeAError:
        _mark_failed(ledger)
        raise
    ledger.finish()


@contextmanager
def one_error(what: str) -> Iterator[None]:
    """Turns whatever stops a release into one error, which shows neither a value of a row nor what it came of."""
    try:
        yield
    except ThreeAError as error:
        log.debug("%s was stopped", what, exc_info=True)
        raise error from None  # what it came of may hold values of rows, and a notebook would print it
    except Exception as error:
        log.debug("a stage failed", exc_info=True)
        raise ReleaseFailedError(
            f"{what} stopped in {type(error).__name__}; no table was written, private rows that were staged are "
            "dropped, and what the stages had spent counts as spent. Run with --debug for the trace, which may hold "
            "private values"
        ) from None


def _mark_failed(ledger: Ledger) -> None:
    """Spark may be gone by now; the release then stays on record as started, which counts the same."""
    try:
        ledger.fail()
    except Exception:  # whatever it was, the first error is the one to tell
        log.debug("the ledger could not be written", exc_info=True)
