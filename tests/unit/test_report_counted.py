"""Tables of pairs that the fit counted: as the exported statistics say, in few groups, beside the released rows."""

import dataclasses
import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from dp_accounting import NoOpDpEvent
from report_pages import page_text, public, receipt
from test_report_sentences import MAX_WORDS, sentences, words
from test_statistics import config, frame, holds, model

from threea_spark import ReleaseConfig, ReleaseModel
from threea_spark.approximate.tables import grouped_counts, pairs_query, table_columns
from threea_spark.encode.noisy_tables import CellNames
from threea_spark.errors import ModelError
from threea_spark.privacy.mechanism import Measured
from threea_spark.publish.kept_model import kept_model, model_path, require_model_of
from threea_spark.publish.receipt import Receipt
from threea_spark.report.bins import OTHER, OTHERS
from threea_spark.report.counted_tables import MAX_GROUPS, as_counted, cell_groups, counted_table, joined, variation
from threea_spark.report.model_page import model_report_html
from threea_spark.report.pair_tables import grouped, joint_counts, pair_table
from threea_spark.report.summary import summary_of, values_of

COLUMNS = ("age", "paid", "seen", "ward")


@pytest.fixture(scope="module")
def rows():
    return model().sample_local(2_000, seed=1)


@cache
def in_groups():
    """A model that keeps tables of groups of cells, as large tables do; each count is 1."""
    columns = table_columns(model().encoding, 4)
    answer = Measured(np.ones(pairs_query(columns).size), 7.0, NoOpDpEvent())
    counts = (grouped_counts(columns, answer),)
    return dataclasses.replace(model(), tables=dataclasses.replace(model().tables, counts=counts))


def noisy_table(name, own=model):
    pairs = (table for table in own().tables.pairs() if table.cells[1].column == "sick")
    return next(table for table in pairs if (table.cells[0].column, table.cells[0].part) == (name, ""))


def columns_of(rows, name):
    by_name = {values.name: values for values in values_of(rows, model().domain)}
    return by_name[name], by_name["sick"]


def exported(name, own=model):
    table = own().statistics()["pairs"]
    return table[(table.column_a == name) & table.part_a.isna() & (table.column_b == "sick")]


def in_label(cells, label):
    """Which exported cells of age or ward a group's label names."""
    if label == "null" or not label[0].isdigit():
        wanted = [None if label == "null" else label]
        return np.array([own is not None and list(own) == wanted for own in cells.values_a])
    low, high = (float(end) for end in [*label.split(" to "), label][:2])
    return ((cells.lower_a >= low) & (cells.upper_a <= high)).to_numpy()


def summed(cells, labels, cases):
    """Noisy rows of each label and case, shape (len(labels), len(cases)), from the exported cells."""
    return np.array(
        [
            [cells[in_label(cells, label) & (cells.cell_b == case)].noisy_count.sum() for case in cases]
            for label in labels
        ]
    )


@pytest.mark.parametrize("name", ["age", "ward"])
def test_shares_are_those_of_the_exported_statistics(rows, name):
    found = counted_table(noisy_table(name), *columns_of(rows, name), 0.5)
    cells, cases = exported(name), found.labels
    counts = summed(cells, found.given_labels, cases)
    assert set(cases) == {"no", "yes"}
    counts = np.maximum(counts, 0.0)
    assert 700.0 < counts.sum() < 1_300.0  # of 1,000 rows: every cell is in a group, and in one
    assert found.shares == pytest.approx(counts / counts.sum(axis=1, keepdims=True))
    most = max(
        np.count_nonzero(in_label(cells, label) & (cells.cell_b == case))
        for label in found.given_labels
        for case in cases
    )
    assert found.counted.within == pytest.approx(1.96 * np.sqrt(most) * cells.standard_error.max())


