import dataclasses
import datetime as dt
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_tables import category, mixed_encoding, number

from threea_spark.config.domain import Domain
from threea_spark.encode.codec import Encoding
from threea_spark.encode.grid import leaf_grid
from threea_spark.encode.moments import AffineCodec
from threea_spark.encode.quantile_codec import quantile_codec
from threea_spark.encode.steps import Step
from threea_spark.encode.times import TimeCodec
from threea_spark.encode.written import StepMixture
from threea_spark.errors import ModelError
from threea_spark.model.labels import KernelInput, LabelFunction
from threea_spark.model.ntk import Architecture
from threea_spark.model.released import ReleaseModel
from threea_spark.model.sampler import RowSampler
from threea_spark.model.store import load, save
from threea_spark.privacy.statement import PrivacyStatement, StageSpend


def model_of():
    rng = np.random.default_rng(1)
    encoding = mixed_encoding()
    labels = LabelFunction(
        rng.normal(size=2),
        rng.normal(size=(encoding.n_cells, 2)),
        KernelInput(rng.normal(size=encoding.n_cells)),
        rng.normal(size=(3, 4)),
        rng.normal(size=(3, 2)),
        Architecture(activation="erf", depth=2),
    )
    sampler = RowSampler(
        np.array([0.4, 0.6]),
        np.array([0, 1]),
        rng.random((2, encoding.n_cells)),
        tuple(np.arange(m) for m in np.diff(encoding.cell_layout.offsets)),
        np.eye(4),
        labels,
    )
    columns = {
        "age": {"type": "integer", "lower": 0, "upper": 120},
        "income": {"type": "float", "lower": 0, "upper": 1e6, "nullable": True},
        "ward": {"type": "categorical", "values": ["a", "b", "c"]},
        "sex": {"type": "categorical", "values": ["f", "m"], "nullable": True},
        "seen": {"type": "timestamp", "lower": "2020-01-01", "upper": "2021-01-01", "parts": ["hour"]},
        "died": {"type": "categorical", "values": ["no", "yes"]},
    }
    spend = StageSpend("encode", "counts", 1, 0.5, 1.0)
    statement = PrivacyStatement(
        1.0, 1e-6, 0.99, None, ((0.1, 0.5), (1.0, 1e-6)), "add", "one row", "end_to_end", (spend,), ("x",)
    )
    return ReleaseModel(
        domain=Domain.from_dict({"columns": columns, "label": "died"}),
        encoding=encoding,
        sampler=sampler,
        types={"age": "int", "income": "double"},
        n_rows=1234.5,
        privacy=statement,
    )


def same(one, two):
    if dataclasses.is_dataclass(one):
        return type(one) is type(two) and all(
            same(getattr(one, f.name), getattr(two, f.name)) for f in dataclasses.fields(one)
        )
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two


def test_a_loaded_model_is_the_saved_one(tmp_path):
    model = model_of()
    model.save(tmp_path / "model")
    loaded = ReleaseModel.load(tmp_path / "model")
    assert same(loaded, model)
    assert not same(dataclasses.replace(model, n_rows=1.0), model)  # the comparison can tell


def test_a_loaded_model_draws_the_same_rows(tmp_path):
    model = model_of()
    model.save(tmp_path / "model")
    loaded = ReleaseModel.load(tmp_path / "model")
    drawn = [m.sampler.draw_cells(m.encoding, 500, np.random.default_rng(2)) for m in (model, loaded)]
    assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))


def test_affine_codes_and_missing_labels_are_saved(tmp_path):
    affine = AffineCodec("x", "float", False, 0.0, 1.0, 0.5, 0.2, np.array([0.0]))
    model = dataclasses.replace(model_of(), encoding=Encoding((affine, number("y")), None, 1.0))
    model.save(tmp_path / "model")
    assert same(ReleaseModel.load(tmp_path / "model"), model)


def test_no_pickle_is_written_or_read(tmp_path):
    model_of().save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model" / "arrays.npz") as archive:
        for name in archive.namelist():
            assert not np.lib.format.read_array_header_1_0(_after_magic(archive.open(name)))[2].hasobject
    np.savez(tmp_path / "model" / "arrays.npz", a0=np.array([{"x": 1}], dtype=object))
    with pytest.raises(ModelError, match="damaged"):
        ReleaseModel.load(tmp_path / "model")


