"""Tables of bad skew and shape, reduced: each releases, and what makes its shape bad is handled as promised.

benchmarks/shapes.py measures the same shapes at full size.
"""

import numpy as np
import pytest
from tables import config_of

from threea_spark import ReleaseConfig, release

pytestmark = pytest.mark.usefixtures("no_staging_left")

NUMBER = {"type": "float", "lower": -6, "upper": 6}
YES_NO = {"type": "categorical", "values": ["no", "yes"]}
LARGE = {"epsilon": 300.0}
"""So large that a noisy count is a count, to within a row or two."""


def numbers(n_numbers, first=0):
    return {f"x{i}": f"randn({i})" for i in range(first, first + n_numbers)}


def table_of(spark, place, n_rows, expressions, n_files=2):
    """Writes a table of expressions of `id`; the label follows the first number where no other is given."""
    given = {**expressions, "y": expressions.get("y", "if(x0 + 0.5 * randn(99) > 0, 'yes', 'no')")}
    rows = spark.range(0, n_rows, 1, n_files)
    for name, text in given.items():
        rows = rows.selectExpr("*", f"{text} AS {name}")
    rows.drop("id").write.format("delta").save(str(place))
    return place


def released(spark, tmp_path, source, columns, **sections):
    """Releases, and checks what holds of every release; gives receipt, source and released rows."""
    config = ReleaseConfig.from_dict(config_of(source, tmp_path / "out", columns=columns, label="y", **sections))
    receipt = release(spark, config)
    assert receipt.privacy.epsilon == config.privacy.epsilon
    assert 0.9 * config.privacy.epsilon <= receipt.privacy.epsilon_spent <= config.privacy.epsilon
    real, rows = (spark.read.format("delta").load(str(place)) for place in (source, tmp_path / "out"))
    assert rows.dtypes == real.select(rows.columns).dtypes
    assert rows.columns == [name for name in real.columns if name in columns]
    table = rows.toPandas()
    assert len(table) == receipt.n_released
    assert not table.isna().any().any()
    return receipt, real, table


PERCENT, CLUSTER_ROWS = 90, 5_000


@pytest.fixture(scope="module")
def clustered(spark, tmp_path_factory):
    """One cluster with nine rows of ten, tight and far from the others, which hold a label of their own."""
    near = f"if(id % 100 < {PERCENT}, 1, 0)"
    columns = {f"x{i}": f"if(near = 1, 2 + 0.05 * randn({i}), randn({i}) - 2)" for i in range(4)}
    label = {"y": "if(near = 1, 'yes', 'no')"}
    return table_of(spark, tmp_path_factory.mktemp("c") / "s", CLUSTER_ROWS, {"near": near, **columns, **label})


@pytest.mark.slow
@pytest.mark.parametrize(
    "sections",
    [{"generator": "sample", "rows": 3_000}, {"generator": "mix", "mix_size": 5}],
)
def test_a_cluster_of_nine_rows_in_ten_keeps_its_share_and_its_place(spark, tmp_path, clustered, sections):
    columns = {**{f"x{i}": NUMBER for i in range(4)}, "y": YES_NO}
    clusters = {"components": 3, "min_cluster_size": 50}
    given = {"anonymize": sections, "approximate": clusters, "privacy": {"epsilon": 20.0}}
    given["encode"] = {"clip_norm": 6.0}  # of rows as far out as these; the typical norm would pull them in
    _, _, table = released(spark, tmp_path, clustered, columns, **given)
    assert (table["y"] == "yes").mean() == pytest.approx(PERCENT / 100, abs=0.04)
    of_cluster, of_others = table[table["y"] == "yes"], table[table["y"] == "no"]
    assert of_cluster["x0"].mean() == pytest.approx(2.0, abs=0.3)
    assert of_others["x0"].mean() == pytest.approx(-2.0, abs=0.7)


N_FILES = 120


@pytest.mark.slow
def test_many_files_of_a_few_rows_are_all_read(spark, tmp_path):
    source = table_of(spark, tmp_path / "source", 10 * N_FILES, numbers(3), n_files=N_FILES)
    assert len(list(source.glob("*.parquet"))) == N_FILES
    columns = {**{f"x{i}": NUMBER for i in range(3)}, "y": YES_NO}
    receipt, _, _ = released(spark, tmp_path, source, columns, privacy=LARGE)
    assert receipt.n_released == pytest.approx(10 * N_FILES, abs=5)  # a file that was left out is ten rows


@pytest.mark.slow
def test_one_file_is_read_whole(spark, tmp_path):
    source = table_of(spark, tmp_path / "source", 40_000, numbers(3), n_files=1)
    assert len(list(source.glob("*.parquet"))) == 1
    columns = {**{f"x{i}": NUMBER for i in range(3)}, "y": YES_NO}
    receipt, _, table = released(spark, tmp_path, source, columns, privacy=LARGE)
    assert receipt.n_released == pytest.approx(40_000, abs=5)
    assert table["x0"].std() == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("n_columns", "generator"), [(260, "sample"), (60, "mix")])
