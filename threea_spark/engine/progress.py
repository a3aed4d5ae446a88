"""Reports the running stage, its progress and the time of each stage, to a listener or through standard logging."""

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

If it has a method `count`, that is called during a step with the number of passes or iterations done and the total
number.
"""

_count: ContextVar[Callable[[int, int], None] | None] = ContextVar("count", default=None)


@dataclass
class Progress:
    """Times the steps of one release.

    Attributes:
      n_steps: Total number of steps.
      listener: Shows them; None logs one line per step.
      seconds: Duration of each finished step. Internal: the guarantee does not cover how long a step took.
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
    """Counts like `range(n)`, and reports the progress to the listener of the current step.

    Args:
      n: Number of iterations. Public, like all numbers of iterations.
    """
    count = _count.get()
    for done in range(n):
        if count is not None:
            count(done, n)
        yield done
    if count is not None:
        count(n, n)
