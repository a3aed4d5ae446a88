import argparse
import json

import numpy as np
import pandas as pd
import pytest
from benchmark_files import load
from scipy.stats import chi2

from threea_spark.errors import ThreeAError
from threea_spark.privacy.gaussian import gaussian_mu

ALPHA = 1e-6

DOMAIN = {
    "label": "died",
    "task": "classification",
    "columns": {
        "age": {"type": "integer", "lower": 0.0, "upper": 120.0, "nullable": False},
        "income": {"type": "float", "lower": -5.0, "upper": 1e6, "nullable": True},
        "ward": {"type": "categorical", "values": ["a", "b", "never seen"], "nullable": True},
        "died": {"type": "categorical", "values": ["no", "perhaps", "yes"], "nullable": False},
    },
}
PEERS = [
    {"method": "real", "epsilon": None, "runs": 3, "auc_lgbm": 0.99, "auc_linear": 0.99},
    {"method": "mst", "epsilon": 1.1, "runs": 1, "auc_lgbm": 0.80, "auc_linear": 0.70},
    {"method": "merf", "epsilon": 1, "runs": 3, "auc_lgbm": 0.75, "auc_linear": 0.72},
    {"method": "lavish", "epsilon": 1.2, "runs": 3, "auc_lgbm": 0.95, "auc_linear": 0.95},
    {"method": "crashed", "epsilon": 1.0, "runs": 0, "failed": "timeout", "auc_lgbm": 0.97},
]


baseline = load("baseline")
utility = load("utility")


def _rows(n=600, seed=3):
    rng = np.random.default_rng(seed)
    died = rng.choice(["no", "perhaps", "yes"], n, p=[0.6, 0.1, 0.3])
    income = np.where(rng.random(n) < 0.2, np.nan, np.exp(rng.normal(9.0, 1.0, n)))
    ward = pd.Series(np.where(died == "yes", "a", "b")).where(rng.random(n) < 0.9, None)
    age = rng.integers(20, 60, n) + np.where(died == "yes", 50, 0)
    return pd.DataFrame({"age": age, "income": income, "ward": ward, "died": died})


def _draw(rows, domain=DOMAIN, epsilon=50.0, seed=0):
    return baseline.draw_baseline(rows, domain, epsilon=epsilon, delta=1e-5, seed=seed)


def _has_size(noise, stddev):
    statistic = np.square(noise / stddev).sum()
    return min(chi2.cdf(statistic, len(noise)), chi2.sf(statistic, len(noise))) > ALPHA / 2.0


@pytest.fixture
def drawn_noise(monkeypatch):
    """Records the noise of every count that the baseline releases, as (size, noise)."""
    kept, plain = [], baseline.noisy_counts

    def spy(index, n_cells, stddev, rng):
        counts = plain(index, n_cells, stddev, rng)
        kept.append(counts - np.bincount(index, minlength=n_cells))
        return counts

    monkeypatch.setattr(baseline, "noisy_counts", spy)
    return kept


# the baseline


def test_the_noise_on_each_count_has_the_calibrated_size_and_half_of_it_is_caught(drawn_noise):
    _draw(_rows(), epsilon=1.0)
    for seed in range(5):
        _draw(_rows(), epsilon=1.0, seed=seed)
    share, mu = baseline.SHARE_OF_CELLS, gaussian_mu(1.0, 1e-5)
    first = np.concatenate([noise for turn, noise in enumerate(drawn_noise) if turn % 5 < 2])  # age and income
    second = np.concatenate([noise for turn, noise in enumerate(drawn_noise) if turn % 5 >= 2])  # and ward, by class
    assert min(len(first), len(second)) >= 200
    for noise, n_columns, part in ((first, 2, share), (second, 3, 1.0 - share)):
        stddev = np.sqrt(n_columns / part) / mu
        assert _has_size(noise, stddev)
        assert not _has_size(0.5 * noise, stddev)


def test_both_steps_together_spend_mu_and_no_more(drawn_noise, monkeypatch):
    spent = []
    plain = baseline.noisy_counts
    monkeypatch.setattr(baseline, "noisy_counts", lambda *call: spent.append(call[2]) or plain(*call))
    _draw(_rows(), epsilon=1.0)
    assert sum(1.0 / stddev**2 for stddev in spent) == pytest.approx(gaussian_mu(1.0, 1e-5) ** 2)


def test_a_row_adds_one_to_one_count_of_every_histogram(monkeypatch):
    counts = {}
    for n in (600, 599):
        kept = counts.setdefault(n, [])
        # the same cells for both: what the second step counts depends on the first step's noisy counts only
        monkeypatch.setattr(
            baseline,
            "noisy_counts",
            lambda index, n_cells, *_, kept=kept: _keep(kept, np.bincount(index, minlength=n_cells)),
        )
        monkeypatch.setattr(baseline, "_even_edges", lambda fine, *_: fine[::16])
        _draw(_rows()[:n])
    for more, less in zip(counts[600], counts[599], strict=True):
        assert sorted(more - less)[-1] == 1
        assert np.abs(more - less).sum() == 1


