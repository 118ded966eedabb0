# SPDX-License-Identifier: GPL-3.0-or-later
"""Flexible Servers as azure-cli makes them."""

from __future__ import annotations

from typing import Any

from azure_cli import Az

PASSWORD = "Lab-Passw0rd!by-az"
FLEXIBLE = ("postgres", "flexible-server")


def make_server(az: Az, name: str) -> Any:
    """Answers what the CLI prints of it."""
    return az.ok(
        *(*FLEXIBLE, "create", "-g", "shop-rg", "-n", name, "-l", "eastus", "--tier", "GeneralPurpose"),
        *("--sku-name", "Standard_D2ds_v5", "--storage-size", "128", "--version", "16", "--public-access", "0.0.0.0"),
        *("--admin-user", "pgadmin", "--admin-password", PASSWORD, "--yes"),
        has=("connectionString", "firewallName", "host", "id", "location", "skuname", "username", "version"),
    )


def address_of(az: Az, name: str) -> str:
    """Where its PostgreSQL listens on this machine."""
    servers = {item["name"]: item["hostaddr"] for item in az.lab.admin("GET", "state")["servers"]}
    return str(servers[name])
