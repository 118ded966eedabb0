# SPDX-License-Identifier: GPL-3.0-or-later
"""Real PostgreSQL clusters, one for each server of the lab."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import psycopg
import trustme
from psycopg import sql
from psycopg.rows import dict_row

from pgflex_lab.postgres_programs import ClusterUser, ProgramFailed, Programs
from pgflex_lab.settings import Settings

Kind = Literal["single", "flexible", "other"]
Issue = Callable[[Sequence[str]], tuple[bytes, bytes]]
"""Names and addresses -> (private key, certificate chain), both PEM."""

PORT = 5432
DOMAIN = "postgres.database.azure.com"
SUPERUSER = "azuresu"
ADMIN_GROUP = "azure_pg_admin"
SYSTEM_DATABASES = ("azure_maintenance", "azure_sys")
ADMIN_MEMBERSHIPS = ("pg_signal_backend", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables")
SOCKET_PATH_LIMIT = 107

# Lists whose elements PostgreSQL quotes one by one: given as one literal they would become one element.
QUOTED_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
)

CONFIGURATION = """
port = {port}
listen_addresses = '{hostaddr}'
unix_socket_directories = '{directory}'
unix_socket_permissions = 0700
ssl = on
ssl_cert_file = '{directory}/server.crt'
ssl_key_file = '{directory}/server.key'
password_encryption = 'scram-sha-256'
fsync = off
full_page_writes = off
wal_level = replica
max_wal_senders = 10
max_replication_slots = 10
max_worker_processes = 32
max_logical_replication_workers = 28
wal_retrieve_retry_interval = 1s
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
# Statements of the service hold passwords of subscriptions, and an error would print them.
log_min_error_statement = panic
"""

HBA = """
local all {superuser} trust
local all all reject
host all {superuser} all reject
{kind} all all all scram-sha-256
"""


class ClusterError(Exception):
    """A cluster could not be made, started or changed."""


class Cluster:
    """One server. The service's own superuser comes in through the socket, everybody else through TCP."""

    def __init__(
        self, name: str, kind: Kind, hostaddr: str, directory: Path, programs: Programs, admin_login: str
    ) -> None:
        self.name = name
        self.kind = kind
        self.hostaddr = hostaddr
        self.port = PORT
        self.directory = directory
        self.admin_login = admin_login
        self.fqdn = f"{name}.{DOMAIN}"
        self._programs = programs
        self._lock = threading.RLock()

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log_file(self) -> Path:
        return self.directory / "server.log"

    @property
    def pid(self) -> int | None:
        """The postmaster's, when it runs."""
        return _postmaster(self.data)

    @property
    def running(self) -> bool:
        return self.pid is not None

    def conninfo(self, dbname: str = "postgres") -> str:
        return psycopg.conninfo.make_conninfo(
            host=str(self.directory),
            port=self.port,
            user=SUPERUSER,
            dbname=dbname,
            application_name="pgflex-lab service",
        )

    def connect(self, dbname: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """As the service's superuser, committing every statement."""
        return psycopg.connect(self.conninfo(dbname), autocommit=True, connect_timeout=10)

    def start(self) -> None:
        with self._lock:
            if self.running:
                return
            # A crash leaves this file, and PostgreSQL only removes it by itself when its pid is not in use again.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            self._control("start")

    def stop(self) -> None:
        with self._lock:
            if self.running:
                self._control("stop", "-m", "fast")

    def restart(self) -> None:
        with self._lock:
            self.stop()
            self.start()

    def _control(self, verb: str, *options: str) -> None:
        try:
            self._programs.run("pg_ctl", verb, "-D", str(self.data), "-w", "-s", "-l", str(self.log_file), *options)
        except ProgramFailed as error:
            raise ClusterError(f"Server {self.name} did not {verb}: {error}; {self.log_tail()}") from error

    def log_tail(self, lines: int = 5) -> str:
        try:
            return " | ".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def settings(self) -> list[dict[str, Any]]:
        with psycopg.connect(self.conninfo(), row_factory=dict_row) as connection:
            return connection.execute(
                "SELECT name, setting, unit, vartype, min_val, max_val, enumvals, boot_val, context, pending_restart,"
                " short_desc FROM pg_settings ORDER BY name"
            ).fetchall()

    def parameter(self, name: str) -> str | None:
        """The value in force, or None for a name PostgreSQL does not know."""
        with self.connect() as connection:
            row = connection.execute("SELECT current_setting(%s, true)", (name,)).fetchone()
        return row[0] if row else None

    def set_parameter(self, name: str, value: str | None) -> None:
        """ALTER SYSTEM and reload; None goes back to the lab's own default. Some take a restart to act."""
        identifier = sql.Identifier(*name.split("."))
        if value is None:
            statement: sql.Composed = sql.SQL("ALTER SYSTEM RESET {}").format(identifier)
        else:
            parts = [part.strip() for part in value.split(",")] if name.lower() in QUOTED_LISTS else [value]
            values = sql.SQL(", ").join(sql.Literal(part) for part in parts)
            statement = sql.SQL("ALTER SYSTEM SET {} = {}").format(identifier, values)
        try:
            with self.connect() as connection:
                connection.execute(statement)
            self._reload()
        except psycopg.Error as error:
            raise ClusterError(f"{name}: {str(error).strip()}") from error

    def _reload(self) -> None:
        before = self._loaded_at(reload=True)
        deadline = time.monotonic() + 2
        while self._loaded_at() == before and time.monotonic() < deadline:
            time.sleep(0.02)

    def _loaded_at(self, *, reload: bool = False) -> Any:
        with self.connect() as connection:
            row = connection.execute("SELECT pg_conf_load_time()").fetchone()
            if reload:
                connection.execute("SELECT pg_reload_conf()")
        return row[0] if row else None

    def set_admin_password(self, password: str) -> None:
        with self.connect() as connection:
            for role in self.admin_roles:
                set_password(connection, role, password)

    @property
    def admin_roles(self) -> tuple[str, ...]:
        """Names the administrator signs in with. On a Single Server clients send `login@server`."""
        return (self.admin_login, f"{self.admin_login}@{self.name}") if self.kind == "single" else (self.admin_login,)

    def create_roles(self, password: str) -> None:
        """The administrator is no superuser, as on Azure."""
        admin = sql.Identifier(self.admin_login)
        with self.connect() as connection:
            for role in self.admin_roles:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB REPLICATION").format(sql.Identifier(role))
                )
                set_password(connection, role, password)
                if role != self.admin_login:
                    connection.execute(sql.SQL("GRANT {} TO {}").format(admin, sql.Identifier(role)))
                    connection.execute(
                        sql.SQL("ALTER ROLE {} SET role = {}").format(
                            sql.Identifier(role), sql.Literal(self.admin_login)
                        )
                    )
            connection.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(sql.Identifier(ADMIN_GROUP), admin))
            if self.kind == "flexible":
                # There the administrators own it, and may make schemas in it.
                connection.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(sql.Identifier(ADMIN_GROUP)))
            if self.kind == "other":
                for name in SYSTEM_DATABASES:
                    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))

    def databases(self) -> list[str]:
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname"
            ).fetchall()
        return [row[0] for row in rows]

    def create_database(self, name: str, *, charset: str = "", collation: str = "", owner: str | None = None) -> None:
        parts = [
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}").format(
                sql.Identifier(name), sql.Identifier(owner or self.admin_login)
            )
        ]
        if charset:
            parts.append(sql.SQL("ENCODING {}").format(sql.Literal(charset)))
        if collation:
            parts.append(sql.SQL("LC_COLLATE {0} LC_CTYPE {0}").format(sql.Literal(collation)))
        self._execute(sql.SQL(" ").join(parts))

    def drop_database(self, name: str) -> None:
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        try:
            # Not from "postgres": that one can be dropped and made again, too.
            with self.connect("template1") as connection:
                connection.execute(statement)
        except psycopg.Error as error:
            raise ClusterError(f"{self.name}: {str(error).strip()}") from error


