"""How good released rows are: models trained on them, distances to real rows, clusters found in them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from paper_data import Problem  # beside this file
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import adjusted_rand_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from threea_spark.arrays import Float64Array

_MAX_ROWS = 1_500
N_CLUSTERS = 8
"""Clusters that KMeans looks for where their true number is not known."""


def judge(problem: Problem, rows: pd.DataFrame) -> dict[str, float]:
    """Measures all that applies to a table: utility by its task, distances, clusters kept, known centres."""
    outcome = {"n_rows": float(len(rows)), "marginal_distance": marginal_distance(rows, problem)}
    real, released = coordinates(problem.test, problem), coordinates(rows, problem)
    outcome["energy"] = energy_distance(released, real)
    task = problem.domain["task"]
    if task == "none":
        n_clusters = N_CLUSTERS if problem.centres is None else len(problem.centres)
        return outcome | clusters_kept(released, coordinates(problem.train, problem), real, n_clusters)
    if problem.centres is not None and len(rows) >= len(problem.centres):
        outcome["centre_error"] = centre_error(rows[_features(problem)].to_numpy(float), problem.centres)
    return outcome | (r2_figures(problem, rows) if task == "regression" else auc_figures(problem, rows))


def auc_figures(problem: Problem, rows: pd.DataFrame) -> dict[str, float]:
    """AUC on held-out rows of LightGBM and of a logistic regression, both trained on `rows`."""
    from lightgbm import LGBMClassifier

    label = str(problem.label)
    first = problem.domain["columns"][label]["values"][0]
    y, truth = (rows[label].astype(str) != first).to_numpy(), (problem.test[label].astype(str) != first).to_numpy()
    if len(set(y)) < 2:
        return {"auc_lgbm": 0.5, "auc_linear": 0.5}
    x, test = coordinates(rows, problem), coordinates(problem.test, problem)
    trees = LGBMClassifier(min_child_samples=_least_in_leaf(len(rows)), n_jobs=1, random_state=0, verbose=-1)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    return {
        name: float(roc_auc_score(truth, _fitted(model, x, y).predict_proba(test)[:, 1]))
        for name, model in (("auc_lgbm", trees), ("auc_linear", linear))
    }


def r2_figures(problem: Problem, rows: pd.DataFrame) -> dict[str, float]:
    """R2 on held-out rows of LightGBM and of a ridge regression, both trained on `rows`."""
    from lightgbm import LGBMRegressor

    label = str(problem.label)
    x, test = coordinates(rows, problem), coordinates(problem.test, problem)
    trees = LGBMRegressor(min_child_samples=_least_in_leaf(len(rows)), n_jobs=1, random_state=0, verbose=-1)
    linear = make_pipeline(StandardScaler(), Ridge(1.0))
    return {
        name: float(r2_score(problem.test[label], _fitted(model, x, rows[label].to_numpy(float)).predict(test)))
        for name, model in (("r2_lgbm", trees), ("r2_linear", linear))
    }


def coordinates(rows: pd.DataFrame, problem: Problem) -> Float64Array:
    """Features as numbers: numeric ones in the training rows' standard deviations, categories one-hot over sqrt(2)."""
    parts = []
    for name in _features(problem):
        column = problem.domain["columns"][name]
        if column["type"] == "categorical":
            text = rows[name].astype(object).map(lambda value: None if pd.isna(value) else str(value))
            levels = pd.Categorical(text, categories=column["values"])
            parts.append(pd.get_dummies(levels).to_numpy(float) / np.sqrt(2.0))
        else:
            real = problem.train[name].astype(float)
            number = (rows[name].astype(float).fillna(real.mean()) - real.mean()) / max(float(real.std()), 1e-9)
            parts.append(number.to_numpy(float)[:, None])
    return np.hstack(parts)


def marginal_distance(rows: pd.DataFrame, problem: Problem) -> float:
    """Mean over features of the distance to real rows: Wasserstein in standard deviations, or total variation."""
    found = []
    for name in _features(problem):
        if problem.domain["columns"][name]["type"] == "categorical":
            shares = [frame[name].astype(str).value_counts(normalize=True) for frame in (rows, problem.test)]
            found.append(0.5 * float(shares[0].sub(shares[1], fill_value=0.0).abs().sum()))
        else:
            real, released = problem.test[name].astype(float).dropna(), rows[name].astype(float).dropna()
            found.append(wasserstein_distance(released, real) / max(float(real.std()), 1e-9) if len(released) else 1.0)
    return float(np.mean(found))


def energy_distance(x: Float64Array, y: Float64Array) -> float:
    """Energy distance 2 E|X-Y| - E|X-X'| - E|Y-Y'| (Szekely and Rizzo 2013), on at most 1,500 rows of each."""
    x, y = _some(x), _some(y)
    return float(max(0.0, 2.0 * cdist(x, y).mean() - _within(x) - _within(y)))


def centre_error(rows: Float64Array, centres: Float64Array) -> float:
    """Mean distance between true centres and those that KMeans finds in `rows`, matched one to one."""
    found = KMeans(len(centres), n_init=10, random_state=0).fit(rows).cluster_centers_
    distances = cdist(found, centres)
    return float(distances[linear_sum_assignment(distances)].mean())


def clusters_kept(released: Float64Array, train: Float64Array, test: Float64Array, n_clusters: int) -> dict[str, float]:
    """KMeans fitted on released rows beside KMeans fitted on real ones, both judged on held-out real rows.

    Returns:
      inertia_ratio, 1 where the released rows lead to clusters as tight, and ari, 1 where to the same clusters.
    """
    if len(released) < n_clusters:
        return {"inertia_ratio": float("nan"), "ari": 0.0}
    ours, real = (KMeans(n_clusters, n_init=10, random_state=0).fit(rows) for rows in (released, train))
    ratio = float(ours.score(test) / real.score(test))
    return {"inertia_ratio": ratio, "ari": float(adjusted_rand_score(real.predict(test), ours.predict(test)))}


def _features(problem: Problem) -> list[str]:
    return [name for name in problem.domain["columns"] if name != problem.label]


def _within(x: Float64Array) -> float:
    return float(cdist(x, x).sum() / max(len(x) * (len(x) - 1), 1))


def _some(x: Float64Array) -> Float64Array:
    return x if len(x) <= _MAX_ROWS else x[np.random.default_rng(0).choice(len(x), _MAX_ROWS, replace=False)]


def _least_in_leaf(n_rows: int) -> int:
    return min(20, max(1, n_rows // 20))  # LightGBM's 20 would learn nothing from a hundred mixed rows


def _fitted(model: Any, x: Float64Array, y: NDArray[Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence, on a handful of mixed rows
        return model.fit(x, y)
