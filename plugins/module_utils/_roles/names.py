# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role of the source is called at the target, and why some are left out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .._validation.privileges import PLATFORM
from .catalog import ENTRA, OWNER, PUBLIC, Role, Roles

# Of what is left out for the same reason, this many are named.
EXAMPLES = 5
OF_PLATFORM = "it is a role of the platform or of PostgreSQL itself"
OF_BOOTSTRAP = "it is the superuser that the server was made with, whom no server in Azure has"
OF_ENTRA = "it signs in with Microsoft Entra ID: make it at the target with pgaadauth_create_principal"
NOT_CHOSEN = "the role is not among those that are copied, and the target has none of its name"


@dataclass
class LeftOut:
    """What is not copied, told once for each reason with some examples."""

    _found: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, what: str, reason: str, example: str | None = None) -> None:
        examples = self._found.setdefault((what, reason), [])
        if example is not None:
            examples.append(example)

    def as_result(self) -> list[dict[str, str]]:
        return [{"what": self._words(what, examples), "reason": why} for (what, why), examples in self._found.items()]

    @staticmethod
    def _words(what: str, examples: list[str]) -> str:
        more = len(examples) - EXAMPLES
        shown = ", ".join(examples[:EXAMPLES]) + (f" and {more} more" if more > 0 else "")
        return f"{what}: {shown}" if examples else what


def plain(name: str, host: str, known: Iterable[str]) -> str:
    """A Single Server's users sign in as name@server; the role is the name, unless there really is one with the @."""
    short, _at, server = name.rpartition("@")
    return short if short and name not in known and server == host.split(".", maxsplit=1)[0] else name


@dataclass(frozen=True)
class Names:
    """Which roles are copied, and what roles of the source are called at the target."""

    source: Roles
    target: Roles
    mapping: Mapping[str, str]
    wanted: frozenset[str] | None
    left_out: LeftOut

    def of(self, name: str) -> str:
        if name in self.mapping:
            return self.mapping[name]
        return self.target.user if name in self.source.users and name not in self.target.roles else self._admin(name)

    def _admin(self, name: str) -> str:
        return self.target.user if name == self.source.user else name

    def concern(self, name: str) -> bool:
        """Whether the task is about this role, or about everybody."""
        return self.wanted is None or name in self.wanted or name in (PUBLIC, OWNER)

    def copied(self) -> list[Role]:
        """Roles that are to be at the target; why others are not is noted."""
        return [role for role in self.source.roles.values() if self._is_copied(role)]

    def _is_copied(self, role: Role) -> bool:
        if self.wanted is not None and role.name not in self.wanted:
            return False
        if self.is_admin(role.name) or role.name.startswith("pg_"):
            return False
        reason = self._reason(role)
        if reason:
            self.left_out.add(f"role {role.name}", reason)
        return reason is None

    def _reason(self, role: Role) -> str | None:
        if PLATFORM.match(role.name):
            return OF_PLATFORM
        if role.bootstrap:
            return OF_BOOTSTRAP
        groups = (group for group, member in self.source.members if member == role.name)
        return OF_ENTRA if any(ENTRA.match(group) for group in groups) else None

    def is_admin(self, name: str) -> bool:
        """Who copies, on either side, is there already and is not changed."""
        return name in self.source.users or self.of(name) in self.target.users
