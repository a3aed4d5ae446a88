"""Reports the running stage, its progress and the time of each stage, to a listener or through standard logging."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
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
      n_steps: Total number of steps, as far as is known.
      listener: Shows them; None logs one line per step.
      writes: Whether the last step writes a table.
      seconds: Duration of each finished step. Internal: the guarantee does not cover how long a step took.
    """

    n_steps: int
    listener: Listener | None = None
    writes: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    _started: int = field(default=0, init=False)

    def expect(self, steps: Sequence[str]) -> None:
        """Corrects the number of steps, once those that are still to come are known; one more may write the result."""
        self.n_steps = self._started + len(steps) + self.writes

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
