# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to PostgreSQL, and what it refuses, in one sentence."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._errors import ModuleFailure

if TYPE_CHECKING:
    import psycopg

APPLICATION_NAME = "pgflex.migrate"
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def server_connection_spec(*, required: bool = True) -> dict[str, Any]:
    """The option that says how to connect to one server; what it means is in the doc fragment `_connection`."""
    return {
        "type": "dict",
        "required": required,
        "options": {
            "host": {"type": "str", "required": True},
            "hostaddr": {"type": "str"},
            "port": {"type": "int", "default": 5432},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "no_log": True},
            "sslmode": {"type": "str", "choices": list(SSL_MODES), "default": "require"},
            "sslrootcert": {"type": "path"},
            "connect_timeout": {"type": "int", "default": 15},
        },
    }


@dataclass(frozen=True)
class Server:
    """How to reach one server; `option` is what the user calls it, for failures that name the option at fault."""

    option: str
    host: str
    user: str
    password: str | None = field(default=None, repr=False)
    hostaddr: str | None = None
    port: int = 5432
    sslmode: str = "require"
    sslrootcert: str | None = None
    connect_timeout: int = 15
    application_name: str = APPLICATION_NAME

    @classmethod
    def from_options(cls, option: str, values: Mapping[str, Any]) -> Server:
        known = ("host", "user", "password", "hostaddr", "port", "sslmode", "sslrootcert", "connect_timeout")
        return cls(option=option, **{name: values[name] for name in known if values.get(name) is not None})

    def __str__(self) -> str:
        return f"the {self.option} server {self.host}:{self.port}"

    def arguments(self, database: str) -> dict[str, Any]:
        """Keyword arguments of psycopg.connect: the only way that a password takes."""
        wanted = {
            "host": self.host,
            "hostaddr": self.hostaddr,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": database,
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            "connect_timeout": self.connect_timeout,
            "application_name": self.application_name,
            "client_encoding": "UTF8",
            # Firewalls on the way drop a connection that is silent during a long statement.
            "keepalives_idle": 10,
            "keepalives_interval": 10,
            "keepalives_count": 6,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def load_psycopg() -> ModuleType:
    try:
        import psycopg
    except ImportError as error:
        raise ModuleFailure(
            f"The Python package psycopg (version 3) is needed to connect to PostgreSQL, and is not there: {error}.",
            code="PackageMissing",
            hint="Install psycopg[binary] for the Python interpreter that runs the module.",
        ) from error
    return psycopg


def connect(server: Server, database: str, *, autocommit: bool = True) -> psycopg.Connection[Any]:
    driver = load_psycopg()
    try:
        # Automatic prepared statements do not survive a transaction-pooling PgBouncer, Azure's port 6432.
        connection: psycopg.Connection[Any] = driver.connect(
            **server.arguments(database), autocommit=autocommit, prepare_threshold=None
        )
    except driver.Error as error:
        raise connection_failure(server, database, str(error)) from error
    return connection


@dataclass(frozen=True)
class Fault:
    """A kind of refusal, known by its words: libpq gives no SQLSTATE for a connection that never came to be."""

    pattern: str
    code: str
    sentence: str
    hint: str


FAULTS = (
    Fault(
        r"failed to resolve|could not translate host name|name or service not known|nodename nor servname",
        "UnknownHost",
        "the host name {host} is not known here",
        "Check the option {option}.host, and that the control node asks a DNS server that knows it; "
        "{option}.hostaddr takes an address instead.",
    ),
    Fault(
        r"connection refused",
        "ConnectionRefused",
        "nothing listens on {host}:{port}, or a firewall refuses it",
        "Check the options {option}.host and {option}.port, that the server is started, and its firewall rules.",
    ),
    Fault(
        r"certificate verify failed|root certificate file|does not match host name|certificate.*(expired|not valid)",
        "CertificateRefused",
        "its certificate does not pass the check that sslmode {sslmode} asks for: {text}",
        "Name the file of the certification authority in {option}.sslrootcert and the host as the certificate does in "
        "{option}.host, or lower {option}.sslmode to require.",
    ),
    Fault(
        r"does not support ssl|ssl was required",
        "TlsRefused",
        "it does not offer TLS and sslmode is {sslmode}",
        "Turn TLS on at the server, or set {option}.sslmode to prefer if its network is trusted.",
    ),
    Fault(
        r"ssl connection is required|no encryption|ssl off",
        "TlsRequired",
        "it accepts this user only over TLS and sslmode is {sslmode}",
        "Set {option}.sslmode to require or better.",
    ),
    Fault(
        r"<?username@hostname>? format|invalid username specified",
        "AuthenticationFailed",
        "a Single Server does not know the user {user}",
        "Give {option}.user in the form name@server.",
    ),
    Fault(
        r"no password supplied",
        "PasswordMissing",
        "it asks the user {user} for a password and none was given",
        "Set the option {option}.password.",
    ),
    Fault(
        r"password authentication failed|authentication failed|role .* does not exist|sqlstate 28p01",
        "AuthenticationFailed",
        "the user {user} does not exist or the password is wrong",
        "Check the options {option}.user and {option}.password; on a Single Server the user is name@server, "
        "on a Flexible Server only name.",
    ),
    Fault(
        r"no pg_hba\.conf entry|pg_hba\.conf rejects",
        "NotAllowed",
        "it does not let this machine in as user {user} to the database {database}",
        "Add this machine's address to the server's firewall rules or pg_hba.conf.",
    ),
    Fault(
        r"database .* does not exist",
        "UnknownDatabase",
        "it has no database {database}",
        "Check the option databases; names are case-sensitive.",
    ),
    Fault(
        r"permission denied for database|not currently accepting connections",
        "NotAllowed",
        "the user {user} may not connect to the database {database}",
        "Grant CONNECT on the database to the user, or take another one in {option}.user.",
    ),
    Fault(
        r"too many (clients|connections)|remaining connection slots",
        "TooManyConnections",
        "all its connections are taken",
        "Lower the option jobs, or raise max_connections at the server.",
    ),
    Fault(
        r"timeout expired|timed out",
        "ConnectTimeout",
        "no answer within {connect_timeout} s",
        "Check the server's firewall rules and the route to it, or raise {option}.connect_timeout.",
    ),
    Fault(
        r"starting up|shutting down|in recovery mode",
        "NotReady",
        "it is starting up or shutting down",
        "Run again when it has started.",
    ),
)
OTHER_FAULT = Fault(
    "", "ConnectionFailed", "{text}", "Check the options of {option}, the server's state and its firewall rules."
)


def connection_failure(server: Server, database: str, text: str) -> ModuleFailure:
    lowered = text.lower()
    fault = next((fault for fault in FAULTS if re.search(fault.pattern, lowered)), OTHER_FAULT)
    words = {
        "option": server.option,
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "sslmode": server.sslmode,
        "connect_timeout": server.connect_timeout,
        "database": database,
        "text": one_line(text).rstrip("."),
    }
    return ModuleFailure(
        f"Failed to connect to {server}: {fault.sentence.format(**words)}.",
        code=fault.code,
        target=server.option,
        hint=fault.hint.format(**words),
    )


def one_line(text: str) -> str:
    """The first line of an error: the lines after it are context that can hold values of rows."""
    return " ".join(text.strip().partition("\n")[0].split())


SQL_HINTS = {
    "42501": "Sign in as the owner, or grant what is missing to the user of the option {option}.user.",
    "57014": "Raise the option timeout, or compare fewer tables at once.",
    "55P03": "Something holds a lock on the object; run again when it is released.",
    "53300": "Lower the option jobs, or raise max_connections at the server.",
}


@contextlib.contextmanager
def sql_errors(server: Server, what: str) -> Iterator[None]:
    """What PostgreSQL refuses inside becomes `Failed to <what> on the source server ...: <its words> (<its code>)`."""
    driver = load_psycopg()
    try:
        yield
    except driver.Error as error:
        raise sql_failure(server, what, error.sqlstate, str(error)) from error


def sql_failure(server: Server, what: str, sqlstate: str | None, text: str) -> ModuleFailure:
    hint = SQL_HINTS.get(sqlstate or "")
    suffix = f" ({sqlstate})" if sqlstate else ""
    return ModuleFailure(
        f"Failed to {what} on {server}: {one_line(text).rstrip('.')}{suffix}.",
        code=sqlstate or "ConnectionLost",
        target=server.option,
        hint=hint.format(option=server.option) if hint else None,
    )


def identifier(*names: str) -> str:
    """A quoted, qualified name for SQL text."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