def _after_magic(stream):
    np.lib.format.read_magic(stream)
    return stream


def test_a_folder_that_holds_anything_is_left_alone(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="not empty"):
        model_of().save(tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "model").mkdir()
    model_of().save(tmp_path / "model")
    assert same(ReleaseModel.load(tmp_path / "model"), model_of())


@pytest.mark.parametrize("name", ["model.json", "arrays.npz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_a_damaged_model_is_refused(tmp_path, name, damage):
    model_of().save(tmp_path / "model")
    path = tmp_path / "model" / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "noise": b"\x93" * 100}[damage])
    with pytest.raises(ModelError, match="damaged"):
        ReleaseModel.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"format": 4, "parts": {}}', "format 4"),
        ('{"parts": {}}', "damaged"),
        ("[]", "damaged"),
        ("3", "damaged"),
        ('{"format": 1, "parts": []}', "damaged"),
        ('{"format": 1, "parts": {}}', "damaged"),
        ('{"format": 1, "parts": {"domain": {"$class": "Popen", "fields": {}}}}', "damaged"),
        ('{"format": 1, "parts": {"domain": {"$array": "zzz"}}}', "damaged"),
        ('{"format": 1, "parts": {"domain": {"$domain": {}}}}', "damaged"),
    ],
)
def test_another_document_is_refused(tmp_path, text, expected):
    model_of().save(tmp_path / "model")
    (tmp_path / "model" / "model.json").write_text(text)
    with pytest.raises(ModelError, match=expected):
        ReleaseModel.load(tmp_path / "model")


def test_a_model_of_another_format_says_what_to_do(tmp_path):
    model_of().save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"readable_by": 99}))
    with pytest.raises(ModelError, match="format 99, this version reads 3; install"):
        ReleaseModel.load(tmp_path / "model")


def test_what_a_newer_version_adds_is_passed_over(tmp_path):
    model_of().save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    document = json.loads(path.read_text()) | {"format": 2, "colour": "blue"}
    document["parts"]["hints"] = {"$class": "NotYetKnown", "fields": {}}
    document["parts"]["sampler"]["fields"]["spare"] = {"$tuple": [1, 2]}
    path.write_text(json.dumps(document))
    assert same(ReleaseModel.load(tmp_path / "model"), model_of())


def test_the_first_format_is_read_for_ever():
    """A number brings its own leaves, which were fewer then."""
    loaded, made = ReleaseModel.load(Path(__file__).with_name("model_of_format_1")), model_of()
    age, income, *categories = made.encoding.columns
    old = loaded.encoding.columns[1]
    assert old.grid.n_leaves < 512 < income.grid.n_leaves
    assert np.diff(old.cdf) == pytest.approx(1.0 / old.grid.n_leaves)
    read = dataclasses.replace(old, grid=income.grid, cdf=income.cdf, cell_starts=income.cell_starts)
    assert same(read, income)
    columns = (age, old, *categories)
    assert same(loaded, dataclasses.replace(made, encoding=dataclasses.replace(made.encoding, columns=columns)))


WHERE = {
    "seen": tuple(dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc).timestamp() for year in (2020, 2021)),
    "seen#hour": "1",
    "age": (10, 90),
}
ASKED = {"all": (25, 3, None, None), "where": (12, 4, WHERE, {"no": 0.5, "yes": 0.5})}


@pytest.mark.parametrize("what", ASKED)
def test_a_model_of_0_2_0_draws_the_rows_that_0_3_0_draws_from_it(what):
    """Saved by 0.2.0: columns of all kinds, parts of times, and a column named `seen#hour` beside them."""
    folder = Path(__file__).with_name("model_of_0_2_0")
    n_rows, seed, where, shares = ASKED[what]
    drawn = ReleaseModel.load(folder).rows_drawn(n_rows, seed=seed, where=where, class_shares=shares)
    table = pa.Table.from_batches(list(drawn.blocks()))
    expected = json.loads((folder / "drawn.json").read_text())[what]
    assert table.column_names == list(expected)
    for name, cells in expected.items():
        found = [cell.isoformat() if hasattr(cell, "isoformat") else cell for cell in table.column(name).to_pylist()]
        for own, other in zip(found, cells, strict=True):
            assert own == (pytest.approx(other, rel=1e-6) if isinstance(other, float) else other), name