class Clusters:
    """All clusters of one lab home. Whatever an earlier lab left there is ended and removed first."""

    def __init__(self, settings: Settings, issue: Issue | None = None) -> None:
        self._root = settings.clusters_dir
        self._programs = Programs(settings.pg_bin, ClusterUser.choose(settings.cluster_user))
        self.ca_file = settings.ca_file if issue else settings.home / "clusters-ca.pem"
        self._issue = issue
        self._lock = threading.RLock()
        self._clusters: dict[str, Cluster] = {}
        self._network = Network(settings)
        self._prepare_root(settings.home)
        remove_leftovers(settings)
        if self._issue is None:
            self._issue = _issuer_of_its_own(self.ca_file)

    @property
    def programs(self) -> Programs:
        return self._programs

    @property
    def major_version(self) -> int:
        return self._programs.major

    def _prepare_root(self, home: Path) -> None:
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._root.mkdir(mode=0o700, exist_ok=True)
        self._programs.user.own(self._root)

    def create(
        self, name: str, *, kind: Kind, admin_login: str, admin_password: str, host_names: Sequence[str] = ()
    ) -> Cluster:
        """`host_names`: what else clients call it; the certificate carries them too."""
        with self._lock:
            if name in self._clusters:
                raise ClusterError(f"There is a server {name} already.")
            cluster = self._copy_template(name, kind, admin_login, host_names)
            self._clusters[name] = cluster
        try:
            cluster.start()
            cluster.create_roles(admin_password)
        except (ClusterError, psycopg.Error):
            self.drop(name)
            raise
        return cluster

    def get(self, name: str) -> Cluster:
        with self._lock:
            found = self._clusters.get(name)
        if found is None:
            raise ClusterError(f"There is no server {name}.")
        return found

    def all(self) -> list[Cluster]:
        with self._lock:
            return list(self._clusters.values())

    def at(self, host: str) -> Cluster | None:
        """The cluster with this address or name, as a client of the network would find it."""
        wanted = host.lower().rstrip(".")
        return next(
            (item for item in self.all() if wanted in (item.hostaddr, item.fqdn.lower(), item.name.lower())), None
        )

    def drop(self, name: str) -> None:
        with self._lock:
            cluster = self._clusters.pop(name, None)
        if cluster is not None:
            _end(cluster.data)
            shutil.rmtree(cluster.directory, ignore_errors=True)
            self._network.release(cluster.hostaddr)

    def stop_all(self) -> None:
        """Ends and removes every cluster; nothing keeps running."""
        _end(*(cluster.data for cluster in self.all()))
        for cluster in self.all():
            self.drop(cluster.name)
        self._network.close()

    def _copy_template(self, name: str, kind: Kind, admin_login: str, host_names: Sequence[str]) -> Cluster:
        template = self._template()
        directory = _directory_for(self._root, name)
        directory.mkdir(mode=0o700)
        self._programs.user.own(directory)
        cluster = Cluster(name, kind, self._network.take(), directory, self._programs, admin_login)
        subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(cluster.data)], check=True)
        settings = CONFIGURATION.format(port=PORT, hostaddr=cluster.hostaddr, directory=directory)
        self._write(cluster.data / "postgresql.conf", settings)
        access = HBA.format(superuser=SUPERUSER, kind="host" if kind == "other" else "hostssl")
        self._write(cluster.data / "pg_hba.conf", access)
        assert self._issue is not None
        key, certificate = self._issue([cluster.fqdn, name, cluster.hostaddr, *host_names])
        self._write(directory / "server.key", key.decode())
        self._write(directory / "server.crt", certificate.decode())
        return cluster

    def _template(self) -> Path:
        final = self._root / ".template"
        if (final / "PG_VERSION").exists():
            return final
        draft = self._root / ".template.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._programs.run(
            "initdb", "-D", str(draft), "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--auth=reject", "--no-sync"
        )
        self._programs.run("postgres", "--single", "-F", "-D", str(draft), "postgres", feed=_template_statements())
        draft.rename(final)
        return final

    def _write(self, path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)
        self._programs.user.own(path)


