# SPDX-License-Identifier: GPL-3.0-or-later
"""The two servers of a migration, as the service reaches them: by name, over TLS, with the given users."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo

from pgflex_lab.arm.ids import InvalidResourceId, ResourceId
from pgflex_lab.arm.store import Resource
from pgflex_lab.clusters import Cluster
from pgflex_lab.migrations.model import MigrationFailure, Order
from pgflex_lab.migrations.wire import SINGLE_SERVER
from pgflex_lab.reachability import Journey

if TYPE_CHECKING:
    from pgflex_lab.lab import Lab

FLEXIBLE_TYPE = "Microsoft.DBforPostgreSQL/flexibleServers"
LIBPQ_SSL = {"Prefer": "prefer", "Require": "require", "VerifyCA": "verify-ca", "VerifyFull": "verify-full"}
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Endpoint:
    side: str
    cluster: Cluster
    host: str
    user: str
    password: str = field(repr=False)
    ssl_mode: str
    ca_file: Path

    def parameters(self, dbname: str) -> dict[str, str]:
        return {
            "host": self.host,
            "hostaddr": self.cluster.hostaddr,
            "port": str(self.cluster.port),
            "user": self.user,
            "password": self.password,
            "dbname": dbname,
            "sslmode": self.ssl_mode,
            "sslrootcert": str(self.ca_file),
            "connect_timeout": "10",
            "application_name": "azure migration service",
        }

    def conninfo(self, dbname: str) -> str:
        return make_conninfo("", **self.parameters(dbname))

    def connect(self, dbname: str) -> Connection:
        """As the given user; the source may be read-only for everybody else by now."""
        return psycopg.connect(self.conninfo(dbname), options="-c default_transaction_read_only=off", autocommit=True)

    def service(self, dbname: str) -> Connection:
        """As the platform's superuser."""
        return self.cluster.connect(dbname)

    def environment(self) -> dict[str, str]:
        """For pg_dump and pg_restore, which take the database from their arguments."""
        names = {
            "host": "PGHOST",
            "hostaddr": "PGHOSTADDR",
            "port": "PGPORT",
            "user": "PGUSER",
            "password": "PGPASSWORD",
            "sslmode": "PGSSLMODE",
            "sslrootcert": "PGSSLROOTCERT",
            "connect_timeout": "PGCONNECT_TIMEOUT",
            "application_name": "PGAPPNAME",
        }
        values = self.parameters("")
        return {variable: values[name] for name, variable in names.items()}

    def service_environment(self) -> dict[str, str]:
        return {"PGHOST": str(self.cluster.directory), "PGPORT": str(self.cluster.port), "PGUSER": "azuresu"}

    def role(self) -> str:
        """The role the given user acts as: `admin@server` signs in, `admin` owns."""
        with self.service("postgres") as connection:
            row = connection.execute(
                "SELECT coalesce((SELECT substr(item, 6) FROM pg_roles, unnest(rolconfig) AS item"
                " WHERE rolname = %(user)s AND item LIKE 'role=%%'), %(user)s)",
                {"user": self.user},
            ).fetchone()
        return str(row[0]) if row else self.user


def source_resource(lab: Lab, order: Order) -> Resource | None:
    """The source's resource when it is named by an id, in the store or not."""
    found = source_id(order)
    return lab.store.get(found) if found else None


def source_id(order: Order) -> ResourceId | None:
    text = (order.source or "").strip()
    if "/providers/" not in text.lower():
        return None
    try:
        return ResourceId.parse(text)
    except InvalidResourceId:
        return None


def address(text: str) -> tuple[str, int, str] | None:
    """`host:port@user`; the user's name may hold an @ itself."""
    place, _at, user = text.partition("@")
    host, _colon, port = place.rpartition(":")
    return (host, int(port), user) if host and port.isdigit() and user else None


def journey(lab: Lab, order: Order, target: Resource, *, classic: bool) -> Journey:
    """What the order says about networks."""
    place = address(order.source or "")
    return Journey(
        source=source_resource(lab, order) or (place[:2] if place else ("", 0)),
        target=target,
        classic=classic,
        subnet=order.subnet if classic else None,
        runtime_server=None if classic else order.runtime_server,
        source_name=order.source_fqdn,
        target_name=order.target_fqdn,
    )


def resolve(lab: Lab, order: Order, target: Resource, *, classic: bool) -> tuple[Endpoint, Endpoint]:
    """Source and target, or the reason why the service cannot get to one of them."""
    resource = source_resource(lab, order)
    place = address(order.source or "")
    explained = lab.reachability.explain(journey(lab, order, target, classic=classic))
    if explained:
        raise MigrationFailure(f"603000: The source or target server cannot be reached. {explained}")
    source_cluster = _cluster_of(lab, resource) if resource else _at(lab, place)
    target_cluster = _cluster_of(lab, target)
    mode = LIBPQ_SSL[order.ssl_mode or ("VerifyFull" if order.source_type == SINGLE_SERVER else "Prefer")]
    source = Endpoint(
        side="source",
        cluster=source_cluster,
        # A name from a custom DNS server leads to the server; its certificate has its own names.
        host=source_cluster.fqdn if resource or not place else place[0],
        user=_source_user(source_cluster, order, place),
        password=order.source_password or "",
        ssl_mode=mode,
        ca_file=lab.clusters.ca_file,
    )
    return source, Endpoint(
        side="target",
        cluster=target_cluster,
        host=target_cluster.fqdn,
        user=order.target_user or target_cluster.admin_login,
        password=order.target_password or "",
        ssl_mode="verify-full",
        ca_file=lab.clusters.ca_file,
    )


def _cluster_of(lab: Lab, resource: Resource) -> Cluster:
    return lab.clusters.get(str(resource.internal["cluster"]))


def _at(lab: Lab, place: tuple[str, int, str] | None) -> Cluster:
    found = lab.reachability.find_host(place[0], place[1]) if place else None
    if place is None or found is None:
        where = f"{place[0]}:{place[1]}" if place else "the source"
        raise MigrationFailure(f"603000: The source server {where} cannot be reached: no server answers there.")
    return _cluster_of(lab, found)


def _source_user(cluster: Cluster, order: Order, place: tuple[str, int, str] | None) -> str:
    user = order.source_user or (place[2] if place else cluster.admin_roles[-1])
    bare, _at, server = user.rpartition("@")
    if cluster.kind == "single" and server == cluster.name:
        # The gateway strips the server's name for every role; the cluster knows the administrator by both names.
        with cluster.connect() as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone() is None:
                return bare
    return user


def try_connection(endpoint: Endpoint, dbname: str = "postgres") -> str | None:
    """None, or what keeps the user out, with the service's code."""
    try:
        endpoint.connect(dbname).close()
    except psycopg.OperationalError as error:
        text = str(error).strip().replace("\n", " ")
        return f"{_connection_code(text)} {endpoint.side} server {endpoint.cluster.name}: {text}"
    return None


def _connection_code(text: str) -> str:
    if "password authentication failed" in text or "no password supplied" in text:
        return "603100: The user name or the password is wrong on the"
    if "does not support SSL" in text:
        return "603001: TLS is not offered by the"
    if "does not exist" in text:
        return "603102: A database is missing on the"
    return "603000: No connection to the"