def test_as_many_rows_as_the_source_are_at_least_one():
    assert model_of().matching_rows == 1234
    assert dataclasses.replace(model_of(), n_rows=-5.0).matching_rows == 1


def test_parts_of_times_in_models_of_0_1_0_are_read(tmp_path):
    """They were named after their timestamp; a column of such a name beside no timestamp is a column."""
    model = model_of()
    seen = TimeCodec(time_code(), (category("hour", *map(str, range(24))), category("month", *map(str, range(12)))))
    columns = (category("odd#hour", "a"), seen, category("odd#month", "a"))
    now = dataclasses.replace(model, encoding=dataclasses.replace(model.encoding, columns=columns))
    now.save(tmp_path / "now")
    document = json.loads((tmp_path / "now" / "model.json").read_text())
    encoding = document["parts"]["encoding"]["fields"]
    for code in [*encoding["codes"]["$tuple"], encoding["label"]]:
        if (part := code["fields"].pop("part", "")) != "":
            code["fields"]["name"] += f"#{part}"
    (tmp_path / "now" / "model.json").write_text(json.dumps(document))
    assert same(ReleaseModel.load(tmp_path / "now"), now)


def test_columns_named_like_parts_are_saved_as_columns(tmp_path):
    model = model_of()
    hours = category("hour", *map(str, range(24)))
    odd = [category(name, "a", "b") for name in ("seen#hour", "seen", "hour")]
    for columns in ((TimeCodec(time_code(), (hours,)), *odd), (*odd, TimeCodec(time_code(), (hours,)))):
        now = dataclasses.replace(model, encoding=dataclasses.replace(model.encoding, columns=columns))
        folder = tmp_path / str(columns[0].is_category)
        now.save(folder)
        assert same(ReleaseModel.load(folder), now)


def test_models_are_written_in_the_terms_of_format_1(tmp_path):
    """Version 0.2.0 reads what this version saves: the same classes, fields and arrays."""
    folder = Path(__file__).with_name("model_of_0_2_0")
    ReleaseModel.load(folder).save(tmp_path / "again")
    assert (tmp_path / "again" / "model.json").read_text() == (folder / "model.json").read_text()


def time_code():
    grid = leaf_grid(1.5e9, 1.6e9, whole=True)
    return quantile_codec("seen", "timestamp", False, grid, np.ones(grid.n_leaves), cell_rows=16.0)


def test_a_mixture_of_all_classes_is_kept_from_readers_that_do_not_know_it(tmp_path):
    model = model_of()
    k = len(model.sampler.weights)
    sampler = dataclasses.replace(model.sampler, labels=None, class_probabilities=np.full((k, 2), 0.5))
    now = dataclasses.replace(model, sampler=sampler)
    now.save(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "model.json").read_text())["readable_by"] == 2
    assert same(ReleaseModel.load(tmp_path / "model"), now)


def test_steps_come_back_and_an_earlier_version_passes_them_over(tmp_path):
    """So the file is of format 1 still, unless the domain declares a step, which 0.2.0 would refuse."""
    grid = leaf_grid(0.0, 50.0, whole=False)
    steps = StepMixture((Step(1), Step(1, 100)), np.array([0.2, 0.8, 0.0]))
    codec = quantile_codec("x", "float", False, grid, np.ones(grid.n_leaves), cell_rows=40.0, steps=steps)
    save({"codec": codec}, tmp_path / "steps")
    again = load(tmp_path / "steps", ["codec"])["codec"]
    cells, uniform = np.arange(1_000) % codec.n_value_cells, np.arange(1_000) / 1_000.0
    assert np.array_equal(again.draw(cells, uniform), codec.draw(cells, uniform))
    assert np.all(again.draw(cells, uniform) == np.round(again.draw(cells, uniform), 2))
    assert json.loads((tmp_path / "steps" / "model.json").read_text())["format"] == 1
    column = {"type": "float", "lower": 0, "upper": 1, "step": 0.1}
    save({"domain": Domain.from_dict({"task": "none", "columns": {"x": column}})}, tmp_path / "declared")
    assert json.loads((tmp_path / "declared" / "model.json").read_text())["format"] == 2
    assert load(tmp_path / "declared", ["domain"])["domain"].columns["x"].step == 0.1
