"""The benchmark of the paper's claims, without Spark: tables, measures, resume logic, figures."""

import json

import numpy as np
import pandas as pd
import pytest
from benchmark_files import load

from threea_spark.errors import ThreeAError

pytest.importorskip("matplotlib")


data, lab, measures = (load(name) for name in ("paper_data", "paper_lab", "paper_measures"))
panels, figures, claims = (load(name) for name in ("paper_panels", "paper_figures", "paper_claims"))
paper = load("paper")

N_TRAIN = {"toy": 9_000}
N_COLUMNS = {"toy": 2, "separated": 6, "overlapping": 6, "uniform": 6, "tangled": 10, "friedman": 8, "wide-50": 50}


class FakeLab:
    """Releases the real rows, and refuses random mixing."""

    def __init__(self, master):
        self.n_runs = 0

    def rows(self, problem, seed, settings):
        self.n_runs += 1
        if settings.get(lab.GENERATOR) == "random":
            raise ThreeAError("refused")
        return problem.train, {"seconds": 1.0}

    def close(self):
        pass


@pytest.mark.parametrize("name", N_COLUMNS)
def test_generated_tables_have_the_stated_shape_and_lie_within_their_public_bounds(name):
    problem = data.problem_of(name, 0, None)
    assert len(problem.train) == N_TRAIN.get(name, 8_000)
    assert len(problem.test) == data.N_TEST
    assert list(problem.train) == list(problem.domain["columns"]) == [*(f"x{i}" for i in range(N_COLUMNS[name])), "y"]
    for column, spec in problem.domain["columns"].items():
        found = pd.concat([problem.train, problem.test])[column]
        inside = found.isin(spec["values"]) if "values" in spec else found.between(spec["lower"], spec["upper"])
        assert inside.all()
    lab.configuration(problem, {}, "source", "target")  # the domain is one a release accepts


