# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's OpenAPI 3 description of itself, made from the tables that answer the calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pgflex_lab.arm.router import PROVIDERS, ResourceType
from pgflex_lab.resources.subscriptions import GROUPS, SUBSCRIPTIONS
from pgflex_lab.resources.tags import TYPE as TAGS

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

Json = dict[str, Any]

SUBSCRIPTION = "/subscriptions/{subscriptionId}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{{resourceGroupName}}"
ANY_API_VERSION = "2022-09-01"
ONE_OF_A_KIND = {TAGS: "default"}
"""Types that have one resource in each scope, by its name."""

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
LOOSE: Json = {"type": "object"}


def _object(*required: str, **properties: Json) -> Json:
    made: Json = {"type": "object", "properties": properties}
    return {**made, "required": list(required)} if required else made


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


RESOURCE = _object(
    location=TEXT,
    tags={"type": "object", "additionalProperties": TEXT},
    sku=_object(name=TEXT, tier=TEXT),
    properties=LOOSE,
)
SERVER = _object(
    version=TEXT,
    administratorLogin=TEXT,
    administratorLoginPassword=TEXT,
    createMode=TEXT,
    storage=_object(storageSizeGB=NUMBER, autoGrow=TEXT, tier=TEXT),
    storageProfile=_object(storageMB=NUMBER, backupRetentionDays=NUMBER, storageAutogrow=TEXT),
    sslEnforcement=TEXT,
    minimalTlsVersion=TEXT,
    publicNetworkAccess=TEXT,
    network=_object(publicNetworkAccess=TEXT, delegatedSubnetResourceId=TEXT, privateDnsZoneArmResourceId=TEXT),
    backup=_object(backupRetentionDays=NUMBER, geoRedundantBackup=TEXT),
    highAvailability=_object(mode=TEXT),
    maintenanceWindow=_object(customWindow=TEXT, dayOfWeek=NUMBER, startHour=NUMBER, startMinute=NUMBER),
    authConfig=_object(activeDirectoryAuth=TEXT, passwordAuth=TEXT),
    replica=_object(role=TEXT),
    availabilityZone=TEXT,
)
MIGRATION = _object(
    sourceDbServerResourceId=TEXT,
    sourceDBServerResourceId=TEXT,
    sourceDbServerFullyQualifiedDomainName=TEXT,
    targetDbServerFullyQualifiedDomainName=TEXT,
    migrationMode=TEXT,
    migrationOption=TEXT,
    sourceType=TEXT,
    sslMode=TEXT,
    migrationInstanceResourceId=TEXT,
    dbsToMigrate=_list(TEXT),
    overwriteDbsInTarget=TEXT,
    setupLogicalReplicationOnSourceDbIfNeeded=TEXT,
    startDataMigration=TEXT,
    migrateRoles=TEXT,
    triggerCutover=TEXT,
    dbsToTriggerCutoverOn=_list(TEXT),
    cancel=TEXT,
    dbsToCancelMigrationOn=_list(TEXT),
    migrationWindowStartTimeInUtc=TEXT,
    migrationWindowEndTimeInUtc=TEXT,
    secretParameters=_object(
        adminCredentials=_object(sourceServerPassword=TEXT, targetServerPassword=TEXT),
        sourceServerUsername=TEXT,
        targetServerUsername=TEXT,
        aadApp=_object(clientId=TEXT, tenantId=TEXT, aadSecret=TEXT),
    ),
)
REFERENCE = _object(id=TEXT)
SUBNET = _object(
    addressPrefix=TEXT,
    addressPrefixes=_list(TEXT),
    networkSecurityGroup=REFERENCE,
    delegations=_list(_object(name=TEXT, properties=_object(serviceName=TEXT))),
    serviceEndpoints=_list(_object(service=TEXT)),
    privateEndpointNetworkPolicies=TEXT,
    privateLinkServiceNetworkPolicies=TEXT,
)
PEERING = _object(
    remoteVirtualNetwork=REFERENCE,
    allowVirtualNetworkAccess=FLAG,
    allowForwardedTraffic=FLAG,
    allowGatewayTransit=FLAG,
    useRemoteGateways=FLAG,
)
SECURITY_RULE = _object(
    priority=NUMBER,
    protocol=TEXT,
    access=TEXT,
    direction=TEXT,
    sourceAddressPrefix=TEXT,
    sourceAddressPrefixes=_list(TEXT),
    destinationAddressPrefix=TEXT,
    sourcePortRange=TEXT,
    destinationPortRange=TEXT,
    destinationPortRanges=_list(TEXT),
)
CONNECTION = _object(
    name=TEXT,
    properties=_object(privateLinkServiceId=TEXT, groupIds=_list(TEXT), requestMessage=TEXT),
)
NETWORK: dict[str, Json] = {
    "virtualnetworks": _object(
        addressSpace=_object(addressPrefixes=_list(TEXT)),
        dhcpOptions=_object(dnsServers=_list(TEXT)),
        enableDdosProtection=FLAG,
        subnets=_list(_object(name=TEXT, properties=SUBNET)),
        virtualNetworkPeerings=_list(_object(name=TEXT, properties=PEERING)),
    ),
    "subnets": SUBNET,
    "virtualnetworkpeerings": PEERING,
    "networksecuritygroups": _object(securityRules=_list(_object(name=TEXT, properties=SECURITY_RULE))),
    "securityrules": SECURITY_RULE,
    "virtualnetworklinks": _object(virtualNetwork=REFERENCE, registrationEnabled=FLAG, resolutionPolicy=TEXT),
    "a": _object(ttl=NUMBER, metadata=LOOSE, aRecords=_list(_object(ipv4Address=TEXT))),
    "privateendpoints": _object(
        subnet=REFERENCE,
        privateLinkServiceConnections=_list(CONNECTION),
        manualPrivateLinkServiceConnections=_list(CONNECTION),
        ipConfigurations=_list(_object(name=TEXT, properties=_object(privateIPAddress=TEXT, groupId=TEXT))),
        customNetworkInterfaceName=TEXT,
    ),
    "privatednszonegroups": _object(
        privateDnsZoneConfigs=_list(_object(name=TEXT, properties=_object(privateDnsZoneId=TEXT)))
    ),
    "privateendpointconnections": _object(privateLinkServiceConnectionState=_object(status=TEXT, description=TEXT)),
}
PROPERTIES: dict[str, Json] = {
    **NETWORK,
    "servers": SERVER,
    "flexibleservers": SERVER,
    "migrations": MIGRATION,
    "configurations": _object(value=TEXT, source=TEXT),
    "databases": _object(charset=TEXT, collation=TEXT),
    "firewallrules": _object(startIpAddress=TEXT, endIpAddress=TEXT),
    "virtualnetworkrules": _object(virtualNetworkSubnetId=TEXT, ignoreMissingVnetServiceEndpoint=FLAG),
    "tags": _object(tags={"type": "object", "additionalProperties": TEXT}),
    "roleassignments": _object(
        roleDefinitionId=TEXT, principalId=TEXT, principalType=TEXT, description=TEXT, condition=TEXT
    ),
    "roledefinitions": _object(
        roleName=TEXT,
        description=TEXT,
        permissions=_list(_object(actions=_list(TEXT), notActions=_list(TEXT))),
        assignableScopes=_list(TEXT),
    ),
}
"""What the handlers of a type (its last part, in lower case) read from `properties`; a body may have more."""

