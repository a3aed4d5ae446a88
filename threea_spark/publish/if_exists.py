"""What becomes of a release that was written before; of its own, since the command line loads it to show its help."""

from __future__ import annotations

from typing import Literal, TypeAlias

IfExists: TypeAlias = Literal["error", "skip"]
"""An error, or the receipt of the release that was written."""