def test_a_seed_gives_the_same_table_and_another_seed_another():
    first, again, other = (data.problem_of("uniform", seed, None).train for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_an_unlabelled_table_has_its_features_alone():
    problem = data.problem_of("separated/unlabelled", 0, None)
    assert (problem.label, problem.domain["task"], "y" in problem.train) == (None, "none", False)
    assert problem.name == "separated/unlabelled"


def test_an_unknown_table_is_refused():
    with pytest.raises(SystemExit, match="no such generated table"):
        data.problem_of("adult", 0, None)


def test_energy_distance_of_shifted_normals_is_near_theory_and_of_equal_ones_near_zero():
    x, y = np.random.default_rng(0).standard_normal((2, 1_500, 1))
    assert measures.energy_distance(x, y) < 0.02
    far = measures.energy_distance(x, y + 20.0)  # 2 * 20 - 2 * 2 / sqrt(pi)
    assert far == pytest.approx(40.0 - 4.0 / np.sqrt(np.pi), abs=0.2)


def test_marginal_distance_is_the_shift_in_standard_deviations():
    problem = data.problem_of("uniform", 0, None)
    moved = problem.test.assign(**{f"x{i}": problem.test[f"x{i}"] + 2.0 for i in range(6)})
    assert measures.marginal_distance(problem.test, problem) == 0.0
    assert measures.marginal_distance(moved, problem) == pytest.approx(2.0 / np.sqrt(3.0), rel=0.02)


def test_marginal_distance_of_categories_is_total_variation():
    domain = {"label": None, "task": "none", "columns": {"ward": {"type": "categorical", "values": ["a", "b"]}}}
    test = pd.DataFrame({"ward": ["a", "b", "b", "b"]})
    problem = data.Problem("wards", test, test, domain)
    assert measures.marginal_distance(pd.DataFrame({"ward": ["a", "a"]}), problem) == pytest.approx(0.75)


def test_centre_error_is_small_on_real_rows_and_the_shift_on_shifted_ones():
    problem = data.problem_of("toy", 0, None)
    rows = problem.train[["x0", "x1"]].to_numpy()
    assert measures.centre_error(rows, problem.centres) < 0.05
    assert measures.centre_error(rows + np.array([0.3, 0.4]), problem.centres) == pytest.approx(0.5, abs=0.05)


def test_clusters_are_kept_by_real_rows_and_lost_by_noise():
    problem = data.problem_of("separated/unlabelled", 0, None)
    train, test = (measures.coordinates(rows, problem) for rows in (problem.train, problem.test))
    kept = measures.clusters_kept(test, train, test, 8)
    lost = measures.clusters_kept(np.random.default_rng(0).standard_normal((500, 6)), train, test, 8)
    assert kept["ari"] > 0.9
    assert kept["inertia_ratio"] == pytest.approx(1.0, abs=0.05)
    assert lost["ari"] < kept["ari"] - 0.2
    assert lost["inertia_ratio"] > 1.2


def test_a_table_of_one_class_teaches_nothing():
    problem = data.problem_of("tangled", 0, None)
    assert measures.auc_figures(problem, problem.train.assign(y="a")) == {"auc_lgbm": 0.5, "auc_linear": 0.5}


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("letter", claims.CLAIMS)
def test_every_run_of_every_claim_is_asked_once_and_makes_a_valid_configuration(letter, real):
    points = claims.CLAIMS[letter].points(real)
    keys = [json.dumps(point.key, sort_keys=True) for point in points]
    assert len(set(keys)) == len(keys)
    label_free = data.problem_of("separated/unlabelled", 0, None)
    problem = data.problem_of("tangled", 0, None)
    for point in points:
        if point.settings.get(lab.GENERATOR) != "real":
            chosen = label_free if point.table.endswith("/unlabelled") else problem
            lab.configuration(chosen, point.settings, "source", "target")


def test_what_stands_in_the_json_is_not_run_again_unless_it_failed(tmp_path, monkeypatch, capsys):
    labs = []
    monkeypatch.setattr(paper, "Lab", lambda master: labs.append(FakeLab(master)) or labs[-1])
    monkeypatch.setattr(paper, "judge", lambda problem, rows: {"auc_lgbm": 0.8, "auc_linear": float("nan")})
    arguments = ["--claims", "b", "--out", str(tmp_path), "--seeds", "0"]
    paper.main(arguments)
    paper.main(arguments)
    asked = claims.CLAIMS["b"].points(False)
    refused = [point for point in asked if point.settings.get(lab.GENERATOR) == "random"]
    assert [made.n_runs for made in labs] == [len(asked), len(refused)]
    stored = json.loads((tmp_path / "figures.json").read_text())
    assert len(stored) == len(asked)
    assert sum("failed" in row["outcome"] for row in stored) == len(refused)
    assert {row["outcome"].get("auc_linear") for row in stored} == {None}  # JSON knows no NaN
    assert (tmp_path / "b_mixing.png").exists()


def test_a_second_seed_runs_only_what_it_adds(tmp_path):
    store = lab.Store(tmp_path / "figures.json")
    points = claims.with_seeds(claims.CLAIMS["g"].points(False), [0])
    for point in points:
        store.add(point, {"auc_lgbm": 0.8})
    both = claims.with_seeds(claims.CLAIMS["g"].points(False), [0, 1])
    assert [point.seed for point in paper.missing(lab.Store(tmp_path / "figures.json"), both)] == [1] * len(points)


@pytest.mark.parametrize("letter", claims.CLAIMS)
def test_every_figure_is_written_small_from_a_few_records(letter, tmp_path):
    names = ("auc_lgbm", "auc_linear", "r2_lgbm", "ari", "inertia_ratio", "energy", "centre_error")
    points = claims.with_seeds(claims.CLAIMS[letter].points(False), [0, 1])
    outcome = {**dict.fromkeys(names, 0.7), "points": [[0.0, 1.0, "a"], [1.0, 0.0, "b"]]}
    paper.draw(letter, [{**point.key, "outcome": outcome} for point in points], tmp_path)
    (written,) = tmp_path.glob("*.png")
    assert written.read_bytes()[:4] == b"\x89PNG"
    assert written.stat().st_size < 80_000


def test_means_leave_out_runs_without_the_figure():
    rows = [{"settings": {"e": 1.0}, "outcome": {"auc": value}} for value in (0.5, 0.7, None)]
    assert panels.means([*rows, {"settings": {}, "outcome": {"auc": 9.0}}], "e", "auc") == ([1.0], [pytest.approx(0.6)])
