import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import chisquare

from threea_spark.model.cell_search import CellSearch

CELLS = 100 + np.random.default_rng(0).permutation(40)


def laws_of(k=7, m=40, seed=1):
    """Components whose cells are mostly alike, some of them much rarer than a bin is wide, and some impossible."""
    rng = np.random.default_rng(seed)
    laws = rng.dirichlet(np.full(m, 0.2), k)
    laws[:, 5:20] *= 1e-6
    laws[0, :3] = laws[1, -3:] = laws[2, 10:15] = 0.0
    return laws / laws.sum(axis=1, keepdims=True)


def places_of(n, normal):
    rng = np.random.default_rng(2)
    return rng.standard_normal(n, dtype=np.float32) if normal else rng.random(n, dtype=np.float32)


@pytest.mark.parametrize("normal", [False, True])
def test_the_table_finds_what_a_search_of_each_component_finds(normal):
    laws, places = laws_of(), places_of(30_000, normal)
    component = np.random.default_rng(3).integers(0, len(laws), len(places))
    found = CellSearch.of(laws, CELLS, normal=normal).find(component, places)
    for own, law in enumerate(laws):
        ends = np.cumsum(law)[:-1] / law.sum()
        ends = (ndtri(np.minimum(ends, 1.0)) if normal else ends).astype(np.float32)
        here = component == own
        rank = np.searchsorted(ends, places[here], side="right")
        assert np.array_equal(found[here], CELLS[rank])


@pytest.mark.parametrize("normal", [False, True])
def test_cells_have_their_component_s_law_and_impossible_ones_are_never_found(normal):
    laws, n = laws_of(), 40_000
    search, places = CellSearch.of(3.0 * laws, CELLS, normal=normal), places_of(n, normal)
    for own in (0, 1, 2):
        counts = np.bincount(search.find(np.full(n, own), places), minlength=140)[CELLS]
        often = laws[own] * n > 5.0
        assert counts[laws[own] == 0.0].sum() == 0
        expected = np.append(laws[own][often], laws[own][~often].sum()) * n
        seen = np.append(counts[often], counts[~often].sum())
        assert chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-4
        assert chisquare(seen[::-1], expected * seen.sum() / expected.sum()).pvalue < 1e-4


def test_the_first_and_the_last_place_lie_in_cells_with_mass():
    laws = np.array([[0.0, 0.25, 0.75, 0.0]])
    search = CellSearch.of(laws, np.arange(4), normal=False)
    last = np.nextafter(np.float32(1.0), np.float32(0.0))
    assert search.find(np.zeros(3, dtype=np.int64), np.array([0.0, 0.25, last], dtype=np.float32)).tolist() == [1, 2, 2]
