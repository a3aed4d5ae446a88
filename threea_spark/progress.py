"""Says which stage runs, and how long each took: lines through standard logging, or a live line on a terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

log = logging.getLogger("threea_spark")

Listener = Callable[[str, int, int], None]
"""Called at the start of each step with its name, its number (from 1) and the number of steps."""


@dataclass
class Progress:
    """Times the steps of one release.

    Attributes:
      n_steps: How many there will be.
      listener: Shows them; None logs a line each.
      seconds: Of each finished step. Internal: how long a step took is not covered by the guarantee.
    """

    n_steps: int
    listener: Listener | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _started: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announces and times one step."""
        self._started += 1
        if self.listener is None:
            log.info("[%d/%d] %s", self._started, self.n_steps, name)
        else:
            self.listener(name, self._started, self.n_steps)
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 2)
