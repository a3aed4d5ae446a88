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
