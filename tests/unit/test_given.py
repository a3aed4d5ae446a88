"""What a caller may pass: configurations in any of three forms, and one clear error for everything else."""

from types import MappingProxyType

import numpy as np
import pytest
import yaml
from tables import config_of

import threea_spark
from threea_spark import Domain, ReleaseConfig, check_domain, evaluate, fit, internal_report_html, release, report_html
from threea_spark.config.near_names import near_name
from threea_spark.errors import ConfigError
from threea_spark.forecast.outlook import outlook

WHAT = "must be a ReleaseConfig, a mapping of its fields, or the path of its YAML, got"


@pytest.fixture
def content(tmp_path):
    return config_of(tmp_path / "in", tmp_path / "out")


class Session:
    """Has a session's methods; whatever asks it for rows fails."""

    sql = createDataFrame = None


def test_a_configuration_is_itself_a_mapping_or_a_path(content, tmp_path):
    wanted = ReleaseConfig.from_dict(content)
    assert ReleaseConfig.of(wanted) is wanted
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    for given in (
        content,
        MappingProxyType(content),
        {**content, "domain": wanted.domain},
        tmp_path / "release.yaml",
        str(tmp_path / "release.yaml"),
    ):
        assert ReleaseConfig.of(given) == wanted
        assert outlook(given, n_rows=1000).as_dict() == outlook(wanted, n_rows=1000).as_dict()


def test_a_domain_in_a_file_of_its_own_is_relative_to_the_yaml_or_the_working_directory(content, tmp_path, monkeypatch):
    domain = Domain.of(content["domain"])
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "domain.yaml").write_text(yaml.safe_dump(content["domain"]))
    named = {**content, "domain": {"file": "domain.yaml"}}
    (tmp_path / "below" / "release.yaml").write_text(yaml.safe_dump(named))
    assert ReleaseConfig.of(tmp_path / "below" / "release.yaml").domain == domain
    assert Domain.of(tmp_path / "below" / "domain.yaml") == domain
    assert Domain.of(domain) is domain
    with pytest.raises(ConfigError, match=r"domain\.yaml: cannot be read"):
        ReleaseConfig.of({**named, "domain": {"file": str(tmp_path / "domain.yaml")}})
    monkeypatch.chdir(tmp_path / "below")
    assert ReleaseConfig.of(named).domain == domain


@pytest.mark.parametrize("given", [None, 3, ["a"], Session(), Domain])
def test_anything_else_is_refused_with_what_is_accepted(given, tmp_path):
    session = Session()
    for call in (
        lambda: release(session, given),
        lambda: threea_spark.release_with_model(session, given),
        lambda: evaluate(session, given, "held_out"),
        lambda: report_html(session, given),
        lambda: internal_report_html(session, given, "held_out"),
        lambda: check_domain(session, given),
        lambda: fit(None, given),
        lambda: outlook(given, n_rows=10),
        lambda: threea_spark.log_release(None, config=given),
    ):
        with pytest.raises(ConfigError, match=f"config: {WHAT} {type(given).__name__}"):
            call()
    with pytest.raises(ConfigError, match="domain: must be a Domain, a mapping of its fields, or the path of its YAML"):
        Domain.of(3)


def test_arguments_in_the_wrong_place_are_named(content):
    for call in (
        lambda: release(content, Session()),
        lambda: release(None, content),
        lambda: evaluate("release.yaml", content, "held_out"),
        lambda: report_html(content, content),
        lambda: check_domain(None, content),
    ):
        with pytest.raises(ConfigError, match=r"spark: must be a SparkSession, got .*build_session\(\) starts one"):
            call()
    for rows in (np.zeros((3, 2)), [1], None, "rows.csv"):
        with pytest.raises(ConfigError, match="rows: must be a Spark DataFrame, a pandas frame or an Arrow table"):
            fit(rows, content)
    with pytest.raises(ConfigError, match="if_exists: must be 'error' or 'skip', got 'overwrite'"):
        release(Session(), content, if_exists="overwrite")


def test_a_near_name_is_found_and_another_one_is_not():
    names = ["stays", "Stays_2024", "patients", "q"]
    assert near_name("STAYS", names) == "stays"
    assert near_name("stay", names) == "stays"
    assert near_name("patinets", names) == "patients"
    assert near_name("stays_2023", names) == "Stays_2024"
    assert near_name("costs", names) is None
    assert near_name("stays", []) is None