@pytest.mark.parametrize("own", [model, in_groups])
@pytest.mark.parametrize("name", COLUMNS)
def test_rows_fall_into_the_groups_of_the_cells_that_counted_them(rows, name, own):
    """Rows of the frame, by the bounds and values that are exported, against the groups of the report."""
    noisy = noisy_table(name, own)
    kinds = [values.kind for values in columns_of(rows, name)]
    groups = [cell_groups(noisy.cells[side], noisy.counts.sum(axis=1 - side), kinds[side]) for side in (0, 1)]
    cells, truth = exported(name, own), np.zeros(noisy.counts.shape)
    used = np.logical_and.outer(*(side.is_used for side in noisy.cells))
    truth[used] = [(holds(row, "_a") & holds(row, "_b")).sum() for row in cells.to_dict("records")]
    assert truth.sum() == len(frame())
    expected = groups[1].merged(groups[0].merged(truth).T).T
    listed = frame().assign(ward=lambda own: own.ward.where(own.ward != "east", None))  # not listed: read as null
    found = joint_counts(*[of.grouped(values) for of, values in zip(groups, columns_of(listed, name), strict=True)])
    assert found[:-1, :-1].tolist() == expected.tolist()
    assert found.sum() == len(frame())
    drawn = joint_counts(*[of.grouped(values) for of, values in zip(groups, columns_of(rows, name), strict=True)])
    assert drawn[-1].sum() + drawn[:, -1].sum() == 0.0


def test_how_far_released_rows_differ_is_total_variation(rows):
    found = counted_table(noisy_table("ward"), *columns_of(rows, "ward"), 0.5)
    cells = exported("ward").assign(ward=exported("ward").cell_a, count=lambda own: own.noisy_count.clip(lower=0.0))
    counted = cells.set_index(["ward", "cell_b"])["count"]
    drawn = pd.Series(list(zip(rows.ward.fillna("null"), rows.sick, strict=True))).value_counts(normalize=True)
    expected = 0.5 * sum(abs(share - drawn.get(key, 0.0)) for key, share in (counted / counted.sum()).items())
    assert found.counted.apart == pytest.approx(expected)
    assert variation(np.array([[1.0, 3.0]]), np.array([[3.0, 9.0]])) == 0.0
    assert variation(np.array([[1.0, 0.0]]), np.array([[0.0, 9.0]])) == 1.0
    mixed = rows.assign(sick=np.where(rows.sick == "yes", "no", "yes"))
    near, far = (counted_table(noisy_table("age"), *columns_of(own, "age"), 0.5).counted for own in (rows, mixed))
    assert near.apart < 0.2 < 0.5 < far.apart


def test_a_pair_is_found_whichever_column_is_given(rows):
    age, sick = columns_of(rows, "age")
    (found,) = as_counted([pair_table(grouped(sick), grouped(age), 0.5)], [age, sick], model().tables)
    assert (found.given, found.name) == ("sick", "age")
    counts = np.maximum(summed(exported("age"), found.labels, found.given_labels), 0.0).T
    assert found.shares == pytest.approx(counts / counts.sum(axis=1, keepdims=True))


# groups


def test_neighbours_with_the_fewest_rows_are_joined_first():
    assert joined(np.array([9.0, 1.0, 2.0, 9.0]), 3) == [[0], [1, 2], [3]]
    assert joined(np.array([1.0, 1.0, 1.0, 9.0]), 2) == [[0, 1, 2], [3]]
    assert joined(np.array([1.0]), 7) == [[0]]


def category(*values):
    n = len(values)
    return CellNames("zip", "", "category", np.full((n, 2), np.nan), np.zeros((n, 2), dtype=bool), values)


def test_the_rarest_categories_are_all_others():
    many = category(*[(f"v{n}",) for n in range(12)], (OTHER,), (None,), ())
    groups = cell_groups(many, np.array([*range(12), 50.0, 3.0, 0.0]), "category")
    assert groups.labels == ("v11", "v10", "v9", "v8", "v7", "v6", OTHERS, "null")
    assert groups.of_cell.tolist() == [6] * 6 + [5, 4, 3, 2, 1, 0, 6, 7, 8]
    assert groups.of_value["v0"] == groups.of_value[OTHER] == 6
    few = cell_groups(category(("a",), ("b", "c", None)), np.array([1.0, 5.0]), "category")
    assert few.labels == ("a", OTHERS)
    assert few.of_value == {"a": 0, "b": 1, "c": 1, None: 1}
    assert cell_groups(category(("a",), (OTHER,)), np.ones(2), "category").labels == ("a", OTHER)
    eight = cell_groups(category(*[(f"v{n}",) for n in range(8)]), np.ones(8), "category")
    assert len(eight.labels) == MAX_GROUPS
    assert OTHERS not in eight.labels


