# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which statements make privileges and owners alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from .._postgres import identifier
from .._validation.privileges import MAINTAIN_SINCE, PLATFORM, PUBLIC_SCHEMA_CHANGED
from .catalog import (
    BY_NAME,
    DEFAULT_WORDS,
    OWNER,
    PUBLIC,
    Defaults,
    Grants,
    Thing,
    piece,
    quoted_grantee,
)
from .names import LeftOut, Names

NO_ROLE = "the target has no such role"
NOT_EXACT = "the target gives it and the source does not: set exact to take it away"
OF_PUBLIC_SCHEMA = "since PostgreSQL 15 it belongs to the database's owner, and nobody else makes objects in it"
UNKNOWN = "PostgreSQL of the target does not know it"
LARGE_OBJECTS_SINCE, SCHEMAS_SINCE = 180000, 100000

DefaultsKey = tuple[str, str, str]


@dataclass(frozen=True)
class Move:
    """A change of owner."""

    thing: Thing
    owner: str

    def sql(self, version: int) -> str:
        return f"ALTER {word(BY_NAME[self.thing.kind].alter or '', version)} {self.thing.sql} OWNER TO {self.quoted}"

    @property
    def quoted(self) -> str:
        return identifier(self.owner)


@dataclass(frozen=True)
class Grant:
    """A privilege given or taken away. `actor` is the owner: whoever else does it may get recorded as the grantor."""

    sql: str
    actor: str
    schema: str | None = None
    """The schema that the object is in, quoted; of what is in none, the first to be granted, None."""


@dataclass
class DatabasePlan:
    """What one database's objects need; `acting` are the roles on whose behalf it has to be done."""

    moves: list[Move] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    defaults: list[str] = field(default_factory=list)
    acting: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    """To whom something belongs in the end."""

    @property
    def grant_statements(self) -> list[str]:
        return [grant.sql for grant in self.grants]

    def __bool__(self) -> bool:
        return bool(self.moves or self.grants or self.defaults)