ACTIONS: dict[str, Json] = {
    "checknameavailability": _object(name=TEXT, type=TEXT),
    "checkmigrationnameavailability": _object(name=TEXT, type=TEXT),
    "updateconfigurations": _object(value=_list(_object(name=TEXT, properties=_object(value=TEXT, source=TEXT)))),
    "restart": _object(restartWithFailover=FLAG, failoverMode=TEXT),
}
GRAPH_BODIES: dict[str, Json] = {
    "/applications": _object(
        "displayName",
        displayName=TEXT,
        signInAudience=TEXT,
        description=TEXT,
        notes=TEXT,
        tags=_list(TEXT),
        identifierUris=_list(TEXT),
        web=LOOSE,
    ),
    "/servicePrincipals": _object("appId", appId=TEXT, displayName=TEXT, notes=TEXT, tags=_list(TEXT)),
    "/addPassword": _object(passwordCredential=_object(displayName=TEXT, startDateTime=TEXT, endDateTime=TEXT)),
    "/removePassword": _object("keyId", keyId=TEXT),
}
SCHEMAS: Json = {
    "ArmError": _object("error", error=_object("code", "message", code=TEXT, message=TEXT)),
    "GraphError": _object(
        "error", error=_object("code", "message", "innerError", code=TEXT, message=TEXT, innerError=LOOSE)
    ),
    "OAuthError": _object("error", "error_description", error=TEXT, error_description=TEXT),
}


