"""Says which stage runs and how far it is, and how long each took; shown by a listener, or through standard logging."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

log = logging.getLogger("threea_spark")

Listener = Callable[[str, int, int], None]
"""Called at the start of each step with its name, its number (from 1) and the number of steps.

If it has a method `count`, that is called within a step, with how many of its passes or iterations are done, and how
many there will be.
"""

_count: ContextVar[Callable[[int, int], None] | None] = ContextVar("count", default=None)


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
        before = _count.set(getattr(self.listener, "count", None))
        start = time.monotonic()
        try:
            yield
        finally:
            _count.reset(before)
        self.seconds[name] = round(time.monotonic() - start, 2)


def counted(n: int) -> Iterator[int]:
    """Counts like `range(n)`, and tells the listener of the step that runs how far it is.

    Args:
      n: Public, as are all numbers of iterations.
    """
    count = _count.get()
    for done in range(n):
        if count is not None:
            count(done, n)
        yield done
    if count is not None:
        count(n, n)