@dataclass
class GrantPlanner:
    """Compares owners and privileges of one database on both sides. Pure."""

    names: Names
    left_out: LeftOut
    database: str
    roles: frozenset[str]
    """Names of all roles of the target, those that are about to be made too."""
    able: frozenset[str]
    """Those on whose behalf the user may act."""
    copied: frozenset[str]
    """Those, by the target's names, that privileges may be taken away from."""
    exact: bool
    plan: DatabasePlan = field(default_factory=DatabasePlan)
    moved: dict[str, str] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    """Owners of schemas."""
    schemas: dict[str, str | None] = field(default_factory=dict)
    """By table."""

    def objects(self, found: Iterable[Thing], target: Mapping[tuple[str, str], Thing]) -> None:
        source = {(row.kind, row.key): row for row in found}
        if self.exact:
            # Columns on which the source grants nothing are not among what it has.
            tables_there = {row.sql for row in source.values() if BY_NAME[row.kind].default == "r"}
            bare = [row for row in target.values() if row.kind == "column" and row.sql in tables_there]
            source = {**{(row.kind, row.key): replace(row, grants={}) for row in bare}, **source}
        self.containers |= {row.sql: row.owner for row in target.values() if row.kind == "schema"}
        tables = {row.sql: row for row in target.values() if BY_NAME[row.kind].default == "r"}
        self.schemas |= {row.sql: row.inside for row in tables.values()}
        # Owners of tables are settled before those of what follows them.
        for ours in sorted(source.values(), key=lambda row: row.follows is not None):
            theirs = target.get((ours.kind, ours.key))
            if theirs is None and ours.kind == "column" and (table := tables.get(ours.sql)):
                # A table that grants nothing on columns yet.
                theirs = replace(table, kind="column", follows=table.sql, inside=ours.inside, untouched=True, grants={})
            if theirs:
                self._object(ours, theirs)

    def _object(self, ours: Thing, theirs: Thing) -> None:
        if self._changed_public(ours):
            if self.names.of(ours.owner) != theirs.owner or dict(ours.grants) != dict(theirs.grants):
                self._skip("owner and privileges of the schema public", OF_PUBLIC_SCHEMA)
            return
        owner = self.moved.get(theirs.follows, theirs.owner) if theirs.follows else self._owner(ours, theirs)
        if owner != theirs.owner and not theirs.follows:
            self.moved[theirs.sql] = owner
            # Where the new owner may not make objects, the schema's owner lends him the right.
            self.plan.acting |= {self.containers.get(theirs.inside or "", owner)} & self.able
        self.plan.owners.add(owner)
        self.plan.grants += self._differences(ours, theirs, owner)

    def _changed_public(self, ours: Thing) -> bool:
        return (ours.kind, ours.key) == ("schema", "public") and self._apart(PUBLIC_SCHEMA_CHANGED)

    def _apart(self, since: int) -> bool:
        return (self.names.source.version >= since) != (self.names.target.version >= since)

    def _skip(self, what: str, reason: str, example: str | None = None) -> None:
        self.left_out.add(f"{what} in {self.database}", reason, example)

    def _owner(self, ours: Thing, theirs: Thing) -> str:
        """Who owns the object in the end; a change of that is planned."""
        wanted = self.names.of(ours.owner) if self.names.concern(ours.owner) else theirs.owner
        if wanted == theirs.owner or not BY_NAME[ours.kind].alter:
            return theirs.owner
        if PLATFORM.match(ours.owner) or (self.names.source.roles[ours.owner].bootstrap and wanted not in self.able):
            self._skip(f"ownership of {ours.owner}", "it is a superuser or a role of the platform", ours.on)
        elif wanted not in self.roles:
            self._skip(f"ownership of {ours.owner}", NO_ROLE, ours.on)
        elif unable := [role for role in (theirs.owner, wanted) if role not in self.able]:
            self._skip(f"ownership of {ours.owner}", self._unable(unable[0]), ours.on)
        else:
            self.plan.moves.append(Move(theirs, wanted))
            self.plan.acting |= {theirs.owner, wanted}
            return wanted
        return theirs.owner

    def _unable(self, role: str) -> str:
        return f"{self.names.target.user} can not act for {role} at the target"

    def _differences(self, ours: Thing, theirs: Thing, owner: str) -> Iterator[Grant]:
        wanted, there = self._wanted(ours.grants, owner), self._there(theirs.grants, owner)
        kind = BY_NAME[ours.kind]
        on = f"{word(kind.grant, self.names.target.version)} {theirs.sql}"
        columns = f" ({theirs.inside})" if ours.kind == "column" else ""
        for verb, grantee, privileges, option in self._changes(wanted, there, ours.on, untouched=theirs.untouched):
            if not self._may(theirs, owner, privileges):
                self._skip(
                    f"privileges on what belongs to {owner}",
                    self._unable(owner),
                    f"{', '.join(privileges)} on {ours.on}",
                )
                continue
            self.plan.acting |= {owner, self.containers.get(self._schema_of(theirs) or "", owner)} & self.able
            listed = ", ".join(f"{privilege}{columns}" for privilege in privileges)
            sql = statement(verb, listed, f"ON {on}", owner if grantee == OWNER else grantee, option)
            yield Grant(sql, owner if owner in self.able else self.names.target.user, self._schema_of(theirs))

    def _schema_of(self, thing: Thing) -> str | None:
        return self.schemas.get(thing.sql) if thing.kind == "column" else thing.inside

    def _may(self, theirs: Thing, owner: str, privileges: list[str]) -> bool:
        user = self.names.target.user
        return owner in self.able or all(theirs.grants.get((user, privilege)) for privilege in privileges)

    def _wanted(self, grants: Grants, owner: str) -> dict[tuple[str, str], bool]:
        """Privileges of the source as the target names their grantees."""
        found: dict[tuple[str, str], bool] = {}
        for (name, privilege), option in grants.items():
            grantee = name if name in (PUBLIC, OWNER) else self.names.of(name)
            # What the new owner was granted before is his now anyway.
            if grantee != owner and self.names.concern(name) and not self._unknown(privilege, name):
                found[grantee, privilege] = option or found.get((grantee, privilege), False)
        return found

    def _there(self, grants: Grants, owner: str) -> dict[tuple[str, str], bool]:
        """Those of the target when the object is the owner's; what he was granted before is added to his own."""
        unknown = self._apart(MAINTAIN_SINCE)
        found: dict[tuple[str, str], bool] = {}
        for (name, privilege), option in grants.items():
            if not (privilege == "MAINTAIN" and unknown):
                key = (OWNER if name == owner else name, privilege)
                found[key] = option or found.get(key, False)
        return found

    def _unknown(self, privilege: str, name: str) -> bool:
        if privilege != "MAINTAIN" or not self._apart(MAINTAIN_SINCE):
            return False
        if name not in (PUBLIC, OWNER):
            self._skip(f"privilege MAINTAIN of {name}", UNKNOWN)
        return True

    def _changes(
        self, wanted: Grants, there: Grants, on: str, *, untouched: bool
    ) -> Iterator[tuple[str, str, list[str], bool]]:
        """(verb, grantee, privileges, whether about the grant option), what is taken away first."""
        changes: dict[tuple[str, str, bool], list[str]] = {}
        for (grantee, privilege), option in sorted(there.items()):
            gone, less = (grantee, privilege) not in wanted, option and not wanted.get((grantee, privilege))
            special = grantee in (PUBLIC, OWNER)
            if not (gone or less) or not (special or grantee in self.copied):
                continue
            if self.exact or (special and untouched):
                changes.setdefault(("REVOKE", grantee, not gone), []).append(privilege)
            elif special:
                self._skip("less than the target gives", NOT_EXACT, f"{privilege} on {on} for {_name(grantee)}")
        for (grantee, privilege), option in sorted(wanted.items()):
            known = there.get((grantee, privilege))
            if (known is None or (option and not known)) and self._can_be_granted_to(grantee, privilege, on):
                changes.setdefault(("GRANT", grantee, option), []).append(privilege)
        for (verb, grantee, about_option), privileges in changes.items():
            yield verb, grantee, privileges, about_option

    def _can_be_granted_to(self, grantee: str, privilege: str, on: str) -> bool:
        if grantee in (PUBLIC, OWNER):
            return True
        reason = "it is a role of the platform" if PLATFORM.match(grantee) else NO_ROLE
        if PLATFORM.match(grantee) or grantee not in self.roles:
            self._skip(f"privileges of {grantee}", reason, f"{privilege} on {on}")
            return False
        return True

    def defaults(
        self, source: Mapping[DefaultsKey, Defaults], target: Mapping[DefaultsKey, Defaults], schemas: frozenset[str]
    ) -> None:
        ours = {(self.names.of(maker), *where): found for (maker, *where), found in source.items()}
        mine = {self.names.of(role) for role in self.names.source.roles if self.names.concern(role)}
        for key in sorted({*ours, *(target if self.exact else ())}):
            maker, schema, kind = key
            if maker in mine and self._can_have_defaults(maker, schema, kind, schemas):
                self._default(key, ours.get(key), target.get(key))

    def _can_have_defaults(self, maker: str, schema: str, kind: str, schemas: frozenset[str]) -> bool:
        what, version = f"default privileges of {maker}", self.names.target.version
        if PLATFORM.match(maker):
            reason = "it is a role of the platform"
        elif maker not in self.roles:
            reason = NO_ROLE
        elif maker not in self.able:
            reason = self._unable(maker)
        elif schema and schema not in schemas:
            reason = f"the target has no schema {schema}"
        elif version < {"L": LARGE_OBJECTS_SINCE, "n": SCHEMAS_SINCE}.get(kind, 0):
            reason = UNKNOWN
        else:
            return True
        self._skip(what, reason, f"on {DEFAULT_WORDS[kind].lower()}")
        return False

    def _default(self, key: DefaultsKey, ours: Defaults | None, theirs: Defaults | None) -> None:
        maker, schema, kind = key
        known = ours or theirs
        if known is None:
            return
        builtin = known.builtin
        wanted = self._wanted((ours.grants if ours else builtin), maker)
        there = self._there((theirs.grants if theirs else builtin), maker)
        start = f"ALTER DEFAULT PRIVILEGES FOR ROLE {identifier(maker)}"
        start += f" IN SCHEMA {identifier(schema)}" if schema else ""
        on = f"{DEFAULT_WORDS[kind].lower()} made by {maker}{f' in {schema}' if schema else ''}"
        for verb, grantee, privileges, option in self._changes(wanted, there, on, untouched=theirs is None):
            to = maker if grantee == OWNER else grantee
            change = statement(verb, ", ".join(privileges), f"ON {DEFAULT_WORDS[kind]}", to, option)
            self.plan.defaults.append(f"{start} {change}")
            self.plan.acting.add(maker)


def _name(grantee: str) -> str:
    return {PUBLIC: "PUBLIC", OWNER: "its owner"}.get(grantee, grantee)


def word(text: str, version: int) -> str:
    return text.format(routine=piece("routine", version))


def statement(verb: str, privileges: str, on: str, grantee: str, option: bool) -> str:
    to = quoted_grantee(grantee)
    if verb == "GRANT":
        return f"GRANT {privileges} {on} TO {to}{' WITH GRANT OPTION' if option else ''}"
    return f"REVOKE {'GRANT OPTION FOR ' if option else ''}{privileges} {on} FROM {to}"
