"""spark-submit jobs/evaluate.py --config release.yaml --held-out TABLE: evaluates a release. INTERNAL figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from threea_spark import ReleaseConfig, evaluate
from threea_spark.errors import ThreeAError
from threea_spark.session import build_session


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the arguments, evaluates the release and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML of the release")
    parser.add_argument("--held-out", required=True, help="real rows that the release never read: table or Delta path")
    arguments = parser.parse_args(argv)
    try:
        config = ReleaseConfig.from_yaml(arguments.config)
        found = evaluate(build_session("threea-evaluate"), config, arguments.held_out)
    except ThreeAError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(found.in_words() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
