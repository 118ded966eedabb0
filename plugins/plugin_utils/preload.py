# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the program that forks the workers loads once; every worker would load it again, for each host and task."""

from __future__ import annotations

import contextlib
import gc
import importlib
import pkgutil
import ssl
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader
from ansible.template import Templar

from ..module_utils._errors import service_errors

try:
    from ansible.template import trust_as_template
except ImportError:
    # Before ansible-core 2.19 every text is a template.
    trust_as_template = str

# Measured on 100 hosts: 32 ms a host with the packages, 96 ms without; 8 to 75 ms more for a module of our own.
PACKAGES = (
    "azure.core.pipeline.transport._requests_basic",
    "azure.identity",
    "azure.mgmt.authorization.v2022_04_01",
    "azure.mgmt.network",
    "azure.mgmt.postgresqlflexibleservers",
    "azure.mgmt.privatedns",
    "azure.mgmt.rdbms.postgresql",
    "psycopg",
)
PLUGINS = "ansible_collections.pgflex.migrate.plugins"
MODULES = f"{PLUGINS}.modules"
# Makes Ansible load its filters and tests: 10 ms of each task that has a template.
TEMPLATE = "{{ [{'a': 1}] | selectattr('a', 'eq', 1) | map(attribute='a') | difference([2]) | list | length }}"


def load_for_workers() -> None:
    for name in PACKAGES:
        # A package that is missing here is reported by the module that needs it, with its name.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in _names("modules"):
        importlib.import_module(f"{MODULES}.{name}")
    for name in _names("filter"):
        for filter_name in importlib.import_module(f"{PLUGINS}.filter.{name}").FilterModule().filters():
            # Python's own import finds the collection as well, but leaves Ansible without its metadata.
            with contextlib.suppress(KeyError):
                filter_loader.get(f"pgflex.migrate.{filter_name}")
    Templar(DataLoader(), {}).template(trust_as_template(TEMPLATE))
    # It imports the packages whose errors it names.
    service_errors()
    ssl.create_default_context()
    # A collection of garbage in a worker would look at all of this again, and make a copy of each page of it.
    gc.freeze()


def _names(folder: str) -> list[str]:
    return [found.name for found in pkgutil.iter_modules([str(Path(__file__).parents[1] / folder)])]
