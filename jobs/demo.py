"""Demo: real flights from Delta to Delta at epsilon 1, the receipt, and models trained on released and on real rows."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from flights import make_tables  # beside this file, as spark-submit finds it

from threea_spark import ReleaseConfig, evaluate, release
from threea_spark.errors import ThreeAError
from threea_spark.outputs import receipt_path, report_path, write_report
from threea_spark.session import build_session

START = time.monotonic()


STEPS: list[tuple[str, float]] = []


def say(text: str) -> None:
    """Prints a line with the seconds since the start, and records when the step began."""
    STEPS.append((text, time.monotonic() - START))
    sys.stderr.write(f"{STEPS[-1][1]:6.1f} s  {text}\n")


def seconds_by_step() -> str:
    """Returns one line per step with its duration."""
    ends = [began for _, began in STEPS[1:]]
    lines = [f"  {end - began:6.1f} s  {text}" for (text, began), end in zip(STEPS, ends, strict=False)]
    return "\n".join(["seconds by step", *lines])


def run(out: Path, master: str) -> None:
    """Creates the tables, releases, evaluates, and prints where everything is."""
    config = ReleaseConfig.from_yaml(Path(__file__).with_name("demo.yaml"))
    say("starting Spark (the first start downloads Delta's jars)")
    spark = build_session("threea-demo", master=master)
    say("writing the flights as Delta tables, unless they exist")
    source, held_out = make_tables(spark, out)
    receipt = release(spark, config, listener=lambda name, number, n_steps: say(f"[{number}/{n_steps}] {name}"))
    receipt.write(receipt_path(config, receipt.release_id))
    say("report: HTML from the receipt and the released rows")
    report = report_path(config, receipt.release_id)
    write_report(spark, config, receipt, report)
    say("evaluating: LightGBM on released and on real rows")
    judged = evaluate(spark, config, str(held_out))
    say("done")
    files = f"receipt {receipt_path(config, receipt.release_id)}, report {report}"
    places = f"source {source}, released {config.target}, {files}"
    sys.stdout.write(f"\n{receipt.in_words()}\n\n{judged.in_words()}\n\n{places}\n\n{seconds_by_step()}\n")


def main() -> int:
    """Parses the arguments and runs the demo; an existing release has its own exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--master", default="local[2]")
    arguments = parser.parse_args()
    try:
        run(arguments.out, arguments.master)
    except ThreeAError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
