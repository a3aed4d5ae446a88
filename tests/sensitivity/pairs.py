"""Neighbouring tables through whole releases: what the tests of this folder share."""

import numpy as np
from benchmark_files import load

load("local_rows")
rows = load("sensitivity_rows")
sums = load("sensitivity_sums")
search = load("sensitivity")


def release(mode, *, n_base=12, seed=0, relation="add_or_remove_one", max_rows=1, **sections):
    """Runs one release of ordinary rows; its published numbers are then held fixed."""
    config = rows.release_config(mode, relation=relation, max_rows=max_rows, **sections)
    return sums.Release(rows.plain_table(config.domain, n_base, np.random.default_rng(seed)), config)


def check(released, pair, place=0):
    """Raises AssertionError where any sum of a release moves further than is priced; gives what was found."""
    found = search.moved_by(released, pair, place)
    for own in found:
        own.check()
    return search.furthest(found)


def check_modes(modes, *, pairs=6, **own):
    """Units of equal hard rows against each mode, as `check`."""
    rng = np.random.default_rng(7)
    for mode in modes:
        released = release(mode, **own)
        n_rows = released.config.privacy.privacy_unit.max_rows
        for _ in range(pairs):
            check(released, ([rows.hard_row(released.config.domain, rng)] * n_rows, []))
