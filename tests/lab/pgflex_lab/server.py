# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the lab in the foreground until a signal ends it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from pgflex_lab.app import App, Service
from pgflex_lab.process import describe, only_one, write_private
from pgflex_lab.proxy import ConnectProxy
from pgflex_lab.settings import Settings
from pgflex_lab.tls import Authority

log = logging.getLogger(__name__)

WORKERS = 32


class _Server(uvicorn.Server):
    """Signals are ours, because the clusters have to end as well."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


async def serve(settings: Settings) -> None:
    """Ready when lab.json is there; everything is gone when this returns."""
    authority = Authority(settings.home, settings.ca_file)
    # With its protocol named, asyncio turns Nagle's algorithm off, which would hold back each answer for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", settings.port))
    port = int(listener.getsockname()[1])
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(WORKERS, "handler"))
    service = await asyncio.to_thread(Service, settings, authority)
    proxy = ConnectProxy(port)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    config = uvicorn.Config(
        App(service),
        ssl_certfile=str(authority.server_file),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        timeout_keep_alive=65,
    )
    server = _Server(config)
    try:
        await proxy.start(settings.proxy_port)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.wait([running, asyncio.create_task(server.listening.wait())], return_when=asyncio.FIRST_COMPLETED)
        service.changed = lambda: announce(settings, service, port, proxy.port)
        service.changed()
        await asyncio.wait([running, asyncio.create_task(stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await running
    finally:
        await proxy.stop()
        await asyncio.to_thread(service.lab.close)
        _withdraw(settings)


def announce(settings: Settings, service: Service, port: int, proxy_port: int) -> None:
    """env.sh first: lab.json is what others wait for."""
    base = f"https://localhost:{port}"
    environment = {
        **service.lab.environment,
        "AZURE_CLOUD_ENVIRONMENT": base,
        "ANSIBLE_AZURE_CLOUD_ENVIRONMENT": base,
        "REQUESTS_CA_BUNDLE": str(settings.ca_file),
        "SSL_CERT_FILE": str(settings.ca_file),
        "PGFLEX_LAB_HOME": str(settings.home),
        "PGFLEX_LAB_URL": base,
        "PGFLEX_LAB_PROXY": f"http://127.0.0.1:{proxy_port}",
    }
    lines = "".join(f"export {name}='{value}'\n" for name, value in environment.items())
    write_private(settings.home / "env.sh", lines)
    write_private(settings.home / "workload-token", _workload_token(service))
    facts = {
        **describe(os.getpid()),
        "url": base,
        "port": port,
        "proxy_port": proxy_port,
        "ca": str(settings.ca_file),
        "time_scale": settings.time_scale,
        "seed": str(settings.seed),
        "servers": {
            item.name: {"hostaddr": item.hostaddr, "port": item.port, "fqdn": item.fqdn}
            for item in service.lab.clusters.all()
        },
    }
    draft = settings.home / "lab.json.new"
    write_private(draft, json.dumps(facts, indent=2) + "\n")
    draft.rename(settings.home / "lab.json")
    log.info("ready at %s, proxy on port %s", base, proxy_port)


def _workload_token(service: Service) -> str:
    directory = service.lab.directory
    for application in directory.applications.values():
        for credential in application.federated:
            return directory.issue_workload_token(credential["issuer"], credential["subject"])
    return ""


def _withdraw(settings: Settings) -> None:
    for name in ("lab.json", "lab.json.new", "env.sh", "server.pem", "workload-token"):
        (settings.home / name).unlink(missing_ok=True)


def run(settings: Settings, log_file: Path | None) -> None:
    logging.basicConfig(
        filename=log_file, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    with only_one(settings.home):
        asyncio.run(serve(settings))