def _keep(kept, counts):
    kept.append(counts)
    return counts.astype(float)


@pytest.mark.parametrize("epsilon", [0.01, 1.0, 50.0])
def test_every_column_comes_back_within_its_domain(epsilon):
    drawn = _draw(_rows(), epsilon=epsilon)
    assert list(drawn) == list(DOMAIN["columns"])
    assert drawn["age"].between(0, 120).all()
    assert (drawn["age"] % 1 == 0).all()
    assert drawn["income"].dropna().between(-5.0, 1e6).all()
    assert set(drawn["ward"].dropna()) <= {"a", "b", "never seen"}
    assert set(drawn["died"]) <= {"no", "perhaps", "yes"}


def test_much_budget_gives_each_class_its_own_columns():
    rows, drawn = _rows(6_000), _draw(_rows(6_000))
    assert len(drawn) == pytest.approx(6_000, rel=0.02)
    assert drawn["income"].isna().mean() == pytest.approx(0.2, abs=0.03)
    assert drawn["income"].median() == pytest.approx(rows["income"].median(), rel=0.3)
    by_class = drawn.groupby("died")["age"].mean()
    assert by_class["yes"] - by_class["no"] == pytest.approx(50.0, abs=5.0)
    assert (drawn.loc[drawn["died"] == "yes", "ward"] == "a").mean() == pytest.approx(0.9, abs=0.05)


def test_a_numeric_label_is_cut_and_drawn_inside_its_cells():
    columns = {name: DOMAIN["columns"][name] for name in ("ward", "age")}
    rows = _rows(6_000)
    drawn = _draw(rows, {"label": "age", "task": "regression", "columns": columns})
    assert drawn["age"].between(0, 120).all()
    assert drawn["age"].nunique() > 5 * baseline.N_LABEL_CELLS
    gap = drawn.groupby("ward")["age"].mean()
    assert gap["a"] - gap["b"] == pytest.approx(50.0, abs=5.0)


def test_values_outside_the_domain_count_as_its_edge():
    rows = _rows()
    rows["age"] = 1_000
    rows["ward"] = "unheard of"
    drawn = _draw(rows)
    assert drawn["age"].between(110, 120).mean() > 0.9
    assert drawn["ward"].isna().mean() > 0.9


