import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

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
load("any_label")  # fidelity imports it
fidelity = load("fidelity")
trained = load("trained_rows")
utility = load("utility")
high_order = load("high_order")
process_memory = load("process_memory")
load("warehouse")  # scaling imports it
stage_clock = load("stage_clock")
scaling_tables = load("scaling_tables")
scaling = load("scaling")


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
    monkeypatch.setattr(trained, "released_rows", lambda key, arguments, train, domain: (train, 12.34))
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
        ({"in_memory": True}, 1),
        ({"undeclared": True}, 1),
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
    works = trained.released_rows

    def fails(*_):
        raise ThreeAError("no rows")

    monkeypatch.setattr(trained, "released_rows", fails)
    assert _run(arguments, protocol) == 0
    assert json.loads(arguments.json.read_text())[0]["failed"] == "ThreeAError: no rows"
    monkeypatch.setattr(trained, "released_rows", works)
    assert _run(arguments, protocol) == 1
    (record,) = json.loads(arguments.json.read_text())
    assert "failed" not in record


def test_records_without_fidelity_are_run_again_where_it_is_asked_for(tmp_path, protocol):
    assert _run(_arguments(tmp_path), protocol) == 3
    asked = _arguments(tmp_path, fidelity=True)
    assert _run(asked, protocol) == 3
    assert _run(asked, protocol) == _run(_arguments(tmp_path), protocol) == 0
    records = json.loads(asked.json.read_text())
    assert all(
        {"tv1_ew", "tv2_q", "tv2lab_q", "cramer_mae", "any_auc", "any_share"} <= set(record) for record in records
    )
    line = utility.fidelity_row("t", asked, utility.Results(asked.json), [])
    assert len(line) == len(utility.FIDELITY_HEADER)


def test_a_release_in_memory_says_so_and_has_the_rows_that_were_asked_for(tmp_path):
    arguments = _arguments(tmp_path, in_memory=True, adapt="none")
    key = utility.keys_of(arguments, "t", 0)["ours"]
    assert key["engine"] == "memory"
    rows, seconds = trained.trained_rows(key, arguments, _rows(3_000), DOMAIN)
    assert (len(rows), set(rows)) == (3_000, set(DOMAIN["columns"]))
    assert seconds > 0.0
    assert utility.keys_of(_arguments(tmp_path), "t", 0)["ours"]["engine"] == "spark"


