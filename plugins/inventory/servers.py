# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: servers
short_description: Pairs of PostgreSQL servers to migrate
version_added: "1.0.0"
description:
  - Makes one host of each pair of a source and a target, as the playbooks of this collection want it, with the
    dictionary C(pgflex). Finds the servers in Azure, or takes the pairs from a file alone, without any request.
  - The name of the configuration file has to end with C(servers.yml) or C(servers.yaml), such as C(fleet.servers.yml)
    or C(pgflex_servers.yml), or with C(pairs.yml) or C(pairs.yaml).
  - A pairs file alone is an inventory too, when its name ends with C(pairs.csv), C(pairs.yml) or C(pairs.yaml) and this
    plugin is among C(enable_plugins) in the section C([inventory]) of C(ansible.cfg). The variable C(pgflex_defaults)
    says then what O(defaults) says otherwise, for instance in C(group_vars/all.yml) beside the file. Leave the plugin
    C(ini) out there; it takes a file with a mistake in it for a list of names.
  - A paired host is in the group C(paired). A source without a target is in the group C(unpaired), without C(pgflex)
    and with the reason in C(pgflex_unpaired).
  - C(pgflex_servers) has what is known of C(source) and C(target), as M(pgflex.migrate.single_server_info) and
    M(pgflex.migrate.flexible_server_info) return it, or only their names where Azure was not asked.
    C(pgflex_columns) has what else is in the line of a pairs file.
  - Asks once for each kind of server and subscription, at the same time; nothing is asked for a single host.
  - Names, tags and all other text from Azure and from a pairs file is data. It is never taken for a template.
  - Everything that is wrong with the pairs is told at once, and then there are no hosts.
author:
  - pgflex.migrate contributors (@pgflex)
options:
  plugin:
    description:
      - Name of this plugin, which says that the file is for it.
    type: str
    required: true
    choices:
      - pgflex.migrate.servers
  subscriptions:
    description:
      - GUIDs of the subscriptions to look in, or V(all) for every one that the identity sees.
      - Left out, the one that the sign-in means.
    type: list
    elements: str
  discover:
    description:
      - Whether to read the servers from Azure.
      - Left out, they are read unless the pairs come from a file and O(subscriptions) is left out.
    type: bool
  sources:
    description:
      - Kinds of servers in Azure to migrate from.
    type: list
    elements: str
    choices:
      - single
      - flexible
    default:
      - single
  resource_groups:
    description:
      - Patterns of the resource groups that sources are in. C(*) and C(?) stand for anything, and case does not
        matter.
      - Left out or empty, sources of all resource groups are taken.
    type: list
    elements: str
    default: []
  filters:
    description:
      - Which sources are wanted. C(include) and C(exclude) are lists of rules; a source is taken when it fits one of
        C(include), if there are any, and none of C(exclude).
      - A rule is a mapping of V(name), V(resource_group), V(subscription), V(region), V(version) or V(tier) to a
        pattern or a list of patterns, and of V(tag) to a mapping of tags and their patterns. All parts of a rule have
        to fit.
      - With a pairs file and without O(discover) there is nothing to filter.
    type: dict
    default: {}
  pairs:
    description:
      - What says which source goes to which target.
      - C(by) is V(tag), V(name) or V(file). Left out, it is V(file) when there is a C(file), V(name) when there is a
        C(name), and otherwise V(tag).
      - C(tag) is the tag of a source that names its target, V(pgflex-target) when left out, with the name,
        C(group/name) or the id; several targets are separated by spaces, commas or semicolons. Tags such as
        V(pgflex-databases), V(pgflex-mode), V(pgflex-generation), V(pgflex-engine), V(pgflex-wave),
        V(pgflex-priority), V(pgflex-after), V(pgflex-window-start) and V(pgflex-window-end) say what the columns of a
        file say.
      - C(name) has C(pattern), a regular expression that the whole name of a source has to match, and C(replace), the
        name of its target, in which C(\1) is the first group.
      - C(file) is a CSV file, or YAML with a list of mappings, relative to the configuration file. The collection's
        C(docs/FLEET.md) describes its columns.
      - Instead of all this it may be the list itself, as the YAML file has it. Text in it is no template.
    type: raw
    default: {}
  databases:
    description:
      - Names of the databases of all pairs that name none, as a list or as a template that gives one.
    type: raw
  defaults:
    description:
      - A dictionary C(pgflex) that is laid under that of every host, such as users, passwords, mode, or the cutover.
      - It may hold templates. They are evaluated for each host, so that they can use variables from a vault, and
        C(pgflex_servers).
    type: dict
    default: {}
  regions:
    description:
      - Names of further regions of Azure that the collection does not know yet.
    type: list
    elements: str
    default: []
  group_by:
    description:
      - What to make groups of.
      - V(region) is the target's, as in C(region_westeurope), V(version) the source's, as in C(version_11), V(wave)
        as in C(wave_1), and V(tag) the source's tags, as in C(tag_env_prod).
      - V(topology) is C(topology_public_to_private) and so on, as the two servers say themselves; one without public
        access or in a virtual network is private.
      - V(size) is the source's, C(size_small) up to 4 vCores and 100 GB of storage, C(size_large) from more than 16
        vCores or 1 TB of storage on, and C(size_medium) between the two.
    type: list
    elements: str
    choices:
      - region
      - version
      - topology
      - size
      - tag
      - wave
    default:
      - region
      - version
      - topology
      - size
      - tag
      - wave