class Network:
    """Loopback addresses 127.77.x.y. A listening socket on .1 keeps the x of this lab from others beside it."""

    def __init__(self, settings: Settings) -> None:
        self._taken: set[str] = set()
        self._guard: socket.socket | None = None
        self._prefix = settings.cluster_network
        if not self._prefix:
            self._prefix = self._reserve(zlib.crc32(f"{settings.home}{os.getpid()}".encode()))

    def _reserve(self, start: int) -> str:
        for step in range(256):
            prefix = f"127.77.{(start + step) % 256}"
            guard = _bind(f"{prefix}.1", 0)
            if guard is not None:
                self._guard = guard
                return prefix
        raise ClusterError("All of 127.77.0.0/16 is in use by other labs.")

    def take(self) -> str:
        for last in range(2, 255):
            address = f"{self._prefix}.{last}"
            if address in self._taken:
                continue
            probe = _bind(address, PORT)
            if probe is not None:
                probe.close()
                self._taken.add(address)
                return address
        raise ClusterError(f"All addresses of {self._prefix}.0/24 are in use.")

    def release(self, address: str) -> None:
        self._taken.discard(address)

    def close(self) -> None:
        if self._guard is not None:
            self._guard.close()


GUARD_PORT = 5431


def _bind(address: str, port: int) -> socket.socket | None:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if port:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((address, port or GUARD_PORT))
        found.listen(1)
    except OSError:
        found.close()
        return None
    return found