def test_a_release_that_is_told_nothing_is_told_types_and_the_labels_values(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(trained, "_in_memory", lambda content, rows: seen.append(content) or (rows, 0.0))
    for undeclared in (False, True):
        arguments = _arguments(tmp_path, in_memory=True, undeclared=undeclared)
        key = utility.keys_of(arguments, "t", 0)["ours"]
        trained.trained_rows(key, arguments, _rows(60), DOMAIN)
    told, untold = (content["domain"] for content in seen)
    assert told["columns"] == DOMAIN["columns"]
    assert (untold["label"], untold["columns"]["died"]) == ("died", DOMAIN["columns"]["died"])
    assert untold["columns"]["age"] == {"type": "integer", "lower": "auto", "upper": "auto", "nullable": True}
    assert untold["columns"]["ward"] == {"type": "categorical", "values": "open", "nullable": True}


def test_a_category_without_values_comes_back_as_nulls(tmp_path, monkeypatch):
    empty = {"type": "categorical", "values": [], "nullable": True}
    domain = {**DOMAIN, "columns": {**DOMAIN["columns"], "scar": empty}}
    seen = []
    monkeypatch.setattr(trained, "_in_memory", lambda content, rows: seen.append(content) or (rows, 0.0))
    key = {"generator": "sample", "engine": "memory"}
    rows, _ = trained.trained_rows(key, _arguments(tmp_path), _rows(50), domain)
    assert list(seen[0]["domain"]["columns"]) == list(DOMAIN["columns"])
    assert rows["scar"].isna().all()


# fidelity


@pytest.fixture(scope="module")
def measured():
    """Figures of real rows, of new ones from the same distribution, and of those with every column shuffled alone."""
    train, test, new = _rows(4_000, seed=1), _rows(2_000, seed=2), _rows(4_000, seed=3)
    yardstick = fidelity.Yardstick(train, test, DOMAIN)
    places = np.random.default_rng(4).permuted(np.tile(np.arange(len(new)), (new.shape[1], 1)), axis=1)
    shuffled = pd.DataFrame({name: new[name].to_numpy()[own] for name, own in zip(new, places, strict=True)})
    return yardstick, {"new": yardstick.of_release(new), "shuffled": yardstick.of_release(shuffled)}


def test_independent_columns_have_the_right_marginals_and_the_wrong_pairs(measured):
    _, figures = measured
    new, shuffled = figures["new"], figures["shuffled"]
    for way in ("ew", "q"):
        assert shuffled[f"tv1_{way}"] == pytest.approx(new[f"tv1_{way}"])
        assert new[f"tv2_{way}"] < 0.05 < 0.1 < shuffled[f"tv2_{way}"]
        assert new[f"tv2lab_{way}"] < 0.5 * shuffled[f"tv2lab_{way}"]
    assert new["cramer_mae"] < 0.03 < shuffled["cramer_mae"]


def test_any_label_keeps_what_rows_know_of_each_other(measured):
    _, figures = measured
    assert figures["new"]["any_share"] > 0.9
    assert figures["shuffled"]["any_share"] < 0.2
    assert set(figures["new"]["per_target"]) == {"age", "income", "ward", "died"}
    assert figures["new"]["n_auc"] == 1  # the ward; the label does not count, the income knows nothing of the rest
    assert figures["new"]["label"] == pytest.approx(figures["new"]["label_real"], abs=0.05)


def test_rows_are_at_no_distance_from_themselves(measured):
    yardstick, _ = measured
    figures = yardstick.distances(yardstick.train)
    near = [value for name, value in figures.items() if name.startswith("tv") or name.endswith("_mae")]
    assert near == pytest.approx([0.0] * 9)


def test_total_variation_is_that_of_the_counted_table():
    real, own = _rows(500, seed=1), _rows(500, seed=2)
    figures = fidelity.Yardstick(real, own, DOMAIN).distances(own)
    cut = {
        "ward": lambda rows: rows["ward"].fillna("null"),
        "age": lambda rows: rows["age"] // 12,
        "income": lambda rows: ((rows["income"] + 5.0) // (1e5 + 0.5)).fillna(-1),
    }
    by_label = []
    for cells in cut.values():
        first, second = (
            pd.DataFrame([cells(rows), rows["died"]]).T.value_counts(normalize=True) for rows in (real, own)
        )
        by_label.append(0.5 * first.sub(second, fill_value=0.0).abs().sum())
    assert figures["tv2lab_ew"] == pytest.approx(np.mean(by_label))


@pytest.mark.parametrize(("joint", "expected"), [(np.eye(3) / 3.0, 1.0), (np.full((2, 5), 0.1), 0.0)])
def test_cramers_v_is_one_for_a_function_and_zero_for_independence(joint, expected):
    assert fidelity.cramer_v(joint) == pytest.approx(expected, abs=1e-12)


def test_records_of_before_delta_and_engine_were_keys_still_count(tmp_path, protocol):
    arguments = _arguments(tmp_path, baselines=False)
    _run(arguments, protocol)
    (record,) = json.loads(arguments.json.read_text())
    del record["delta"], record["engine"]
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
    utility.show(utility.HEADER, [line], "title")
    printed = capsys.readouterr().out
    lines = utility.markdown(utility.HEADER, [line]).splitlines()
    assert all(cell in printed for cell in (*utility.HEADER, *line))
    assert [text.strip() for text in lines[2].strip("|").split("|")] == line
    assert len({text.count("|") for text in lines}) == 1


# tables of high order


@pytest.mark.parametrize("order", [2, 4])
def test_a_parity_is_known_to_all_of_its_columns_and_to_no_fewer(order):
    rows, domain = high_order.draw_table("parity", order, 20_000, seed=1)
    assert list(rows) == list(domain["columns"])
    names = list(rows)[:order]
    assert rows.groupby(names)["label"].nunique().max() == 1
    share = rows["label"].eq("1").groupby([rows[name] for name in names[1:]]).mean()
    assert share.between(0.45, 0.55).all()
    new, _ = high_order.draw_table("parity", order, 5_000, seed=2)
    assert high_order.label_auc(rows[:5_000], new, domain) > 0.99
    assert high_order.label_auc(rows[:5_000].drop(columns=names[0]).assign(**{names[0]: "0"}), new, domain) < 0.6


@pytest.mark.parametrize("kind", ["tree", "network"])
def test_columns_before_know_the_label_of_a_random_table_and_shuffled_ones_do_not(kind):
    rows, domain = high_order.draw_table(kind, 3, 6_000, seed=0)
    again, _ = high_order.draw_table(kind, 3, 6_000, seed=0)
    pd.testing.assert_frame_equal(rows, again)
    assert all(set(rows[name]) <= set(spec["values"]) for name, spec in domain["columns"].items())
    train, test = rows[:3_000], rows[3_000:].reset_index(drop=True)
    assert high_order.label_auc(train, test, domain) > 0.7
    shuffled = train.assign(label=train["label"].sample(frac=1.0, random_state=0).to_numpy())
    assert high_order.label_auc(shuffled, test, domain) < 0.6


# the scaling of releases

# lines of Spark 4.2's event log, most of their fields left out
EVENTS = """\
{"Event":"SparkListenerLogStart","Spark Version":"4.2.0"}
{"Event":"SparkListenerTaskEnd","Stage ID":0,"Task Type":"ShuffleMapTask","Task Info":{"Task ID":0,"Launch Time":\
1795550223266,"Finish Time":1795550224307},"Task Metrics":{"Executor Run Time":702,"Shuffle Read Metrics":{"Local Bytes\
 Read":0},"Shuffle Write Metrics":{"Shuffle Bytes Written":112,"Shuffle Write Time":6888194}}}
{"Event":"SparkListenerTaskEnd","Stage ID":0,"Task Type":"ShuffleMapTask","Task Info":{"Task ID":1,"Launch Time":\
1795550224289,"Finish Time":1795550224546},"Task Metrics":{"Executor Run Time":169,"Shuffle Read Metrics":{"Local Bytes\
 Read":0},"Shuffle Write Metrics":{"Shuffle Bytes Written":118,"Shuffle Write Time":1062048}}}
{"Event":"SparkListenerTaskEnd","Stage ID":1,"Task Type":"ResultTask","Task Info":{"Task ID":2,"Launch Time":\
1795550224623,"Finish Time":1795550224955},"Task Metrics":{"Executor Run Time":201,"Shuffle Read Metrics":{"Local Bytes\
 Read":230},"Shuffle Write Metrics":{"Shuffle Bytes Written":0,"Shuffle Write Time":0}}}
{"Event":"SparkListenerTaskEnd","Stage ID":2,"Task Type":"ResultTask","Task Info":{"Task ID":3,"Launch Time":\
1795550226491,"Finish Time":1795550226603}}
{"Event":"SparkListenerApplicationEnd","Timestamp":1795550227000}
"""
HOLDS = """
import time
block = bytearray(b"x") * 120_000_000
print(flush=True)
time.sleep(60)
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")


def _run_of(rows, seconds, cores=2, **changes):
    record = {"rows": rows, "cores": cores, "seconds": seconds, "stages": {"encode": seconds}, "ratio_to_rewrite": 4.0}
    return {**record, "rewrite_seconds": [1.0, 2.0], **dict.fromkeys(scaling_tables.BYTES, 10.0), **changes}


@pytest.fixture
def holder():
    """Starts a child that holds 120 MB, and gives its process once it does; ended afterwards."""
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        yield child
        child.kill()


@pytest.mark.parametrize("power", [0.5, 1.0, 1.2])
def test_the_exponent_of_a_power_is_its_power(power):
    runs = [_run_of(rows, 3e-4 * rows**power) for rows in (10**6, 4 * 10**6, 16 * 10**6)]
    assert scaling_tables.exponent_of(runs) == pytest.approx(power, abs=1e-3)


def test_runs_of_one_size_have_no_exponent():
    assert scaling_tables.exponent_of([]) is None
    assert scaling_tables.exponent_of([_run_of(10, 1.0), _run_of(10, 2.0)]) is None


@needs_proc
def test_an_array_in_a_child_process_is_seen(holder):
    assert 120e6 < process_memory.memory_of(holder.pid) < 160e6
    holder.kill()
    holder.wait()
    assert process_memory.memory_of(holder.pid) == 0


@needs_proc
def test_without_pss_the_resident_size_is_read(holder, monkeypatch, tmp_path):
    folder = tmp_path / str(holder.pid)
    folder.mkdir()
    (folder / "statm").write_text(Path(f"/proc/{holder.pid}/statm").read_text())
    monkeypatch.setattr(process_memory, "_PROC", tmp_path)
    assert 120e6 < process_memory.memory_of(holder.pid) < 200e6


def test_what_a_jvm_started_is_a_worker_and_the_rest_below_the_driver_is_driver(monkeypatch):
    tree = [(10, 1, "python"), (11, 10, "bash"), (12, 11, "java"), (13, 12, "python"), (14, 13, "python")]
    others = [(15, 10, "python"), (16, 1, "java"), (17, 16, "python")]
    monkeypatch.setattr(process_memory, "_all_processes", lambda: iter(tree + others))
    expected = {10: "driver", 11: "driver", 12: "jvm", 13: "worker", 14: "worker", 15: "driver"}
    assert process_memory.processes_of(10) == expected


@needs_proc
def test_peaks_count_only_while_the_flag_stands(tmp_path, monkeypatch):
    monkeypatch.setattr(process_memory, "INTERVAL_SECONDS", 0.02)
    staged = tmp_path / "warehouse" / "threea_staging_1"
    staged.mkdir(parents=True)
    (staged / "part.parquet").write_bytes(b"0" * 3_000_000)
    command = [sys.executable, "-c", "import time; block = bytearray(b'x') * 120_000_000; time.sleep(1.0)"]
    status, peaks = process_memory.watched(command, tmp_path / "warehouse", tmp_path / "flag")
    assert (status, set(peaks.values())) == (0, {0.0})
    with process_memory.counted(tmp_path / "flag") as window:
        status, peaks = process_memory.watched(command, tmp_path / "warehouse", tmp_path / "flag")
    assert not (tmp_path / "flag").exists()
    assert 1.0 <= window[1] - window[0] < 60.0
    assert peaks["staged_mb"] == 3.0
    assert 120.0 < peaks["driver_mb"] < 160.0
    assert (peaks["jvm_mb"], peaks["worker_mb"]) == (0.0, 0.0)


def test_a_process_that_fails_says_so(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    assert process_memory.watched(command, tmp_path, tmp_path / "flag")[0] == 3


@pytest.mark.parametrize(
    ("start", "end", "shuffled"), [(0.0, 2e9, 230), (1795550224.0, 1795550225.0, 118), (1795550225.0, 2e9, 0)]
)
def test_the_event_log_gives_what_tasks_of_the_window_shuffled(tmp_path, start, end, shuffled):
    folder = tmp_path / "eventlog_v2_local-1"
    folder.mkdir()
    (folder / "events_1_local-1").write_text(EVENTS)
    (folder / "appstatus_local-1").touch()
    (folder / ".appstatus_local-1.crc").write_bytes(b"crc\x00\xff")
    assert process_memory.shuffled_bytes(tmp_path, start, end) == shuffled


def test_the_clock_times_each_step_up_to_the_next(monkeypatch):
    times = iter([0.0, 1.0, 3.0, 7.0, 12.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    clock = stage_clock.StageClock("before")
    for number, name in enumerate(["encode", "adapt", "encode"], start=1):
        clock(name, number, 3)
    clock.close()
    assert clock.seconds == {"before": 1.0, "encode": 2.0 + 5.0, "adapt": 4.0}


@needs_proc
def test_core_seconds_go_to_the_step_in_which_a_child_worked():
    clock = stage_clock.StageClock("idle")
    clock("busy", 1, 2)
    subprocess.run([sys.executable, "-c", "sum(range(30_000_000))"], check=True)
    clock("idle", 2, 2)
    clock.close()
    assert clock.cores["busy"]["driver"] > 0.2 > clock.cores["idle"]["driver"]
    assert clock.cores["busy"]["jvm"] == clock.cores["busy"]["worker"] == 0.0


def test_results_survive_and_only_what_is_missing_is_run(tmp_path, monkeypatch):
    asked = []

    def run(work, folder):
        asked.append((work["rows"], work["cores"]))
        return _run_of(work["rows"], work["rows"] / 1e5, work["cores"])

    monkeypatch.setattr(scaling, "_in_own_process", run)
    monkeypatch.setattr(scaling, "_source", lambda folder, rows: folder / str(rows))
    path = tmp_path / "deep" / "out.json"
    _measure(path, tmp_path, "--rows", "1e6", "--strong-cores")
    _measure(path, tmp_path, "--rows", "1e6", "4e6", "--strong-rows", "4e6", "--strong-cores", "1", "2")
    assert asked == [(10**6, 2), (4 * 10**6, 2), (4 * 10**6, 1)]  # two cores are among the growing tables
    stored = json.loads(path.read_text())
    assert [run["rows"] for run in stored["runs"]] == [10**6, 4 * 10**6]
    assert stored["strong"] == [
        {"cores": cores, "rows": 4 * 10**6, "seconds": 40.0, "stages": {"encode": 40.0}} for cores in (1, 2)
    ]
    assert stored["exponent"] == 1.0
    assert [file.name for file in path.parent.iterdir()] == ["out.json"]
    _measure(path, tmp_path, "--rows", "1e6", "--strong-cores", "--repeat", "2")
    _measure(path, tmp_path, "--rows", "1e6", "--strong-cores", "--again")
    assert asked[3:] == [(10**6, 2), (10**6, 2)]
    assert [run["rows"] for run in json.loads(path.read_text())["runs"]] == [10**6, 4 * 10**6]


def _measure(path, folder, *options):
    arguments = scaling._parser().parse_args(["--json", str(path), *options])
    assert scaling._measure_all(arguments, folder, scaling.Results(path, arguments.cores))


def test_a_run_that_failed_loses_nothing_and_is_not_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "_source", lambda folder, rows: folder / str(rows))
    monkeypatch.setattr(scaling, "_in_own_process", lambda work, folder: None)
    path = tmp_path / "out.json"
    scaling.Results(path, 2).put("runs", 10, 2, [_run_of(10, 1.0)])
    arguments = scaling._parser().parse_args(["--json", str(path), "--rows", "10", "20", "--again", "--strong-cores"])
    assert not scaling._measure_all(arguments, tmp_path, scaling.Results(path, 2))
    assert [run["rows"] for run in scaling.Results(path, 2).find("runs")] == [10]


def test_the_tables_of_scaling_show_all_runs(tmp_path, capsys):
    results = scaling.Results(tmp_path / "out.json", 2)
    for rows, seconds, driver in ((10**6, 10.0, 800.0), (4 * 10**6, 40.0, 900.0)):
        results.put("runs", rows, 2, [_run_of(rows, seconds, driver_mb=driver)])
    for cores, seconds in ((1, 60.0), (2, 40.0)):
        results.put("strong", 4 * 10**6, cores, [_run_of(4 * 10**6, seconds, cores)])
    scaling.show(results.find("runs"), results.find("strong"), results.cores)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("1,000,000", "4.00", "encode", "1.50", "rows^1.00", "+100 MB, +12%"))
