"""The only numbers that decide when a statistical test passes.

Every test runs on fixed seeds or keys, so a result repeats; a fresh key fails a right law with probability ALPHA.
"""

from __future__ import annotations

ALPHA = 1e-4
"""Right laws must have a p-value above it; wrong ones, in each test's twin, must fall below it."""

DRAWS = 1_000_000
"""Enough that a standard deviation 5 % off has a p-value far below ALPHA (chi-squared on about 20 cells)."""

WRONG_SCALES = (0.90, 0.95, 1.05, 1.10)
"""Relative errors of the noise that the tests must see."""

SELECTION_RUNS = 200_000
"""Draws of the noise against a selection threshold at SELECTION_DELTA: about 2,000 would pass at the bound."""

SELECTION_DELTA = 0.01
"""Large on purpose, so that passing is seen often enough to be counted."""

SLACK_STDDEVS = 4.0
"""A count may exceed its expectation by this many binomial standard deviations (one-sided p about 3e-5)."""
