"""Whole pages from made-up releases, for tests of what they say and of how they look."""

import dataclasses
import re
from contextlib import nullcontext
from html import unescape

import numpy as np
import pandas as pd
from noise_sources import SeededNoise
from queries import Rows, ask

from threea_spark.config.domain import Domain
from threea_spark.evaluation.evaluate import JudgedRows
from threea_spark.privacy.budget import calibrate
from threea_spark.privacy.meter import PrivacyMeter
from threea_spark.privacy.statement import statement_of
from threea_spark.privacy.terms import Accounting, Relation, Stage
from threea_spark.privacy.unit import PrivacyUnit
from threea_spark.publish.receipt import Receipt
from threea_spark.report.comparison import compare
from threea_spark.report.internal import internal_page
from threea_spark.report.public import public_page
from threea_spark.report.summary import summary_of

HOSTILE = (
    "<script>alert(1)</script>",
    "</style><script>alert(2)</script>",
    '" onload="alert(3)',
    "' onmouseover='alert(4)",
    "<img src=https://example.invalid/x.png onerror=alert(5)>",
    "{{ 7 * 7 }}{% include 'base.html' %}",
    "&lt;b&gt; &amp; ]]> -->",
    "naïve ☃ 你好 \u202etxt.exe\u202c \x00\x1b[31m",
    "a_very_long_name_without_any_place_to_break_it_" * 8,
)


def statement(epsilon=1.0, accounting=Accounting.END_TO_END, *, sampled=False):
    """The statement of a release that spent its whole plan."""
    conditional = accounting is Accounting.CONDITIONAL
    shares = {Stage.ANONYMIZE: 1.0} if conditional else {Stage.ENCODE: 0.1, Stage.APPROXIMATE: 0.3, Stage.ADAPT: 0.6}
    plan = calibrate(
        epsilon=epsilon, delta=1e-5, shares=shares, relation=Relation.ADD_OR_REMOVE_ONE,
        unit=PrivacyUnit("patient_id", 4), accounting=accounting, sampling_probability=0.2 if sampled else 1.0,
    )  # fmt: skip
    meter = PrivacyMeter(plan, SeededNoise(1), "r1")
    if conditional:
        ask(meter, Stage.APPROXIMATE, "all", mu=1.0)
    for stage, mu in plan.stage_mu.items():
        with meter.sample(stage, Rows(), 0.2) if sampled and stage is Stage.ADAPT else nullcontext():
            ask(meter, stage, "all", mu=mu)
    return statement_of(meter)


def table(n_rows=400, n_more=0, names=(), seed=0):
    """A frame of mixed columns with its domain; `names` are names of categorical columns, and their values too."""
    rng = np.random.default_rng(seed)
    age, label = rng.integers(18, 95, n_rows), rng.choice(["no", "yes"], n_rows)
    frame = {
        "age": age,
        "cost": np.where(rng.random(n_rows) < 0.1, np.nan, rng.lognormal(6.0, 1.5, n_rows)),
        "admitted": pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 9000, n_rows), unit="h"),
        "died": label,
    }
    columns = {
        "age": {"type": "integer", "lower": 18, "upper": 100},
        "cost": {"type": "float", "lower": 0, "upper": 1e6, "nullable": True},
        "admitted": {"type": "timestamp", "lower": "2020-01-01", "upper": "2022-01-01"},
        "died": {"type": "categorical", "values": ["no", "yes"]},
    }
    for name in names:
        frame[name] = rng.choice([name, "plain", *HOSTILE[:2]], n_rows)
        columns[name] = {"type": "categorical", "values": "open"}
    for number in range(n_more):
        frame[f"measurement_{number:04d}"] = rng.standard_normal(n_rows) + (number % 5) * 0.2 * (label == "yes")
        columns[f"measurement_{number:04d}"] = {"type": "float", "lower": -10, "upper": 10}
    return pd.DataFrame(frame), Domain.from_dict({"columns": columns, "label": "died", "task": "classification"})


def receipt(domain, **changes):
    """A receipt of a release of the domain."""
    plain = Receipt(
        release_id="0123456789abcdef-v3",
        source="main.ehr.stays",
        source_version=3,
        target="main.released.stays",
        n_released=400,
        generator="sample",
        columns=tuple(domain.columns),
        left_out=("patient_id",),
        privacy=statement(),
        resolved={"components_per_class": 3, "alpha": 0.1},
        diagnostics=("adapt: the label function is nearly constant: raise epsilon",),
        versions={"threea-spark": "0.1.0"},
        ledger={
            "entry": 0,
            "hash": "ab" * 32,
            "granted_epsilon": 3.0,
            "granted_delta": 1e-4,
            "spent_epsilon_before": 0.5,
            "spent_epsilon_after": 1.2,
            "left_epsilon": 1.8,
        },
        at="2026-03-01T09:30:00+00:00",
        by="ada@clinic.example",
        config_digest="0123456789abcdef",
        config={"anonymize": {"rows": "match"}, "privacy": {"unit": {"column": "patient_id", "max_rows": 4}}},
        n_units=100,
    )
    return dataclasses.replace(plain, **changes)


def public(n_more=0, names=(), **changes):
    """The public page of a made-up release."""
    frame, domain = table(n_more=n_more, names=names)
    return public_page(receipt(domain, **changes), summary_of(frame, domain, len(frame)), domain)


def page_text(html):
    """The words of a page, in order."""
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)).split())


def internal(n_more=0, names=(), n_rows=200, title="main.released.stays"):
    """The internal page of a made-up release."""
    frames = [table(n_rows, n_more, names, seed)[0] for seed in (1, 2, 3)]
    return internal_page(title, compare(JudgedRows(*frames), table(4, n_more, names)[1]))
