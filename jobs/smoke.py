"""spark-submit jobs/smoke.py --write-to main.released: checks a cluster; exit code 13 if something is wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from threea_spark.cli.doctor import check_up
from threea_spark.errors import ThreeAError


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the arguments, checks the cluster and reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-to", help="schema or folder for a temporary table; defaults to the current schema")
    parser.add_argument("--master", help="Spark master or Connect address; defaults to the choice of spark-submit")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    try:
        check_up(write_to=arguments.write_to, master=arguments.master, json_wanted=arguments.json)
    except ThreeAError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
