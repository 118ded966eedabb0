# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set, from where, and the lab's clock."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

PREFIX = "PGFLEX_LAB_"
SEEDS = Path(__file__).resolve().parent.parent / "seeds"


def default_home() -> Path:
    return Path(f"/var/tmp/pgflex-lab-{os.getuid()}")


@dataclass(frozen=True)
class Settings:
    """Every field can be set as PGFLEX_LAB_<FIELD>. Times are Azure's seconds; `time_scale` compresses them."""

    home: Path = field(default_factory=default_home)
    port: int = 0
    """TLS port of ARM, Entra and Graph; 0 takes a free one."""
    proxy_port: int = 0
    seed: Path = SEEDS / "public_access.yml"
    time_scale: float = 60.0
    token_seconds: float = 3600.0
    """Life of access tokens in real seconds: clients compare it with their own clock."""
    principal_lag: float = 30.0
    """A new service principal is unknown to ARM for this long."""
    application_lag: float = 0.0
    """A new application or principal is missing from Graph's filtered lists for this long."""
    secret_lag: float = 10.0
    """A new client secret is refused at sign-in for this long."""
    role_lag: float = 0.0
    """A new role assignment has no effect for this long."""
    page_size: int = 500
    """Items in one page of an ARM list."""
    register_seconds: float = 60.0
    restart_seconds: float = 120.0
    create_seconds: float = 300.0
    update_seconds: float = 60.0
    configuration_seconds: float = 15.0
    rule_seconds: float = 15.0
    delete_seconds: float = 30.0
    association_seconds: float = 600.0
    """A deleted server's association holds its subnet for this long."""
    cluster_user: str = "postgres"
    """Who owns and runs the clusters when the lab runs as root."""
    pg_bin: str = ""
    """Directory of initdb and postgres; empty finds the newest of the distribution."""
    cluster_network: str = ""
    """First three octets for the clusters' loopback addresses; empty lets the engine choose a free 127.77.x."""
    fault_seed: int = 1

    @classmethod
    def from_env(cls, **overrides: object) -> Settings:
        values: dict[str, object] = {}
        for item in fields(cls):
            text = os.environ.get(PREFIX + item.name.upper(), "")
            if text:
                values[item.name] = _convert(str(item.type), text)
        values.update({name: value for name, value in overrides.items() if value is not None})
        return cls(**values)  # type: ignore[arg-type]

    @property
    def clusters_dir(self) -> Path:
        return self.home / "clusters"

    @property
    def ca_file(self) -> Path:
        return self.home / "ca.pem"


def seed_path(text: str) -> Path:
    """A file, or the name of one of the lab's own seeds."""
    path, own = Path(text).expanduser(), SEEDS / f"{text}.yml"
    return own if not path.exists() and own.exists() else path.absolute()


def _convert(kind: str, text: str) -> object:
    if kind == "Path":
        return seed_path(text)
    return {"int": int, "float": float}.get(kind, str)(text)


class Clock:
    """Real time, and Azure's durations made short."""

    def __init__(self, time_scale: float) -> None:
        self.time_scale = time_scale

    def scaled(self, azure_seconds: float) -> float:
        return azure_seconds / self.time_scale

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, azure_seconds: float) -> None:
        time.sleep(self.scaled(azure_seconds))


def timestamp(moment: datetime) -> str:
    """As the database service prints times: seven digits and Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
