# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault plan: what goes wrong, for which calls, how often. Seeded, so a run can be repeated."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, fields
from typing import Any

from pgflex_lab.arm.http import ArmError

KINDS = (
    "throttle",
    "error",
    "reset",
    "slow",
    "truncate",
    "stale",
    "expired_token",
    "fail_operation",
)


class InvalidFault(ValueError):
    """The plan cannot be used; the text says why."""


@dataclass
class Fault:
    """Applies to calls whose method and path (without host and query) match; `times` 0 means always."""

    kind: str
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    after: int = 0
    probability: float = 1.0
    status: int = 503
    code: str = "ServiceUnavailable"
    message: str = "The service is temporarily unavailable. Please try again later."
    retry_after: float = 1.0
    seconds: float = 1.0
    seen: int = 0
    used: int = 0

    @classmethod
    def parse(cls, data: Any) -> Fault:
        known = {item.name for item in fields(cls)} - {"seen", "used"}
        if not isinstance(data, dict) or set(data) - known or data.get("kind") not in KINDS:
            raise InvalidFault(
                f"a fault has kind (one of {', '.join(KINDS)}) and of {', '.join(sorted(known))}: {data}"
            )
        try:
            re.compile(str(data.get("path", ""))), re.compile(str(data.get("method", "")))
        except re.error as error:
            raise InvalidFault(f"bad pattern in {data}: {error}") from None
        return cls(**data)

    def fits(self, method: str, path: str) -> bool:
        return bool(re.fullmatch(self.method, method, re.IGNORECASE) and re.search(self.path, path, re.IGNORECASE))

    def as_error(self) -> ArmError:
        return ArmError(self.status, self.code, self.message)


class FaultPlan:
    """Thread-safe; the first fault that fits is the one that happens."""

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._faults: list[Fault] = []

    def load(self, data: Any) -> int:
        """Adds the faults of `{"seed": ..., "faults": [...]}`; returns how many are planned now."""
        if not isinstance(data, dict) or not isinstance(data.get("faults"), list):
            raise InvalidFault("expected an object with the list 'faults'")
        planned = [Fault.parse(item) for item in data["faults"]]
        with self._lock:
            if "seed" in data:
                self._random = random.Random(int(data["seed"]))
            self._faults.extend(planned)
            return len(self._faults)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def report(self) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(vars(item)) for item in self._faults]

    def take(self, method: str, path: str) -> Fault | None:
        return self._take(method, path, operations=False)

    def take_operation(self, method: str, path: str) -> ArmError | None:
        """The error an operation started by this call shall end with."""
        fault = self._take(method, path, operations=True)
        return None if fault is None else fault.as_error()

    def _take(self, method: str, path: str, *, operations: bool) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if (fault.kind == "fail_operation") is not operations or not fault.fits(method, path):
                    continue
                if fault.times and fault.used >= fault.times:
                    continue
                fault.seen += 1
                if fault.seen <= fault.after or self._random.random() >= fault.probability:
                    continue
                fault.used += 1
                return fault
        return None
