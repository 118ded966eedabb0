# SPDX-License-Identifier: GPL-3.0-or-later
"""Long-running operations: started, polled, one at a time for each server."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from pgflex_lab.arm.http import ArmError, ArmRequest, ArmResponse
from pgflex_lab.arm.ids import ResourceId
from pgflex_lab.arm.router import ResourceType
from pgflex_lab.clusters import ClusterError
from pgflex_lab.settings import timestamp

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

INTERNAL = ArmError(500, "InternalServerError", "An unexpected error occured while processing the request.")
log = logging.getLogger(__name__)


@dataclass
class Operation:
    id: str
    name: str
    owner: ResourceId
    started: datetime
    status: str = "InProgress"
    ended: datetime | None = None
    error: ArmError | None = None
    result: Any = None
    done: threading.Event = field(default_factory=threading.Event)

    def status_body(self, path: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": path,
            "name": self.id,
            "status": self.status,
            "startTime": timestamp(self.started),
        }
        if self.ended is not None:
            body["endTime"] = timestamp(self.ended)
        if self.error is not None:
            body["error"] = {"code": self.error.code, "message": self.error.message}
        return body


Work = Callable[[], Any]


class Operations:
    """`start` returns the 202; the work runs in a thread and takes at least the (scaled) time Azure needs."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._operations: dict[str, Operation] = {}
        self._busy: dict[str, Operation] = {}
        self._closed = threading.Event()
        self._here = threading.local()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What this thread starts meanwhile is done when `start` returns, or raises; no fault meets it."""
        self._here.at_once = True
        try:
            yield
        finally:
            self._here.at_once = False

    def is_busy(self, owner: ResourceId) -> bool:
        with self._lock:
            return owner.key in self._busy

    def start(
        self,
        request: ArmRequest,
        name: str,
        azure_seconds: float,
        work: Work,
        *,
        owner: ResourceId | None = None,
        before: Callable[[], None] | None = None,
        failed: Callable[[], None] | None = None,
    ) -> ArmResponse:
        """`work` runs when the time is up, and what it returns is the result a Location poll gets.

        `owner` is the server that is busy meanwhile: a second operation on it is refused. `before` runs once the
        server is ours and before the answer is sent, to set a transient state; `failed` puts things back.
        """
        operation = Operation(uuid.uuid4().hex, name, owner or request.id, self._lab.clock.now())
        self._claim(operation, owner)
        if getattr(self._here, "at_once", False):
            return self._do(operation, work, before, failed)
        fault = self._lab.faults.take_operation(request.method, str(request.id))
        if before is not None:
            before()
        thread = threading.Thread(
            target=self._run,
            args=(operation, azure_seconds, work, fault, failed),
            name=f"operation-{name}",
            daemon=True,
        )
        thread.start()
        return ArmResponse(202, None, self._headers(request, operation))

    def _do(
        self, operation: Operation, work: Work, before: Callable[[], None] | None, failed: Callable[[], None] | None
    ) -> ArmResponse:
        if before is not None:
            before()
        self._run(operation, 0.0, work, None, failed)
        if operation.error is not None:
            raise operation.error
        return ArmResponse(200, operation.result)

    def _claim(self, operation: Operation, owner: ResourceId | None) -> None:
        with self._lock:
            if owner is not None:
                if owner.key in self._busy:
                    raise ArmError(
                        409,
                        "ServerIsBusy",
                        f"Cannot complete operation while server '{owner.name}' is busy processing another operation. "
                        "Try again later.",
                    )
                self._busy[owner.key] = operation
            self._operations[operation.id] = operation

    def _run(
        self,
        operation: Operation,
        azure_seconds: float,
        work: Work,
        fault: ArmError | None,
        failed: Callable[[], None] | None,
    ) -> None:
        self._closed.wait(self._lab.clock.scaled(azure_seconds))
        error: ArmError | None = INTERNAL
        try:
            error = fault
            if fault is None and not self._closed.is_set():
                error = INTERNAL
                operation.result = work()
                error = None
        except ArmError as raised:
            error = raised
        except (ClusterError, psycopg.Error):
            log.exception("operation %s on %s failed", operation.name, operation.owner)
        finally:
            if error is not None and failed is not None:
                failed()
            self._finish(operation, error)

    def _finish(self, operation: Operation, error: ArmError | None) -> None:
        operation.error = error
        operation.status = "Failed" if error else "Succeeded"
        operation.ended = self._lab.clock.now()
        with self._lock:
            self._busy = {key: item for key, item in self._busy.items() if item is not operation}
        operation.done.set()

    def _headers(self, request: ArmRequest, operation: Operation) -> dict[str, str]:
        namespace = request.id.namespace
        subscription = f"{request.base_url}/subscriptions/{request.id.subscription_id}"
        if namespace == "Microsoft.Resources":
            location = f"{subscription}/operationresults/{operation.id}?api-version={request.api_version}"
            return {"Location": location, "Retry-After": "1"}
        status, result = "azureAsyncOperation", "operationResults"
        root = f"{subscription}/providers/{namespace}/locations/{self._place(operation.owner)}"
        if namespace.lower() == "microsoft.network":
            status = "operations"
            if request.id.types[0].lower() == "privatednszones":
                root = f"{subscription}/resourceGroups/{request.id.resource_group}/providers/{namespace}"
                status, result = "privateDnsOperationStatuses", "privateDnsOperationResults"
        return {
            "Azure-AsyncOperation": f"{root}/{status}/{operation.id}?api-version={request.api_version}",
            "Location": f"{root}/{result}/{operation.id}?api-version={request.api_version}",
            "Retry-After": "1",
        }

    def _place(self, owner: ResourceId) -> str:
        found = self._lab.store.get(owner)
        return found.location if found is not None and found.location else "eastus"

    # Polling

    def _find(self, operation_id: str) -> Operation:
        with self._lock:
            operation = self._operations.get(operation_id)
        if operation is None:
            raise ArmError(404, "OperationIdNotFound", f"The operation '{operation_id}' could not be found.")
        return operation

    def _status(self, request: ArmRequest) -> ArmResponse:
        operation = self._find(request.id.name)
        headers = {} if operation.done.is_set() else {"Retry-After": "1"}
        return ArmResponse(200, operation.status_body(str(request.id)), headers)

    def _result(self, request: ArmRequest) -> ArmResponse:
        operation = self._find(request.id.name)
        if not operation.done.is_set():
            location = f"{request.base_url}{request.id}?api-version={request.api_version}"
            return ArmResponse(202, None, {"Location": location, "Retry-After": "1"})
        if operation.error is not None:
            raise operation.error
        return ArmResponse(204) if operation.result is None else ArmResponse(200, operation.result)

    def types(self) -> list[ResourceType]:
        statuses = (
            "Microsoft.DBforPostgreSQL/locations/azureAsyncOperation",
            "Microsoft.Network/locations/operations",
            "Microsoft.Network/privateDnsOperationStatuses",
        )
        results = (
            "Microsoft.DBforPostgreSQL/locations/operationResults",
            "Microsoft.Network/locations/operationResults",
            "Microsoft.Network/privateDnsOperationResults",
            "Microsoft.Resources/subscriptions/operationresults",
        )
        return [
            *(ResourceType(name, {"GET": self._status}, open_to_all=True) for name in statuses),
            *(ResourceType(name, {"GET": self._result}, open_to_all=True) for name in results),
        ]

    def close(self) -> None:
        """Ends all waits; unfinished work is not done."""
        self._closed.set()
        with self._lock:
            running = [item for item in self._operations.values() if not item.done.is_set()]
        for item in running:
            item.done.wait(10)