def describe(lab: Lab) -> Json:
    """The whole description. Paths of the lab's own API are left out: they are no part of Azure."""
    paths: dict[str, Json] = {}
    for row in lab.router.types():
        for path, method, operation in _arm(row):
            paths.setdefault(path, {})[method] = operation
    for method, path in lab.graph.routes():
        paths.setdefault(f"/v1.0{path}", {})[method.lower()] = _graph(method, path)
    for path, method, operation in _sign_in():
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "pgflex_lab",
            "version": "1.0.0",
            "description": "An Azure of one's own: Resource Manager, Microsoft Graph and Entra sign-in.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"entra": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


# Resource Manager


def _arm(row: ResourceType) -> Iterator[tuple[str, str, Json]]:
    """Path, method and operation of everything that the row answers."""
    for prefix, types in _places(row.name):
        collection, item = _paths(row.name, prefix, types)
        for verb in row.verbs:
            path, method = (collection, "get") if verb == "LIST" else (item, verb.lower())
            yield path, method, _arm_operation(row, path, method, _body(row, verb))
        for action in row.actions:
            body = ACTIONS.get(action.lower(), LOOSE)
            path = f"{item}/{action}"
            yield path, "post", _arm_operation(row, path, "post", body)


def _places(name: str) -> Iterator[tuple[str, list[str]]]:
    """Below which paths a type can be asked for, and the types that follow."""
    namespace, *types = name.split("/")
    if name == PROVIDERS:
        yield SUBSCRIPTION, []
    elif name == "Microsoft.Resources/providers":
        yield "", []
    elif (
        name == GROUPS or name.startswith(f"{SUBSCRIPTIONS}/") or name in (SUBSCRIPTIONS, "Microsoft.Resources/tenants")
    ):
        yield "", types
    elif namespace in ("Microsoft.Resources", "Microsoft.Authorization"):
        for scope in (SUBSCRIPTION, GROUP):
            yield f"{scope}/providers/{namespace}", types
    elif types[0].lower() == "operations":
        yield f"/providers/{namespace}", types
    elif types[0].lower() == "locations":
        yield f"{SUBSCRIPTION}/providers/{namespace}", types
    else:
        yield f"{GROUP}/providers/{namespace}", types


def _paths(name: str, prefix: str, types: Sequence[str]) -> tuple[str, str]:
    if not types:
        return f"{prefix}/providers", f"{prefix}/providers/{{resourceProviderNamespace}}"
    path = prefix
    for kind in types[:-1]:
        path += f"/{kind}/{{{_parameter(kind)}}}"
    collection = f"{path}/{types[-1]}"
    return collection, f"{collection}/{ONE_OF_A_KIND.get(name, f'{{{_parameter(types[-1])}}}')}"


def _parameter(kind: str) -> str:
    """How Azure's own descriptions call the name of a resource of this type."""
    special = {"subscriptions": "subscriptionId", "resourcegroups": "resourceGroupName", "locations": "locationName"}
    return special.get(kind.lower(), f"{kind.removesuffix('s')}Name")


def _body(row: ResourceType, verb: str) -> Json | None:
    if verb not in ("PUT", "PATCH"):
        return None
    short = row.name.rpartition("/")[2].lower()
    made: Json = {**RESOURCE, "properties": {**RESOURCE["properties"], "properties": PROPERTIES.get(short, LOOSE)}}
    if row.name == TAGS:
        made["properties"]["operation"] = TEXT
    return made


