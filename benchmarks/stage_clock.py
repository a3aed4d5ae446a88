"""Times the steps of a release: seconds on the clock, and seconds of a core by driver, JVM and Python workers.

Linux only, for it reads /proc; elsewhere a step costs no core-seconds.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path

from process_memory import PARTS, processes_of  # beside this file

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")
_USER, _OWN_AND_WAITED = 11, 4  # place of utime after the name; then stime, and both again for children that ended


def core_seconds(root: int) -> dict[str, float]:
    """Seconds of a core that a process and all below it have used so far, by part; see `processes_of`.

    A child that has ended counts with its parent, once that has waited for it: a worker with its daemon.
    """
    used = dict.fromkeys(PARTS, 0.0)
    for pid, part in processes_of(root).items():
        try:
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[part] += sum(map(int, fields[_USER : _USER + _OWN_AND_WAITED])) / _TICK
    return used


class StageClock:
    """A listener that times each step of this process's release; the last one lasts until `close`.

    Attributes:
      seconds: On the clock, of each step that ended.
      cores: Core-seconds of each, by part.

    Args:
      first: What the time before the first step is called.
    """

    def __init__(self, first: str) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.cores: defaultdict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(PARTS, 0.0))
        self._name, self._start, self._used = first, time.monotonic(), core_seconds(os.getpid())

    def __call__(self, name: str, number: int, n_steps: int) -> None:
        """Ends one step and starts the next."""
        self.close()
        self._name = name

    def close(self) -> None:
        """Ends the step that runs."""
        now, used = time.monotonic(), core_seconds(os.getpid())
        self.seconds[self._name] = round(self.seconds[self._name] + now - self._start, 2)
        own = self.cores[self._name]
        for part in PARTS:
            own[part] = round(own[part] + max(used[part] - self._used[part], 0.0), 2)
        self._start, self._used = now, used
