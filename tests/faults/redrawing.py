"""A release in which each attempt of a task draws the units' tokens anew, as none may."""

import secrets
from unittest.mock import patch

from releasing import main


def drawn(key, value):
    return secrets.randbits(63)


if __name__ == "__main__":
    with patch("threea_spark.source.rows.unit_token", drawn):
        main()