def _arm_operation(row: ResourceType, path: str, method: str, body: Json | None) -> Json:
    versions: Json = {**TEXT, "example": ANY_API_VERSION}
    if row.api_versions:
        versions = {**TEXT, "enum": list(row.api_versions), "example": row.api_versions[-1]}
    parameters = [*_in_path(path), {"name": "api-version", "in": "query", "required": True, "schema": versions}]
    if method == "get" and not path.endswith("}"):
        parameters += [{"name": name, "in": "query", "schema": TEXT} for name in ("$filter", "$skiptoken")]
    if method == "get" and path.endswith("/migrations"):
        parameters.append({"name": "migrationListFilter", "in": "query", "schema": TEXT})
    good = {"200": _answer("Done.", LOOSE)}
    if method == "head":
        good = {"204": {"description": "It is there."}, "404": {"description": "It is not there."}}
    elif method != "get":
        good |= {
            "201": _answer("Made.", LOOSE),
            "202": {"description": "Begun: follow Azure-AsyncOperation or Location."},
            "204": {"description": "Nothing to say."},
        }
    elif row.name.lower().endswith("/operationresults"):
        good |= {"202": {"description": "Not done yet."}, "204": {"description": "Nothing to say."}}
    return {
        "operationId": _operation_id(method, path),
        "tags": ["Resource Manager"],
        "parameters": parameters,
        "responses": good | {"default": _answer("Refused.", _ref("ArmError"))},
        "security": [{"entra": []}],
        **_request(body),
    }


def _in_path(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {**TEXT, "minLength": 1}}
        for name in re.findall(r"\{([^}]+)\}", path)
    ]


def _operation_id(method: str, path: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", path)
    return "_".join([method, *words])


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _request(schema: Json | None, media: str = "application/json", *, required: bool = False) -> Json:
    if schema is None:
        return {}
    return {"requestBody": {"required": required, "content": {media: {"schema": schema}}}}


# Graph and sign-in


def _graph(method: str, path: str) -> Json:
    listing = method == "GET" and "{" not in path
    options = ("$filter", "$top", "$select", "$count", "$skiptoken") if listing else ("$select",)
    shown = [{"name": name, "in": "query", "schema": TEXT} for name in options] if method == "GET" else []
    body = None
    if method in ("POST", "PATCH"):
        body = next((found for part, found in GRAPH_BODIES.items() if path.endswith(part)), None)
        body = body or next((found for part, found in GRAPH_BODIES.items() if path.startswith(part)), LOOSE)
        if method == "PATCH":
            body = {name: value for name, value in body.items() if name != "required"}
    return {
        "operationId": _operation_id(method.lower(), f"graph/{path}"),
        "tags": ["Graph"],
        "parameters": [*_in_path(path), *shown],
        "responses": {
            "200": _answer("Done.", LOOSE),
            "201": _answer("Made.", LOOSE),
            "204": {"description": "Done, nothing to say."},
            "default": _answer("Refused.", _ref("GraphError")),
        },
        "security": [{"entra": []}],
        **_request(body),
    }


def _sign_in() -> Iterator[tuple[str, str, Json]]:
    query: dict[str, tuple[str, ...]] = {
        "/metadata/endpoints": ("api-version",),
        "/metadata/identity/oauth2/token": ("api-version", "resource", "client_id"),
        "/common/discovery/instance": ("api-version", "authorization_endpoint"),
        "/{tenant}/.well-known/openid-configuration": (),
        "/{tenant}/v2.0/.well-known/openid-configuration": (),
        "/{tenant}/discovery/keys": (),
        "/{tenant}/discovery/v2.0/keys": (),
    }
    for path, names in query.items():
        parameters = [{"name": name, "in": "query", "schema": TEXT} for name in names]
        yield path, "get", _sign_in_operation("get", path, parameters, None)
    common = {"grant_type": TEXT, "client_id": TEXT, "client_secret": TEXT, "client_assertion": TEXT}
    forms = {"/{tenant}/oauth2/token": {"resource": TEXT}, "/{tenant}/oauth2/v2.0/token": {"scope": TEXT}}
    for path, more in forms.items():
        yield path, "post", _sign_in_operation("post", path, [], _object(**common, **more))


def _sign_in_operation(method: str, path: str, parameters: list[Json], form: Json | None) -> Json:
    return {
        "operationId": _operation_id(method, path),
        "tags": ["Sign-in"],
        "parameters": [*_in_path(path), *parameters],
        "responses": {
            "200": _answer("Done.", {}),
            "default": _answer("Refused.", _ref("OAuthError")),
        },
        "security": [],
        **_request(form, "application/x-www-form-urlencoded"),
    }
