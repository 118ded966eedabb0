# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rule, a look and a finding of the preflight are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .._postgres import Server

if TYPE_CHECKING:
    import psycopg

SOURCE, TARGET = "source", "target"
SEVERITIES = ("blocks", "warns", "informs")
# Where a rule looks: at the options alone, at a server, at each database of a server, at what Azure says of the target.
PLAN, SERVER, DATABASE, AZURE = "plan", "server", "database", "azure"
REMEDIES = (
    "allow_extensions",
    "preload_libraries",
    "logical_replication",
    "replica_identity",
    "timeouts",
    "temp_tablespaces",
    "signal_backend",
    "drop_slots",
    "read_only_source",
)
# Whose members administer a server of Azure's.
ADMIN_GROUP = "azure_pg_admin"
# So many objects a rule names one by one; one more finding counts the others.
MOST = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in the words in which a user gets it."""

    code: str | None
    rule: str
    severity: str
    side: str
    database: str | None
    object: str
    message: str
    remedy: str
    can_apply: str | None = None

    def as_result(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Hit:
    """What a rule says of one object; `severity` and `remedy` where they differ from the rule's own."""

    object: str
    message: str
    severity: str | None = None
    remedy: str | None = None
    can_apply: bool = True


@dataclass(frozen=True)
class Job:
    """What is to be migrated, and how."""

    source: Server
    target: Server
    databases: tuple[str, ...]
    mode: str = "offline"
    generation: str = "current"
    source_type: str = "OnPremises"
    overwrite: bool = False
    migration_name: str | None = None

    @property
    def online(self) -> bool:
        return self.mode == "online"

    @property
    def in_azure(self) -> bool:
        return self.source_type in ("PostgreSQLSingleServer", "PostgreSQLFlexibleServer")

    def server(self, side: str) -> Server:
        return self.source if side == SOURCE else self.target


@dataclass(frozen=True)
class DatabaseFacts:
    size: int | None
    encoding: str
    collations: tuple[str, ...]


@dataclass
class Facts:
    """What several rules need of one server, read once."""

    version: int
    user: str
    superuser: bool
    # As a new session of this user begins with them.
    settings: dict[str, str] = field(default_factory=dict)
    databases: dict[str, DatabaseFacts] = field(default_factory=dict)
    # Of the target only: what can be made there, with the version that it would have.
    extensions: dict[str, str] = field(default_factory=dict)
    collations: frozenset[str] = frozenset()
    locales: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    # Parameters that its user may not change in a session.
    guarded: frozenset[str] = frozenset()

    @property
    def major(self) -> str:
        return ".".join(map(str, (self.version // 10000, self.version // 100 % 100)[: 1 + (self.version < 100000)]))

    def number(self, name: str) -> int:
        return int(self.settings.get(name) or 0)


@dataclass
class AzureFacts:
    """What Azure says of the target; None for what could not be read."""

    server: dict[str, Any] | None = None
    parameters: dict[str, str] | None = None
    active: list[dict[str, Any]] | None = None
    migration: dict[str, Any] | None = None


@dataclass
class Look:
    """Where a rule looks from: everything known so far, and a read-only session."""

    job: Job
    facts: dict[str, Facts]
    azure: AzureFacts
    side: str
    database: str | None = None
    connection: psycopg.Connection[Any] | None = None

    @property
    def here(self) -> Facts:
        return self.facts[self.side]

    @property
    def source(self) -> Facts:
        return self.facts[SOURCE]

    @property
    def target(self) -> Facts:
        return self.facts[TARGET]

    @property
    def version(self) -> int:
        return self.here.version

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        if self.connection is None:
            raise AssertionError("this rule has a scope without a session")
        found: list[tuple[Any, ...]] = self.connection.execute(sql.encode(), list(values) or None).fetchall()
        return found

    def names(self, sql: str, *values: Any) -> list[str]:
        return [str(row[0]) for row in self.ask(sql, *values)]

    def target_parameter(self, name: str) -> str | None:
        """What the target is configured to: Azure's own word, or else the server's; None where neither has such one."""
        if self.azure.parameters is not None and name in self.azure.parameters:
            return self.azure.parameters[name]
        return self.target.settings.get(name) if TARGET in self.facts else None


@dataclass(frozen=True)
class Rule:
    name: str
    check: Callable[[Look], Iterable[Hit]]
    code: str | None
    side: str
    scope: str
    severity: str
    what: str
    remedy: str
    can_apply: str | None = None
    # Only for this mode and this generation of the service, where one is named.
    mode: str | None = None
    generation: str | None = None
    # Compares the servers: can not be asked when the other one was not reached.
    both: bool = False

    def applies(self, job: Job) -> bool:
        return self.mode in (None, job.mode) and self.generation in (None, job.generation)

    def findings(self, look: Look) -> list[Finding]:
        hits = list(self.check(look))
        found = [self._finding(look, hit) for hit in hits[:MOST]]
        if len(hits) > MOST:
            found.append(self._finding(look, Hit("", f"{len(hits) - MOST} more of the same.")))
        return found

    def _finding(self, look: Look, hit: Hit) -> Finding:
        return Finding(
            code=self.code,
            rule=self.name,
            severity=hit.severity or self.severity,
            side=self.side,
            database=look.database,
            object=hit.object,
            message=hit.message,
            remedy=hit.remedy or self.remedy,
            can_apply=self.can_apply if hit.can_apply else None,
        )


Check = Callable[[Look], Iterator[Hit]]
RULES: dict[str, Rule] = {}


def rule(
    side: str,
    scope: str,
    severity: str,
    what: str,
    remedy: str,
    *,
    code: int | None = None,
    can_apply: str | None = None,
    mode: str | None = None,
    generation: str | None = None,
    both: bool = False,
) -> Callable[[Check], Check]:
    """Adds the function below it to the rules, under its own name; each Hit that it yields becomes a finding."""

    def register(check: Check) -> Check:
        name = getattr(check, "__name__", "")
        RULES[name] = Rule(
            name=name,
            check=check,
            code=str(code) if code else None,
            side=side,
            scope=scope,
            severity=severity,
            what=what,
            remedy=remedy,
            can_apply=can_apply,
            mode=mode,
            generation=generation,
            both=both,
        )
        return check

    return register


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(names: Sequence[Any], one: str, many: str) -> str:
    return f"1 {one}" if len(names) == 1 else f"{len(names)} {many}"


def about(names: Sequence[str], one: str, many: str, text: str) -> Iterator[Hit]:
    """One hit for all of them, none for none."""
    if names:
        yield Hit(names[0] if len(names) == 1 else "", f"{counted(names, one, many)} {text}: {listed(names)}.")