extends_documentation_fragment:
  - constructed
  - inventory_cache
  - pgflex.migrate._azure
"""

EXAMPLES = r"""
# fleet.servers.yml: pairs from a spreadsheet, without a request
plugin: pgflex.migrate.servers
pairs:
  file: pairs.csv
defaults:
  source:
    user: "pgadmin@{{ pgflex_servers.source.name }}"
    password: "{{ vault_source_password }}"
  target:
    user: pgadmin
    password: "{{ vault_target_password }}"

# The pairs themselves; passwords are in the variable pgflex_passwords
---
plugin: pgflex.migrate.servers
pairs:
  - source: shop-rg/shop-single
    target: shop-rg/shop-flex
    databases: [shop]
    source_user: pgadmin@shop-single
    target_user: pgadmin
defaults:
  source:
    password: "{{ pgflex_passwords[inventory_hostname] }}"
  target:
    password: "{{ pgflex_passwords[inventory_hostname] }}"

# All Single Servers of two subscriptions, each with the tag pgflex-target
---
plugin: pgflex.migrate.servers
subscriptions:
  - 11111111-1111-1111-1111-111111111111
  - 22222222-2222-2222-2222-222222222222
filters:
  include:
    - region: [westeurope, northeurope]
      tag: {env: prod}
  exclude:
    - name: "*-test"
databases: "{{ databases_of[inventory_hostname] }}"
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/pgflex

# shop-single goes to shop-flex, and so on, in all subscriptions
---
plugin: pgflex.migrate.servers
subscriptions: [all]
client_id: 33333333-3333-3333-3333-333333333333
secret: "{{ lookup('ansible.builtin.env', 'FLEET_SECRET') }}"
pairs:
  name:
    pattern: (.+)-single
    replace: \1-flex
keyed_groups:
  - key: pgflex_servers.source.tags.team
    prefix: team
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ..module_utils._auth import NAMES, sign_in_of
from ..module_utils._clients import Azure
from ..module_utils._errors import ModuleFailure
from ..module_utils._inventory.discovery import servers, subscriptions
from ..module_utils._inventory.groups import groups_of
from ..module_utils._inventory.hosts import Options, fleet_of, option_problems
from ..module_utils._inventory.pairs import KINDS, Fleet, Member
from ..module_utils._inventory.pairs_file import Row, doubtful, read_csv, read_list
from ..module_utils._migration.settings import FLEXIBLE
from ..plugin_utils.plain import plain
from ..plugin_utils.untrusted import template, untrusted

ENDINGS = ("servers.yml", "servers.yaml", "pairs.yml", "pairs.yaml", "pairs.csv")
# Of a host that a pairs file alone makes; its groups' variables are not known before there are hosts.
MERGED = "{{ pgflex_defaults | default({}, true) | combine(pgflex_pair, recursive=true) }}"


