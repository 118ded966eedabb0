# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dictionary `pgflex` of a host: what is wrong with it, and what follows from it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from typing import Any
from urllib.parse import quote

from .._errors import ModuleFailure
from .._fleet.checks import instant
from .._ids import parse
from .._preflight.rules import REMEDIES
from .states import MAX_DATABASES, NAME

SINGLE = "PostgreSQLSingleServer"
FLEXIBLE = "PostgreSQLFlexibleServer"

# The same defaults are documented in the role settings; a unit test keeps the two equal.
DEFAULTS: dict[str, Any] = {
    "engine": "service",
    "generation": "current",
    "mode": "offline",
    "option": "ValidateAndMigrate",
    "allow_source_restart": False,
    "attempts": 1,
    "target_parameters": {},
    "source": {"type": SINGLE, "port": 5432, "sslmode": "require", "name_resolves": False},
    "target": {"port": 5432, "sslmode": "require"},
    "app": {"name": "pgflex-migrate", "delete": True},
    "watch": {"min_interval": 5, "max_interval": 60, "timeout": 86400},
    "cutover": {
        "trigger": "manual",
        "source_read_only": True,
        "writers_stopped": False,
        "max_latency": 30,
        "sample_seconds": 2,
        "settle_timeout": 120,
        "keep_reverse_replication": False,
    },
    "direct": {
        "jobs": 4,
        "include_schemas": [],
        "exclude_schemas": [],
        "include_tables": [],
        "exclude_tables": [],
        "skip_extensions": [],
        "source_from_target": {},
        "target_from_source": {},
    },
    "preflight": {"enabled": True, "strict": False, "remedies": [], "slots": [], "restart_target": False},
    "validation": {"enabled": True, "jobs": 4, "max_examples": 5},
    "copy": {"parameters": False, "firewall_rules": False, "tags": False, "roles": False, "exact": False},
    "fleet": {"priority": 0, "after": []},
    "network": {
        "apply": True,
        "remove": False,
        "dns_forwarding": False,
        "routed": False,
        "subnet_name": "pgflex-migration",
    },
    "runtime_server": {
        "sku_name": "Standard_D4ds_v5",
        "sku_tier": "GeneralPurpose",
        "storage_gb": 32,
        "delete": True,
    },
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# What the user says of a source that is not Azure's.
SAID = ("access", "route", "virtual_network_id", "name_resolves")
CONNECTION = ("host", "hostaddr", "port", "user", "password", "sslmode", "sslrootcert")


def with_defaults(given: dict[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`given` with the defaults where nothing, or null, is given; mappings one level down as well."""
    merged = {name: value for name, value in given.items() if value is not None}
    for name, default in (DEFAULTS if defaults is None else defaults).items():
        if isinstance(default, dict):
            merged[name] = with_defaults(merged.get(name) or {}, default)
        else:
            merged.setdefault(name, default)
    return merged


def problems(given: Any, *, whole: bool = False, passwords: bool = True) -> list[str]:
    """Everything that is wrong with the settings of a host, each a sentence that names the setting.

    With `whole` they are those of a fleet's host, whose databases may become several migrations. Without `passwords`
    nobody signs in to the servers, unless a direct copy has to be asked for.
    """
    if not isinstance(given, dict):
        return ["pgflex has to be a mapping; see the role pgflex.migrate.settings."]
    mappings = [name for name, default in DEFAULTS.items() if isinstance(default, dict)]
    shapeless = [name for name in (*mappings, "window") if _no_mapping(given, name)]
    if shapeless:
        return [f"pgflex.{name} has to be a mapping." for name in shapeless]
    settings = with_defaults(given)
    source, target = settings["source"], settings["target"]
    found = [f"pgflex.{name} is missing." for name in _missing(settings, passwords=passwords)]
    found += _database_problems(settings.get("databases"), limited=settings["engine"] == "service" and not whole)
    name = settings.get("migration_name")
    if name and not NAME.fullmatch(str(name)):
        found.append(
            f"pgflex.migration_name {name!r} is no name for a migration: only letters, digits and hyphens, "
            "not starting with a hyphen."
        )
    # A fleet keeps to windows itself, where the engine or the generation has no place for them.
    served = {**settings, "window": None} if whole else settings
    found += _engine_problems(served)
    found += _classic_problems(served) if settings["generation"] == "classic" else _current_problems(settings)
    found += _source_problems(source)
    found += _network_problems(settings)
    found += _preflight_problems(settings["preflight"])
    found += _create_problems(target.get("create"), source["type"])
    found += _copy_problems(settings["copy"], source["type"])
    found += _cutover_problems(settings["cutover"])
    return found + _window_problems(settings.get("window") or {})


def _window_problems(window: dict[str, Any]) -> list[str]:
    found = [
        f"pgflex.window.{key} {window[key]!r} is no time such as 2026-11-21T02:00:00Z."
        for key in ("start", "end")
        if window.get(key) and not instant(window[key])
    ]
    if window.get("end") and not window.get("start"):
        found.append("pgflex.window.end is given without pgflex.window.start.")
    moments = _moments(window)
    if not found and "end" in moments and moments["end"] <= moments["start"]:
        found.append("pgflex.window.end is not after pgflex.window.start.")
    return found


def _moments(window: dict[str, Any]) -> dict[str, str]:
    """The ends of a window as Azure takes them; a spreadsheet and YAML write times in forms of their own."""
    moments = {key: instant(window[key]) for key in ("start", "end") if window.get(key)}
    return {key: f"{moment:%Y-%m-%dT%H:%M:%SZ}" for key, moment in moments.items() if moment}


def _cutover_problems(cutover: dict[str, Any]) -> list[str]:
    window = cutover.get("window") or {}
    if not isinstance(window, dict):
        return ["pgflex.cutover.window has to be a mapping of start and end."]
    if cutover["trigger"] != "window":
        return ["pgflex.cutover.window is given, and pgflex.cutover.trigger is not window."] if window else []
    wrong = [name for name in ("start", "end") if not _is_moment(window.get(name))]
    if wrong:
        which = " and ".join(f"pgflex.cutover.window.{name}" for name in wrong)
        be = "have to be times" if len(wrong) > 1 else "has to be a time"
        return [f"{which} {be} in UTC such as 2026-11-21T02:00:00Z: pgflex.cutover.trigger is window."]
    if window["end"] <= window["start"]:
        return ["pgflex.cutover.window ends before it starts."]
    return []


def _is_moment(text: Any) -> bool:
    """In the one form that can be compared as text, and a time that there is."""
    return bool(MOMENT.fullmatch(str(text or ""))) and instant(text) is not None


def _no_mapping(given: dict[str, Any], name: str) -> bool:
    return given.get(name) is not None and not isinstance(given[name], dict)


def _missing(settings: dict[str, Any], *, passwords: bool) -> list[str]:
    source, target = settings["source"], settings["target"]
    who = ["user", "password"]
    signs_in = passwords or settings["engine"] != "service"
    names = ["resource_group", "name"] if source["type"] in (SINGLE, FLEXIBLE) else ["host"]
    missing = [f"source.{key}" for key in names + who * signs_in if not source.get(key)]
    # The administrator of a target that is not there yet is a part of what it is to be.
    signs_in = signs_in or target.get("create") is not None
    return missing + [f"target.{key}" for key in ["resource_group", "name"] + who * signs_in if not target.get(key)]


def _database_problems(names: Any, *, limited: bool) -> list[str]:
    if not names:
        return ["pgflex.databases is empty: name at least one database."]
    if not isinstance(names, list):
        return ["pgflex.databases has to be a list of names."]
    no_text = [name for name in names if not isinstance(name, str)]
    found = [f"pgflex.databases names {name}, which is no text: put it in quotes." for name in no_text]
    names = [str(name) for name in names]
    if len(names) > MAX_DATABASES and limited:
        found.append(
            f"pgflex.databases names {len(names)} databases; the service takes up to {MAX_DATABASES} in one migration. "
            "Run pgflex.migrate.fleet, which makes several of it, or take pgflex.engine direct."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        found.append(f"pgflex.databases names {', '.join(twice)} more than once.")
    system = sorted({"template0", "template1", "azure_maintenance", "azure_sys"} & set(names))
    if system:
        found.append(f"pgflex.databases names {', '.join(system)}, which the service never migrates.")
    return found


def _engine_problems(settings: dict[str, Any]) -> list[str]:
    if settings["engine"] == "service":
        kept = settings["cutover"]["keep_reverse_replication"]
        told = "pgflex.cutover.keep_reverse_replication needs pgflex.engine direct: the service keeps no way back."
        return [told] if kept else []
    found = []
    services = {
        "generation": settings["generation"] == "classic",
        "option": settings["option"] == "Validate",
        "runtime_server_id": settings.get("runtime_server_id"),
        "runtime_server.name": settings["runtime_server"].get("name"),
        "window": settings.get("window"),
        "migrate_roles": settings.get("migrate_roles"),
        "target_parameters": settings["target_parameters"],
    }
    given = [f"pgflex.{name}" for name, value in services.items() if value]
    if given:
        found.append(
            f"{', '.join(given)} {'mean' if len(given) > 1 else 'means'} the service: needs pgflex.engine service."
        )
    if settings["cutover"]["keep_reverse_replication"] and settings["mode"] != "online":
        found.append("pgflex.cutover.keep_reverse_replication needs pgflex.mode online.")
    return found


def _classic_problems(settings: dict[str, Any]) -> list[str]:
    found = []
    foreign = {
        "migrate_roles": settings.get("migrate_roles"),
        "runtime_server_id": settings.get("runtime_server_id"),
        "runtime_server.name": settings["runtime_server"].get("name"),
        "window.end": (settings.get("window") or {}).get("end"),
    }
    found += _other_generation(foreign, "current")
    if settings["source"]["type"] != SINGLE:
        found.append(f"pgflex.generation classic migrates Single Servers only, not {settings['source']['type']}.")
    if settings["option"] == "Validate":
        found.append("pgflex.option Validate needs pgflex.generation current: classic can not validate only.")
    app = settings["app"]
    own = [key for key in ("client_id", "tenant_id", "client_secret") if app.get(key)]
    if own and len(own) < 3:
        found.append("pgflex.app needs client_id, tenant_id and client_secret together, or none of them.")
    subnet, network = settings.get("migration_subnet_id"), settings.get("migration_vnet_id")
    if subnet and network and not str(subnet).lower().startswith(f"{network}/subnets/".lower()):
        found.append("pgflex.migration_subnet_id is not in pgflex.migration_vnet_id: give one of the two.")
    return found


def _current_problems(settings: dict[str, Any]) -> list[str]:
    return _other_generation(
        {name: settings.get(name) for name in ("migration_subnet_id", "migration_vnet_id")}, "classic"
    )


def _other_generation(foreign: Mapping[str, Any], generation: str) -> list[str]:
    given = [f"pgflex.{name}" for name, value in foreign.items() if value]
    if not given:
        return []
    return [f"{', '.join(given)} {'need' if len(given) > 1 else 'needs'} pgflex.generation {generation}."]


def _source_problems(source: dict[str, Any]) -> list[str]:
    given = [f"pgflex.source.{name}" for name in SAID if source.get(name)]
    if source["type"] in (SINGLE, FLEXIBLE):
        told = f"{', '.join(given)} can only be said of a source outside Azure: a server of Azure tells it itself."
        return [told] if given else []
    if source.get("access") != "private":
        private = [name for name in given if name != "pgflex.source.access"]
        return [f"{', '.join(private)} can only be said of a source whose access is private."] if private else []
    if not source.get("route"):
        return [
            "pgflex.source.route is missing: say what leads to the private source, vpn, expressroute, peering or none."
        ]
    if source["route"] == "peering" and not source.get("virtual_network_id"):
        return ["pgflex.source.virtual_network_id is missing: pgflex.source.route is peering."]
    return []


def _network_problems(settings: dict[str, Any]) -> list[str]:
    source, target, made = settings["source"], settings["target"], settings["runtime_server"]
    ids = {
        "source.virtual_network_id": ("virtualNetworks", source.get("virtual_network_id")),
        "migration_subnet_id": ("virtualNetworks/subnets", settings.get("migration_subnet_id")),
        "migration_vnet_id": ("virtualNetworks", settings.get("migration_vnet_id")),
        "runtime_server_id": ("flexibleServers", settings.get("runtime_server_id")),
        "runtime_server.virtual_network_id": ("virtualNetworks", made.get("virtual_network_id")),
        "runtime_server.subnet_id": ("virtualNetworks/subnets", made.get("subnet_id")),
        "runtime_server.private_dns_zone_id": ("privateDnsZones", made.get("private_dns_zone_id")),
    }
    found = [
        f"pgflex.{name} {given!r} is not the id of a resource of type {kind}."
        for name, (kind, given) in ids.items()
        if given and not _is_id(str(given), kind)
    ]
    if made.get("name") and settings.get("runtime_server_id"):
        found.append("pgflex.runtime_server.name and pgflex.runtime_server_id exclude each other: make one or use one.")
    runtime = next((name for name in ("runtime_server_id", "runtime_server.name") if _at(settings, name)), None)
    fqdn = [f"pgflex.{side}.fqdn" for side in ("source", "target") if settings[side].get("fqdn")]
    if fqdn and runtime:
        found.append(f"{' and '.join(fqdn)} can not be given together with pgflex.{runtime}.")
    address = target.get("public_address")
    if address and not _is_address(str(address)):
        found.append(f"pgflex.target.public_address {address!r} is no IPv4 address.")
    return found


def _preflight_problems(preflight: dict[str, Any]) -> list[str]:
    lists = [name for name in ("remedies", "slots") if not isinstance(preflight[name], list)]
    if lists:
        return [f"pgflex.preflight.{name} has to be a list of names." for name in lists]
    found = [
        f"pgflex.preflight.remedies names {name}, which is none: there are {', '.join(REMEDIES)}."
        for name in preflight["remedies"]
        if name not in REMEDIES
    ]
    if "drop_slots" in preflight["remedies"] and not preflight["slots"]:
        found.append("pgflex.preflight.slots is empty: the remedy drop_slots drops the slots that it names.")
    return found


def _create_problems(create: Any, source_type: str) -> list[str]:
    if create is None:
        return []
    if not isinstance(create, dict):
        return ["pgflex.target.create has to be a mapping; an empty one, {}, takes all from the source."]
    found = []
    subnet, zone = create.get("delegated_subnet_id"), create.get("private_dns_zone_id")
    if bool(subnet) != bool(zone):
        found.append("pgflex.target.create needs delegated_subnet_id and private_dns_zone_id together, or neither.")
    for name, given, kind in (
        ("delegated_subnet_id", subnet, "virtualNetworks/subnets"),
        ("private_dns_zone_id", zone, "privateDnsZones"),
    ):
        if given and not _is_id(str(given), kind):
            found.append(f"pgflex.target.create.{name} {given!r} is not the id of a resource of type {kind}.")
    missing = [name for name in ("location", "sku_name", "version") if not create.get(name)]
    if missing and source_type not in (SINGLE, FLEXIBLE):
        found.append(
            f"pgflex.target.create lacks {', '.join(missing)}: a source outside Azure does not say how large it is."
        )
    return found


def _copy_problems(copy: dict[str, Any], source_type: str) -> list[str]:
    found = []
    if not isinstance(copy.get("passwords", {}), dict):
        found.append("pgflex.copy.passwords has to be a mapping of roles to passwords.")
    if copy.get("passwords") and not copy["roles"]:
        found.append("pgflex.copy.passwords is given without pgflex.copy.roles.")
    azure = [f"pgflex.copy.{name}" for name in ("firewall_rules", "tags") if copy[name]]
    if azure and source_type not in (SINGLE, FLEXIBLE):
        found.append(f"{' and '.join(azure)} can only be asked of a source in Azure.")
    return found


def _at(settings: dict[str, Any], name: str) -> Any:
    outer, _dot, inner = name.partition(".")
    found = settings.get(outer)
    return found.get(inner) if inner and found else found


def _is_id(text: str, kind: str) -> bool:
    try:
        return "/".join(parse(text, "").types).lower() == kind.lower()
    except ModuleFailure:
        return False


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def migration_name(settings: dict[str, Any], host: str) -> str:
    """A name that follows from what is migrated, so that every run of the same inventory means the same migration."""
    if settings.get("migration_name"):
        return str(settings["migration_name"])
    source, target = settings["source"], settings["target"]
    what = [
        settings["generation"] if settings["engine"] == "service" else settings["engine"],
        settings["mode"],
        settings["option"],
        *(str(source.get(key) or "") for key in ("resource_group", "name", "host")),
        *(str(target.get(key) or "") for key in ("resource_group", "name")),
        *sorted(settings["databases"]),
    ]
    digest = hashlib.sha256("\n".join(what).lower().encode()).hexdigest()[:8]
    word = re.sub(r"[^A-Za-z0-9]+", "-", host).strip("-")[:40] or "migration"
    return f"{word}-{digest}"


def app_scopes(settings: dict[str, Any]) -> list[str]:
    """Where the classic service's application has to be Contributor."""
    target = settings["target"].get("id", "")
    group = settings.get("migration_resource_group_id") or target.split("/providers/", 1)[0]
    subnet = settings.get("migration_subnet_id")
    network = [subnet.split("/subnets/", maxsplit=1)[0]] if subnet else []
    return [settings["source"].get("id", ""), target, group, *network]


def derive(
    given: dict[str, Any],
    host: str,
    source_server: dict[str, Any] | None = None,
    target_server: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The settings with defaults and all that follows from them and from what the two servers are.

    Adds `migration_name`, `validated_tag`, `app_scopes`, `watched` (the migration as the module watch takes it), and
    for both sides `id` (of the source, what the service calls it), `tags`, `version`, `location` and `connection`.
    Raises nothing: call `problems` first.
    """
    settings = with_defaults(given)
    source, target = settings["source"], settings["target"]
    for side, server in ((source, source_server), (target, target_server)):
        if server:
            side["id"], side["tags"], side["version"] = server["id"], server.get("tags") or {}, server.get("version")
            # What one server's subscription is says nothing of the other's: later tasks ask where it was found.
            side["subscription_id"], side["location"] = server["subscription_id"], server.get("location")
            side.setdefault("host", server["fully_qualified_domain_name"])
        side.setdefault("user", "")
        side["connection"] = {key: side[key] for key in CONNECTION if side.get(key) is not None}
    if source["type"] not in (SINGLE, FLEXIBLE):
        source["id"] = f"{source['host']}:{source['port']}@{source['user']}"
    settings["migration_name"] = migration_name(settings, host)
    settings["app_scopes"] = app_scopes(settings)
    settings["online"] = settings["mode"] == "online"
    settings["window"] = _moments(settings.get("window") or {})
    settings["validated_tag"] = f"pgflex-validated-{settings['migration_name']}"
    settings["watched"] = {
        "label": host,
        "name": settings["migration_name"],
        "resource_group": target.get("resource_group"),
        "server_name": target.get("name"),
        "subscription_id": target.get("subscription_id") or settings.get("subscription_id"),
        "generation": settings["generation"],
        "api_version": settings.get("api_version"),
    }
    return settings


def connection_strings(settings: dict[str, Any]) -> dict[str, str]:
    """libpq URIs of the migrated databases, without a password: on a Flexible Server the user is plain."""
    side = settings["target"]["connection"]
    user = quote(side["user"].split("@", 1)[0], safe="")
    where = f"{side['host']}:{side['port']}"
    who = f"{user}@" if user else ""
    return {name: f"postgresql://{who}{where}/{quote(name, safe='')}?sslmode=require" for name in settings["databases"]}