def test_hundreds_of_columns_are_released_with_their_means(spark, tmp_path, n_columns, generator):
    shifted = {f"x{i}": f"{i % 3 - 1} + 0.5 * randn({i})" for i in range(n_columns)}
    source = tmp_path / "source"
    rows = spark.range(0, 2_000, 1, 2).selectExpr(*[f"{text} AS {name}" for name, text in shifted.items()])
    rows.selectExpr("*", "if(x0 > -1, 'yes', 'no') AS y").write.format("delta").save(str(source))
    columns = {**dict.fromkeys(shifted, NUMBER), "y": YES_NO}
    given = {"privacy": {"epsilon": 50.0}, "anonymize": {"generator": generator}}
    _, _, table = released(spark, tmp_path, source, columns, **given)
    means = table[list(shifted)].mean().to_numpy()
    wanted = np.arange(n_columns) % 3 - 1
    assert np.abs(means - wanted).mean() < 0.25 < np.abs(means - np.roll(wanted, 1)).mean()


N_LEVELS, N_FREQUENT = 3_000, 8


def test_levels_of_an_open_column_are_real_ones_that_are_frequent_or_other(spark, tmp_path):
    name = f"concat('level ', if(id % 2 = 0, id % {2 * N_FREQUENT}, id % {N_LEVELS}))"
    source = table_of(spark, tmp_path / "source", 6_000, {**numbers(2), "name": name})
    opened = {"type": "categorical", "values": "open", "max_values": N_LEVELS}
    columns = {"x0": NUMBER, "x1": NUMBER, "name": opened, "y": YES_NO}
    _, real, table = released(spark, tmp_path, source, columns, privacy={"epsilon": 10.0})
    counts = real.groupBy("name").count().toPandas().set_index("name")["count"]
    assert len(counts) > N_LEVELS // 2
    frequent = set(counts[counts > 100].index)
    assert len(frequent) == N_FREQUENT
    assert frequent <= set(table["name"]) <= {*counts.index, "other"}
    assert set(table["name"]) - {"other"} <= set(counts[counts > 20].index)  # no level of four rows came through
    assert (table["name"] == "other").mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("n_classes", "components"), [(200, "auto"), (24, 2)])
def test_all_of_many_classes_are_released_in_their_shares_and_places(spark, tmp_path, n_classes, components):
    place = {f"x{i}": f"3 * sin(class * {1.7 + i}) + 0.3 * randn({i})" for i in range(3)}
    given = {"class": f"cast(pow(rand(5), 1.3) * {n_classes} AS int)", **place, "y": "concat('k', class)"}
    source = table_of(spark, tmp_path / "source", 100 * n_classes, given)
    values = [f"k{i}" for i in range(n_classes)]
    columns = {**{name: NUMBER for name in place}, "y": {"type": "categorical", "values": values}}
    sections = {"privacy": LARGE, "approximate": {"components": components, "min_cluster_size": 10}}
    _, real, table = released(spark, tmp_path, source, columns, **sections)
    assert set(table["y"]) == set(values)
    found, wanted = table["y"].value_counts(), real.groupBy("y").count().toPandas().set_index("y")["count"]
    assert wanted.min() > 50
    assert np.corrcoef(found[values], wanted[values])[0, 1] > 0.9
    angle = table["y"].str[1:].astype(int).to_numpy() * 1.7
    assert np.corrcoef(table["x0"], 3 * np.sin(angle))[0, 1] > 0.7


GIANT, MAX_ROWS, N_SMALL = 20_000, 4, 500


@pytest.mark.slow
def test_a_unit_that_owns_most_rows_counts_as_its_most_rows_and_no_more(spark, tmp_path):
    owner = f"if(id < {GIANT}, 'giant', concat('u', (id - {GIANT}) div 2))"
    value = f"if(id < {GIANT}, 5.0, 0.1 * randn(3))"
    source = table_of(spark, tmp_path / "source", GIANT + 2 * N_SMALL, {"x0": value, "owner": owner})
    columns = {"x0": NUMBER, "y": YES_NO}
    unit = {"column": "owner", "max_rows": MAX_ROWS}
    receipt, _, table = released(spark, tmp_path, source, columns, privacy={**LARGE, "unit": unit})
    assert receipt.n_released == pytest.approx(2 * N_SMALL + MAX_ROWS, abs=5)
    assert (table["x0"] > 3.0).mean() < 0.03  # four of 1004 rows, though 20,000 of 21,000 hold it