def test_a_table_without_a_row_is_left_to_the_released_rows(rows):
    noisy, columns = noisy_table("ward"), columns_of(rows, "ward")
    assert counted_table(dataclasses.replace(noisy, counts=-np.ones((4, 2))), *columns, 0.5) is None
    held = np.array([[5.0, 3.0], [-7.0, -1.0], [-2.0, 4.0], [1.0, 1.0]])  # north, south, west, null
    found = counted_table(dataclasses.replace(noisy, counts=held), *columns, 0.5)
    sick = found.shares[:, found.labels.index("yes")].tolist()
    assert dict(zip(found.given_labels, sick, strict=True)) == {"north": 0.375, "west": 1.0, "null": 0.5}


def test_of_two_counts_of_a_pair_the_one_with_less_noise_is_shown(rows):
    plain, kept = summary_of(rows, model().domain, 2_000), model().tables
    (own,) = [own for own in kept.counts if own.places.shape[1] == 2]
    loud = dataclasses.replace(own, counts=own.counts[::-1].copy(), stddev=9.0 * own.stddev)
    values = values_of(rows, model().domain)
    expected = as_counted(plain.tables, values, kept)[0]
    assert (expected.given, expected.name) == ("age", "sick")
    for others in ((loud, own), (own, loud)):
        found = as_counted(plain.tables, values, dataclasses.replace(kept, counts=others))[0]
        assert found.counted == expected.counted
        assert np.array_equal(found.shares, expected.shares)


# the page


def test_the_page_shows_what_the_fit_counted():
    page = model_report_html(model())
    text = page_text(page)
    for said in (
        "Counted under the guarantee, before rows were drawn. Noise moves a cell's count by at most", "19 times of 20",
        "The released rows differ by", "on average: so many would have to move to another cell",
        "noisy counts that were kept with the model",
    ):  # fmt: skip
        assert said in text, said
    assert "Tables are counted in the released rows" not in text
    assert [own for own in sentences(page) if len(words(own)) > MAX_WORDS] == []


def test_without_a_model_tables_are_of_released_rows():
    for page in (model_report_html(dataclasses.replace(model(), tables=None)), public(n_more=20)):
        text = page_text(page)
        assert "Tables are counted in the released rows. Their numbers are cut where" in text
        assert "before rows were drawn" not in text
        assert "noisy counts that were kept" not in text


def test_pairs_that_were_not_counted_say_so():
    kept = model().tables
    single = tuple(own for own in kept.counts if own.places.shape[1] == 1)
    page = model_report_html(dataclasses.replace(model(), tables=dataclasses.replace(kept, counts=single)))
    text = page_text(page)
    assert "Tables are counted in the released rows, since the fit counted none of these pairs." in text
    assert "Counted in the released rows: the fit did not count this pair." in text
    assert [own for own in sentences(page) if len(words(own)) > MAX_WORDS] == []


# the model of a release


def receipt_of_model(**changes):
    own = receipt(
        model().domain, columns=tuple(model().types), privacy=model().privacy, domain_fit=dict(model().domain_fit)
    )
    return Receipt.from_dict(json.loads(dataclasses.replace(own, **changes).to_json()))


def test_a_kept_model_is_found_where_it_is_its_release_s(tmp_path):
    content = {**config().model_dump(mode="json"), "target": {"path": str(tmp_path / "out")}}
    own, found = ReleaseConfig.from_dict(content), receipt_of_model()
    assert kept_model(own, found) is None
    folder = model_path(own, found.release_id)
    model().save(folder)
    loaded = kept_model(own, found)
    assert isinstance(loaded, ReleaseModel)
    assert loaded.tables is not None
    other = receipt_of_model(domain_fit={"not in the domain": {}})
    assert kept_model(own, other) is None
    (folder / "model.json").write_text("{}")
    assert kept_model(own, found) is None


def test_a_model_of_another_release_is_refused():
    assert require_model_of(model(), receipt_of_model()) is model()
    epsilon = dataclasses.replace(model().privacy, epsilon=model().privacy.epsilon + 1.0)
    for change in ({"columns": ("age",)}, {"privacy": epsilon}, {"domain_fit": {"bounds found": {}}}):
        with pytest.raises(ModelError, match="is not that of release"):
            require_model_of(model(), receipt_of_model(**change))
