"""What a release leaves beside its table is checked before anything is spent, and a disk that fails loses nothing."""

import json

import pytest
from report_pages import receipt, table
from tables import config_of
from test_model_store import model_of

from threea_spark import ReleaseConfig
from threea_spark.errors import ConfigError, ModelError
from threea_spark.model.released import ReleaseModel
from threea_spark.outputs import Outputs
from threea_spark.publish.kept_model import model_path


@pytest.fixture
def config(tmp_path):
    return ReleaseConfig.from_dict(config_of(tmp_path / "in", tmp_path / "out"))


@pytest.fixture
def blocked(tmp_path):
    """A path whose folder is a file."""
    (tmp_path / "file").write_text("kept")
    return tmp_path / "file" / "x"


@pytest.mark.parametrize(
    ("field", "option"), [("receipt", "--receipt"), ("report", "--report"), ("model", "--save-model")]
)
def test_a_path_that_cannot_be_written_is_refused_first(config, blocked, field, option):
    with pytest.raises(ConfigError, match=f"^{option}: .* choose a file in a folder"):
        Outputs(**{field: blocked}).check(config)
    assert blocked.parent.read_text() == "kept"


def test_a_folder_is_no_receipt_and_a_full_one_no_model(config, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("")
    with pytest.raises(ConfigError, match="--receipt"):
        Outputs(receipt=tmp_path / "folder").check(config)
    with pytest.raises(ModelError, match="not empty"):
        Outputs(model=tmp_path / "folder").check(config)


def test_missing_folders_are_made_once_there_is_something_to_write(config, tmp_path):
    asked = Outputs(tmp_path / "a" / "receipt.json", with_report=False, model=tmp_path / "b" / "c" / "model")
    asked.check(config)
    assert list(tmp_path.iterdir()) == []  # a dry run, or one that is refused later, leaves nothing
    asked.write(None, config, receipt(table(10)[1]), model_of())
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_what_was_asked_is_written_where_it_was_asked(config, tmp_path):
    made = receipt(table(10)[1])
    Outputs(tmp_path / "r.json", with_report=False, model=tmp_path / "model").write(None, config, made, model_of())
    assert json.loads((tmp_path / "r.json").read_text())["release_id"] == made.release_id
    assert ReleaseModel.load(tmp_path / "model").n_rows == model_of().n_rows


def test_a_disk_that_fails_after_the_release_loses_neither_model_nor_receipt(
    config, blocked, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Outputs(blocked, with_report=False, model=blocked).write(None, config, receipt(table(10)[1]), model_of())
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("the release is kept") == 2
    assert "`threea report` reads it from there" in said
    (spare,) = tmp_path.glob("threea-model-*")
    assert spare.name in said.replace(" ", "")  # a line may break within a path
    assert ReleaseModel.load(spare).n_rows == model_of().n_rows


def test_a_model_that_finds_no_place_does_not_stop_the_rest(config, blocked, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(blocked))
    Outputs(tmp_path / "r.json", with_report=False, model=blocked).write(
        None, config, receipt(table(10)[1]), model_of()
    )
    assert "its model is lost" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "r.json").exists()


def test_the_model_is_saved_beside_the_receipt_unless_it_is_not_wanted(config, tmp_path, capsys):
    made = receipt(table(10)[1])
    Outputs(with_report=False).write(None, config, made, model_of())
    assert ReleaseModel.load(tmp_path / "out.model").n_rows == model_of().n_rows
    assert f"model written to {tmp_path}/out.model" in capsys.readouterr().err
    other = ReleaseConfig.from_dict(config_of(tmp_path / "in", tmp_path / "other"))
    Outputs(with_report=False, with_model=False).write(None, other, made, model_of())
    assert not (tmp_path / "other.model").exists()
    with pytest.raises(ConfigError, match="--no-model: contradicts"):
        Outputs(model=tmp_path / "model", with_model=False).check(config)


def test_each_appended_release_has_a_model_of_its_own_and_a_table_in_a_catalog_one_by_its_release(tmp_path):
    content = config_of(tmp_path / "in", tmp_path / "out")
    for target, name in (
        ({"path": str(tmp_path / "out"), "mode": "append"}, f"{tmp_path}/out.abc-v3.model"),
        ({"table": "main.released.stays"}, "model-abc-v3"),
        ({"path": "s3://bucket/out"}, "model-abc-v3"),
        ({"path": "dbfs:/out"}, "model-abc-v3"),
    ):
        assert str(model_path(ReleaseConfig.of({**content, "target": target}), "abc-v3")) == name
    mixed = ReleaseConfig.of(config_of(tmp_path / "in", tmp_path / "out", anonymize={"generator": "mix"}))
    assert Outputs().model_folder(mixed, "abc-v3") is None


def test_a_place_that_is_taken_is_refused_by_its_options_also_the_default_one(config, tmp_path, blocked):
    Outputs().check_model(config, "abc-v3")
    (tmp_path / "out.model").mkdir()
    (tmp_path / "out.model" / "kept").write_text("")
    Outputs().check(config)  # the release may have been written before, which is told first
    with pytest.raises(ModelError, match=r"out\.model: is not empty; .* --save-model, move it away, or pass"):
        Outputs().check_model(config, "abc-v3")
    Outputs(with_model=False).check_model(config, "abc-v3")
    Outputs(model=tmp_path / "out.model", if_exists="skip").check(config)
    with pytest.raises(ModelError):
        Outputs(model=tmp_path / "out.model", if_exists="skip").check_model(config, "abc-v3")
    elsewhere = ReleaseConfig.of(config_of(tmp_path / "in", blocked))
    with pytest.raises(ConfigError, match=r"--save-model: .* cannot be written"):
        Outputs().check_model(elsewhere, "abc-v3")
