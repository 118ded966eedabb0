# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for the SDKs that azure.azcollection imports in every module, whatever service the module is for.

It takes all of them or none: 840 MB, and seconds of every task. Those of services that the lab does not have are empty
here, so that a module that does use one fails at its first call.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

UNUSED = (
    "azure.mgmt.automation",
    "azure.mgmt.batch",
    "azure.mgmt.cdn",
    "azure.mgmt.compute",
    "azure.mgmt.containerinstance",
    "azure.mgmt.containerregistry",
    "azure.mgmt.containerservice",
    "azure.mgmt.datafactory",
    "azure.mgmt.dns",
    "azure.mgmt.eventhub",
    "azure.mgmt.iothub",
    "azure.mgmt.loganalytics",
    "azure.mgmt.managementgroups",
    "azure.mgmt.marketplaceordering",
    "azure.mgmt.monitor",
    "azure.mgmt.mysqlflexibleservers",
    "azure.mgmt.notificationhubs",
    "azure.mgmt.recoveryservicesbackup",
    "azure.mgmt.resourcehealth",
    "azure.mgmt.search",
    "azure.mgmt.servicebus",
    "azure.mgmt.sql",
    "azure.mgmt.storage",
    "azure.mgmt.trafficmanager",
    "azure.mgmt.web",
    "azure.storage",
)


class Placeholder(ModuleType):
    """Every name that is asked of it is a class that can not be called."""

    __path__: list[str] = []  # noqa: RUF012 - a module's path is a list of its own name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(_self: object, *_arguments: object, **_options: object) -> None:
            raise NotImplementedError(f"{self.__name__} is not installed for this suite")

        return type(name, (), {"__init__": refuse})


class Placeholders(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in UNUSED):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is in it."""


sys.meta_path.insert(0, Placeholders())
