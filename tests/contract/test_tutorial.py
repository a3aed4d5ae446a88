"""The tutorial (docs/tutorial.md), executed: its blocks in order, in a fresh folder, without Spark."""

import pandas as pd
import pytest
from doc_blocks import ROOT, blocks_of, run_python, run_shell

from threea_spark import ReleaseConfig

BLOCKS = blocks_of(ROOT / "docs" / "tutorial.md")
ON_A_WAREHOUSE = 1  # the last block: tests/e2e/test_first_release.py runs such a release


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder after all steps, and what the Python left."""
    folder, names = tmp_path_factory.mktemp("tutorial"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in BLOCKS[:-ON_A_WAREHOUSE]:
            if block.language == "yaml":
                (folder / "release.yaml").write_text(block.text)
            elif block.language == "sh":
                run_shell(block.text, folder)
            else:
                run_python(block, names)
    return folder, names


def test_the_steps_release_rows_that_a_model_learns_from(folder):
    path, names = folder
    released, private = pd.read_parquet(path / "released.parquet"), pd.read_parquet(path / "stays.parquet")
    assert list(released) == [name for name in private if name != "patient_id"]
    assert len(released) == len(private) == 20_000
    auc = names["auc"]
    assert 0.75 < auc["released.parquet"] <= auc["stays.parquet"] + 0.02


def test_what_it_says_of_the_rows_is_so(folder):
    path, _ = folder
    private, text = pd.read_parquet(path / "stays.parquet"), (ROOT / "docs" / "tutorial.md").read_text()
    assert round(private["patient_id"].nunique(), -2) == 10_600
    assert round(100 * (private["died"] == "yes").mean()) == 12
    assert "about 10,600 patients, 12 % of" in text
    assert ReleaseConfig.from_yaml(path / "release.yaml").privacy.delta * 10_600 < 0.02
