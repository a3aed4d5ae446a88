"""Utility of releases on a folder of tables: train on released rows, test on real ones.

    python benchmarks/utility.py --data folder --json out.json [--tables a b] [--seeds 0 1 2] [--adapt none]

The folder holds CATALOG.json and one Parquet file a table; beside it lies a protocol.py with load, split and score
(given by --protocol, or found as ../bench/protocol.py): the split and the score are the protocol's, never ours. Results
are appended to the JSON as they come, and what stands there is not run again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import yaml

from threea_spark import ReleaseConfig, release
from threea_spark.errors import ThreeAError
from threea_spark.session import build_session


def main() -> None:
    """Runs what is missing, then prints the table."""
    arguments = _parser().parse_args()
    protocol = _protocol(arguments.protocol or arguments.data.parent / "bench" / "protocol.py")
    catalog = json.loads((arguments.data / "CATALOG.json").read_text())
    done: list[dict[str, Any]] = json.loads(arguments.json.read_text()) if arguments.json.exists() else []
    spark = build_session("threea-utility", master=arguments.master)
    for table in arguments.tables or sorted(catalog):
        frame, domain = protocol.load(table, arguments.data)
        for seed in arguments.seeds:
            key = {"table": table, "seed": seed, "epsilon": arguments.epsilon, "generator": arguments.generator,
                   "adapt": arguments.adapt, "override": arguments.override}  # fmt: skip
            if any(all(row.get(name) == value for name, value in key.items()) for row in done):
                continue
            train, test = protocol.split(frame, domain, seed)
            done.append({**key, **_run(spark, arguments, protocol, train, test, domain)})
            arguments.json.write_text(json.dumps(done, indent=1))
            print({name: value for name, value in done[-1].items() if name not in ("override", "epsilon")}, flush=True)
    _print_means(done)


def _run(
    spark: Any,
    arguments: argparse.Namespace,
    protocol: ModuleType,
    train: pd.DataFrame,
    test: pd.DataFrame,
    domain: Any,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/source", f"{folder}/target"
        train.to_parquet(f"{folder}/train.parquet", index=False)
        rows = spark.read.parquet(f"{folder}/train.parquet")
        rows.write.format("delta").option("delta.columnMapping.mode", "name").save(source)
        content = {
            "source": {"path": source},
            "target": {"path": target},
            "privacy": {"epsilon": arguments.epsilon, "delta": arguments.delta, "unit": "row"},
            "domain": {name: domain[name] for name in ("label", "task", "columns")},
            "adapt": {"method": arguments.adapt},
            "anonymize": {"generator": arguments.generator},
        }
        if arguments.generator == "sample":
            content["anonymize"]["rows"] = len(train)
        for section, fields in yaml.safe_load(arguments.override or "{}").items():
            content.setdefault(section, {}).update(fields)
        start = time.monotonic()
        try:
            release(spark, ReleaseConfig.from_dict(content))
        except ThreeAError as error:
            return {"failed": f"{type(error).__name__}: {error}"[:300]}
        seconds = round(time.monotonic() - start, 1)
        released = spark.read.format("delta").load(target).toPandas()
        return {**protocol.score(released, test, domain), "seconds": seconds}


def _print_means(done: list[dict[str, Any]]) -> None:
    table = pd.DataFrame(done)
    wanted = ("auc_lgbm", "auc_linear", "ap_lgbm", "accuracy_lgbm", "r2_lgbm", "r2_linear", "seconds")
    figures = [name for name in wanted if name in table]
    print(table.groupby(["table", "epsilon", "generator", "adapt"])[figures].mean().round(4).to_string())


def _protocol(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("protocol", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"{path}: no protocol found; name one with --protocol")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--protocol", type=Path)
    parser.add_argument("--json", type=Path, default=Path("out/utility.json"))
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-5)
    parser.add_argument("--generator", default="sample", choices=["sample", "mix", "random"])
    parser.add_argument("--adapt", default="kip", choices=["kip", "none"])
    parser.add_argument("--override", help="YAML of configuration sections, such as '{approximate: {components: 4}}'")
    parser.add_argument("--master", default="local[2]")
    return parser


if __name__ == "__main__":
    main()
