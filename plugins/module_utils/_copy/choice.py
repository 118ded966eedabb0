# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which schemas and tables a copy takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .._errors import ModuleFailure
from .catalog import Table


@dataclass(frozen=True)
class Choice:
    """The user's options; an empty list of what to include takes everything."""

    include_schemas: tuple[str, ...] = ()
    exclude_schemas: tuple[str, ...] = ()
    include_tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, params: Mapping[str, Any]) -> Choice:
        names = ("include_schemas", "exclude_schemas", "include_tables", "exclude_tables")
        return cls(**{name: tuple(params.get(name) or ()) for name in names})

    @property
    def everything(self) -> bool:
        return not (self.include_schemas or self.exclude_schemas or self.include_tables or self.exclude_tables)


@dataclass(frozen=True)
class Chosen:
    tables: tuple[Table, ...]
    """What is copied, roots of partitioned tables included."""
    left_out: tuple[Table, ...]
    schemas_left_out: tuple[str, ...]


def choose(choice: Choice, schemas: Sequence[str], tables: Sequence[Table]) -> Chosen:
    """Partitions and children of inheritance go where their root goes, unless they are named themselves."""
    left = [
        name
        for name in schemas
        if (choice.include_schemas and not _any(name, choice.include_schemas)) or _any(name, choice.exclude_schemas)
    ]
    by_oid = {table.oid: table for table in tables}

    def family(table: Table) -> list[str]:
        above = [label for oid in table.parents if oid in by_oid for label in family(by_oid[oid])]
        return [table.label, *above]

    def taken(table: Table) -> bool:
        names = family(table)
        wanted = not choice.include_tables or any(_any(name, choice.include_tables) for name in names)
        unwanted = any(_any(name, choice.exclude_tables) for name in names)
        return table.schema not in left and wanted and not unwanted

    kept = tuple(table for table in tables if taken(table))
    inside = {table.oid for table in kept}
    return Chosen(kept, tuple(table for table in tables if table.oid not in inside), tuple(left))


def _any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_patterns(choice: Choice, found: Mapping[str, tuple[Sequence[str], Sequence[Table]]]) -> None:
    """Every pattern has to match something in one of the databases; `found` has their schemas and tables."""
    schemas = {name for names, _tables in found.values() for name in names}
    labels = {table.label for _names, tables in found.values() for table in tables}
    unmatched = [
        f"{option} {pattern}"
        for option, patterns, names in (
            ("include_schemas", choice.include_schemas, schemas),
            ("exclude_schemas", choice.exclude_schemas, schemas),
            ("include_tables", choice.include_tables, labels),
            ("exclude_tables", choice.exclude_tables, labels),
        )
        for pattern in patterns
        if not any(fnmatchcase(name, pattern) for name in names)
    ]
    if unmatched:
        raise ModuleFailure(
            f"Nothing at the source is named like {', '.join(unmatched)} in {', '.join(found)}.",
            code="UnknownObjects",
            target="source",
            hint="Tables are named as schema.table, with the case they have there; * stands for anything.",
        )