def laid_over(below: Any, above: Any) -> Any:
    """`above` on `below`, mappings key by key; values stay the objects they are, for what they say of templates."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: laid_over(below[key], value) if key in below else value for key, value in above.items()}}


def _known(member: Member, side: str) -> dict[str, Any]:
    """What is known of a server; without Azure its names, so that templates can use them either way."""
    found = getattr(member, side)
    told = member.pgflex[side]
    return found or {key: told[key] for key in ("subscription_id", "resource_group", "name", "host") if told.get(key)}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    NAME = "pgflex.migrate.servers"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.lower().endswith(ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._alone = path.lower().endswith(".csv") or isinstance(self._content(Path(path)), list)
        found = self._read_options(path)
        try:
            fleet = Fleet(problems=found) if found else self._fleet(path, cache)
        except ModuleFailure as failure:
            # Ansible prints what an error comes from behind it, and that is the same sentence.
            raise AnsibleParserError(failure.as_result()["msg"]) from None
        if fleet.problems:
            count = len(fleet.problems)
            raise AnsibleParserError(
                f"{count} problem{'s' if count > 1 else ''} with the pairs:\n- " + "\n- ".join(fleet.problems)
            )
        self._populate(fleet)

    def _content(self, file: Path) -> Any:
        return self.loader.load_from_file(str(file), cache="none")

    def _read_options(self, path: str) -> list[str]:
        """Those of a pairs file alone are few; Ansible takes any other name in a configuration and forgets it."""
        if self._alone:
            pairs = {"plugin": self.NAME, "pairs": {"file": Path(path).name}}
            self.set_options(direct=pairs, var_options=self._vars)
            return []
        names = [str(name) for name in self._read_config_data(path)]
        near = {name: get_close_matches(name, self.get_options(), 1) for name in names if not self.has_option(name)}
        return [f"There is no option {name}{f'; {found[0]} is one' if found else ''}." for name, found in near.items()]

    def _pairs(self, path: str) -> Any:
        """A list in the configuration is what a pairs file would hold: data, and no templates."""
        return {"file": Path(path).name} if isinstance(self.get_option("pairs"), list) else self._given("pairs")

    def _given(self, name: str) -> Any:
        """An option with its templates evaluated, as data."""
        return self._evaluated(self.get_option(name))

    def _evaluated(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(plain(key)): self._evaluated(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._evaluated(item) for item in value]
        return plain(self.templar.template(value) if isinstance(value, str) else value)

    def _fleet(self, path: str, cache: bool) -> Fleet:
        names = ("filters", "resource_groups", "sources", "subscriptions", "regions", "discover")
        given = {name: value for name in names if (value := self._given(name)) is not None}
        options = Options(pairs=self._pairs(path) or {}, **given, databases=self._shared_databases())
        found = option_problems(options)
        if found:
            return Fleet(problems=found)
        rows: list[Row] = []
        if options.by == "file":
            rows, found = self._rows(Path(path).parent / Path(options.pairs["file"]).expanduser())
            if not rows:
                return Fleet(problems=found)
            for text in doubtful(rows):
                self.display.warning(text)
        everything = self._servers(path, options, cache) if options.asks_azure else None
        fleet = fleet_of(options, rows, everything)
        fleet.problems = found + fleet.problems
        return fleet

    def _shared_databases(self) -> list[str]:
        """The databases of hosts that name none; a template of them can not be evaluated before there are hosts."""
        names = self.get_option("databases") or (self.get_option("defaults") or {}).get("databases")
        return plain(names) if isinstance(names, list) and "{{" not in str(names) else []

    def _rows(self, file: Path) -> tuple[list[Row], list[str]]:
        if not file.is_file():
            return [], [f"The pairs file {file} is not there."]
        if file.suffix.lower() in (".yml", ".yaml", ".json"):
            content = self._content(file)
            listed = content.get("pairs") if isinstance(content, Mapping) else content
            return read_list(plain(listed), file.name)
        try:
            return read_csv(file.read_bytes(), file.name)
        except OSError as error:
            return [], [f"The pairs file {file} can not be read: {error.strerror}."]

    def _servers(self, path: str, options: Options, cache: bool) -> list[dict[str, Any]]:
        """From Ansible's inventory cache, when what is in there answers the same question, or from Azure."""
        sign_in = sign_in_of({name: self._given(name) for name in NAMES})
        kinds = [*{*(KINDS[kind] for kind in options.sources), FLEXIBLE}]
        subscription_ids = options.subscriptions or [sign_in.require_subscription()]
        question = {
            "subscriptions": subscription_ids,
            "kinds": sorted(kinds),
            "tenant": sign_in.tenant,
            "client_id": sign_in.client_id,
            "user": sign_in.user,
            "source": sign_in.source,
            "cloud": sign_in.cloud_environment,
        }
        key = self.get_cache_key(path)
        keeps = self.get_option("cache")
        if keeps and cache:
            kept = plain(self._cache.get(key))
            if kept and kept.get("question") == question:
                answer: list[dict[str, Any]] = kept["servers"]
                return answer
        azure = Azure(sign_in, str(Path(C.DEFAULT_LOCAL_TMP) / "pgflex-tokens.json"))
        if "all" in subscription_ids:
            subscription_ids = subscriptions(azure)
        found = servers(azure, subscription_ids, sorted(kinds))
        if keeps:
            self._cache[key] = {"question": question, "servers": found}
        return found

    def _populate(self, fleet: Fleet) -> None:
        for name in ("paired", "unpaired"):
            self.inventory.add_group(name)
        defaults = dict(self.get_option("defaults") or {})
        if self.get_option("databases"):
            defaults = {"databases": self.get_option("databases"), **defaults}
        for member in fleet.members:
            self._add(member, laid_over(defaults, untrusted(member.pgflex)))
        taken = {member.host for member in fleet.members}
        for server, reason in fleet.unpaired:
            # A file may give a pair the name of a server that it does not mean.
            host = f"{server['name']}-in-{server['resource_group']}" if server["name"] in taken else server["name"]
            self.inventory.add_host(host, group="unpaired")
            self.inventory.set_variable(host, "pgflex_servers", untrusted({"source": server}))
            self.inventory.set_variable(host, "pgflex_unpaired", untrusted(reason))

    def _add(self, member: Member, settings: dict[str, Any]) -> None:
        host, strict = member.host, self.get_option("strict")
        self.inventory.add_host(host, group="paired")
        own = {"pgflex": template(MERGED), "pgflex_pair": settings} if self._alone else {"pgflex": settings}
        variables = {
            **own,
            "pgflex_servers": untrusted({side: _known(member, side) for side in ("source", "target")}),
            "pgflex_columns": untrusted(member.columns),
        }
        for name, value in variables.items():
            self.inventory.set_variable(host, name, value)
        for group in groups_of(member, self.get_option("group_by")):
            name = self.inventory.add_group(self._sanitize_group_name(group))
            self.inventory.add_child(name, host)
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        variables = self.inventory.get_host(host).get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)