def test_the_same_seed_repeats_and_another_does_not():
    first, again, other = (_draw(_rows(), seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


# the results


def _arguments(tmp_path, **changes):
    plain = ["--data", str(tmp_path), "--json", str(tmp_path / "out.json"), "--tables", "t", "--seeds", "0"]
    arguments = utility._parser().parse_args(plain)
    return argparse.Namespace(**{**vars(arguments), **changes})


class _Protocol:
    """Counts how often a table is scored."""

    def __init__(self):
        self.scored = []

    def load(self, name, data):
        return _rows(60), DOMAIN

    def split(self, frame, domain, seed):
        return frame[:40], frame[40:]

    def score(self, rows, test, domain):
        self.scored.append(len(rows))
        return {"auc_lgbm": 0.8, "auc_linear": 0.7, "ap_lgbm": float("nan"), "accuracy_lgbm": 0.9}


@pytest.fixture
def protocol(monkeypatch):
    monkeypatch.setattr(utility, "_session", lambda master: None)
    monkeypatch.setattr(utility, "_release", lambda spark, arguments, train, domain: (train, 12.34))
    return _Protocol()


def _run(arguments, protocol):
    protocol.scored.clear()
    utility._run_table("t", arguments, protocol, utility.Results(arguments.json))
    return len(protocol.scored)


def test_a_run_that_is_done_is_not_run_again(tmp_path, protocol):
    arguments = _arguments(tmp_path)
    assert _run(arguments, protocol) == 3  # real, dp-nb, ours
    assert _run(arguments, protocol) == 0
    records = json.loads(arguments.json.read_text())
    assert [record["generator"] for record in records] == ["real", "dp-nb", "sample"]
    assert {"table", "seed", "epsilon", "generator", "auc_lgbm", "auc_linear", "seconds"} <= set(records[2])
    assert records[2]["seconds"] == 12.3
    assert records[2]["ap_lgbm"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    ("change", "n_runs"),
    [
        ({"seeds": [0, 1]}, 3),
        ({"epsilon": 2.0}, 2),  # real rows know no epsilon
        ({"delta": 1e-6}, 2),
        ({"generator": "mix"}, 1),
        ({"adapt": "none"}, 1),
        ({"override": "{approximate: {components: 4}}"}, 1),
        ({"generator": "none"}, 0),
    ],
)
def test_what_differs_in_any_key_is_run(tmp_path, protocol, change, n_runs):
    _run(_arguments(tmp_path), protocol)
    assert _run(_arguments(tmp_path, **change), protocol) == n_runs


def test_without_baselines_only_ours_runs_and_without_a_generator_only_baselines(tmp_path, protocol):
    assert _run(_arguments(tmp_path, generator="none"), protocol) == 2
    assert _run(_arguments(tmp_path, baselines=False), protocol) == 1


def test_a_run_that_failed_is_stored_and_run_again(tmp_path, protocol, monkeypatch):
    arguments = _arguments(tmp_path, baselines=False)
    works = utility._release

    def fails(*_):
        raise ThreeAError("no rows")

    monkeypatch.setattr(utility, "_release", fails)
    assert _run(arguments, protocol) == 0
    assert json.loads(arguments.json.read_text())[0]["failed"] == "ThreeAError: no rows"
    monkeypatch.setattr(utility, "_release", works)
    assert _run(arguments, protocol) == 1
    (record,) = json.loads(arguments.json.read_text())
    assert "failed" not in record


def test_records_of_before_delta_was_a_key_still_count(tmp_path, protocol):
    arguments = _arguments(tmp_path, baselines=False)
    _run(arguments, protocol)
    (record,) = json.loads(arguments.json.read_text())
    del record["delta"]
    arguments.json.write_text(json.dumps([record]))
    assert _run(arguments, protocol) == 0


# the table


def test_the_best_peer_finished_and_spent_no_more_than_asked():
    assert utility.best_peer(PEERS, 1.0, "auc_lgbm") == (0.80, "mst")
    assert utility.best_peer(PEERS, 1.0, "auc_linear") == (0.72, "merf")
    assert utility.best_peer(PEERS, 0.9, "auc_lgbm") == (0.75, "merf")
    assert utility.best_peer(PEERS, 2.0, "auc_lgbm") == (0.95, "lavish")
    assert utility.best_peer(PEERS, 0.1, "auc_lgbm") is None
    assert utility.best_peer(PEERS, 1.0, "r2_lgbm") is None


def _line(tmp_path, ours, real=(0.9, 0.8), dp_nb=(0.7, 0.6), metric="auc", peers=PEERS):
    arguments = _arguments(tmp_path, seeds=[0, 1, 2])
    results = utility.Results(arguments.json)
    for seed in (0, 1):
        for role, key in utility.keys_of(arguments, "t", seed).items():
            pair = {"real": real, "dp-nb": dp_nb, "ours": ours}[role]
            shift = 0.01 * (1 - 2 * seed)  # means over seeds
            figures = {f"{metric}_lgbm": pair[0] + shift, f"{metric}_linear": pair[1] + shift}
            results.add(key, {**figures, "seconds": 10.0 + seed})
    return dict(zip(utility.HEADER, utility.summary_row("t", arguments, results, peers), strict=True))


def test_a_line_shows_the_means_beside_the_others(tmp_path):
    assert _line(tmp_path, ours=(0.86, 0.74)) == {
        "table": "t",
        "runs": "2 of 3",
        "ours": "0.860 / 0.740",
        "real": "0.900 / 0.800",
        "dp-nb": "0.700 / 0.600",
        "best peer lgbm": "0.800 (mst)",
        "best peer linear": "0.720 (merf)",
        "ahead": "yes",
        "of real": "90% / 80%",
        "seconds": "10",
    }


@pytest.mark.parametrize(
    ("ours", "dp_nb", "ahead"),
    [((0.86, 0.71), (0.7, 0.6), "no"), ((0.79, 0.75), (0.7, 0.6), "no"), ((0.86, 0.75), (0.87, 0.6), "no")],
)
def test_ahead_means_ahead_of_all_by_both_models(tmp_path, ours, dp_nb, ahead):
    assert _line(tmp_path, ours=ours, dp_nb=dp_nb)["ahead"] == ahead


def test_regression_starts_at_zero_and_needs_no_peers(tmp_path):
    line = _line(tmp_path, ours=(0.45, 0.3), real=(0.9, 0.6), dp_nb=(0.4, 0.2), metric="r2", peers=[])
    assert (line["table"], line["of real"], line["ahead"]) == ("t (R2)", "50% / 50%", "yes")
    assert line["best peer lgbm"] == "-"


def test_a_line_without_results_is_dashes(tmp_path):
    arguments = _arguments(tmp_path, generator="none")
    line = utility.summary_row("t", arguments, utility.Results(arguments.json), [])
    assert line == ["t", "-", "- / -", "- / -", "- / -", "-", "-", "-", "- / -", "-"]


def test_real_rows_that_teach_nothing_give_no_share(tmp_path):
    assert _line(tmp_path, ours=(0.86, 0.52), real=(0.9, 0.53))["of real"] == "90% / -"


def test_the_table_is_printed_and_written_whole(tmp_path, capsys):
    line = list(_line(tmp_path, ours=(0.86, 0.74)).values())
    utility.show([line])
    printed = capsys.readouterr().out
    lines = utility.markdown([line]).splitlines()
    assert all(cell in printed for cell in (*utility.HEADER, *line))
    assert [text.strip() for text in lines[2].strip("|").split("|")] == line
    assert len({text.count("|") for text in lines}) == 1