def remove_leftovers(settings: Settings) -> None:
    """Ends clusters that a killed lab of this home left running, and removes their directories and dumps."""
    shutil.rmtree(settings.home / "work", ignore_errors=True)
    if not settings.clusters_dir.exists():
        return
    found = [item for item in settings.clusters_dir.iterdir() if item.is_dir() and item.name != ".template"]
    _end(*(directory / "data" for directory in found))
    for directory in found:
        shutil.rmtree(directory, ignore_errors=True)


def set_password(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Sends a hash, so that no log can hold the password."""
    hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(hashed)))


def _postmaster(data: Path) -> int | None:
    """The pid in postmaster.pid, if that process is PostgreSQL on this very directory."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if is_server(pid, data) else None


def is_server(pid: int, data: Path) -> bool:
    try:
        return str(data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _end(*directories: Path) -> None:
    """Immediate shutdown of all of them: the directories are going to be removed."""
    running = {data: pid for data in directories if (pid := _postmaster(data)) is not None}
    for pid in running.values():
        os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + 10
    for data, pid in running.items():
        # The file of the pid goes before the process does.
        while is_server(pid, data):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


def _directory_for(root: Path, name: str) -> Path:
    """A socket's path has a limit, so a long name gets a short directory."""
    for directory in (root / name, root / hashlib.sha256(name.encode()).hexdigest()[:8]):
        if len(str(directory / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT:
            return directory
    raise ClusterError(f"PGFLEX_LAB_HOME {root.parent} is too long a path for a socket.")


def _template_statements() -> str:
    """For single-user mode, which takes one statement a line."""
    lines = [f"CREATE ROLE {ADMIN_GROUP} NOLOGIN"]
    lines += [f"GRANT {role} TO {ADMIN_GROUP}" for role in ADMIN_MEMBERSHIPS]
    lines += [f"CREATE DATABASE {name}" for name in SYSTEM_DATABASES]
    return "".join(f"{line};\n" for line in lines)


def _issuer_of_its_own(ca_file: Path) -> Issue:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    ca_file.chmod(0o644)

    def issue(names: Sequence[str]) -> tuple[bytes, bytes]:
        made = authority.issue_cert(*names)
        return made.private_key_pem.bytes(), b"".join(item.bytes() for item in made.cert_chain_pems)

    return issue
