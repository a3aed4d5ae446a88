"""One thread for numpy's libraries, in a task as in this process: sums are the same to the last bit in both."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController

_found: tuple[int, ThreadpoolController] | None = None


def one_thread() -> AbstractContextManager[Any]:
    """Limits the libraries that are loaded to one thread each, while a block runs.

    They are looked up anew only when modules were loaded since: it takes 2.6 ms beside jax, more than some sums do.
    """
    global _found
    if _found is None or _found[0] != len(sys.modules):
        _found = len(sys.modules), ThreadpoolController()
    limited: AbstractContextManager[Any] = _found[1].limit(limits=1)
    return limited
