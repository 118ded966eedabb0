# SPDX-License-Identifier: GPL-3.0-or-later
"""A CONNECT proxy that knows three hosts and refuses all others: clients run with their defaults, and nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from pgflex_lab.tls import PUBLIC_HOSTS

log = logging.getLogger(__name__)


class ConnectProxy:
    """Serves on loopback; every permitted host leads to the lab's own port."""

    def __init__(self, lab_port: int) -> None:
        self._lab_port = lab_port
        self._server: asyncio.Server | None = None
        self.port = 0
        self.refused: list[str] = []

    async def start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, _separator, rest = head.partition(" ")
            target = rest.split(" ", 1)[0]
            host = target.rpartition(":")[0].lower()
            if method != "CONNECT" or host not in PUBLIC_HOSTS:
                self.refused.append(target)
                log.warning("proxy refused %s %s", method, target)
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            else:
                await self._tunnel(reader, writer)
        writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lab_reader, lab_writer = await asyncio.open_connection("127.0.0.1", self._lab_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        await asyncio.gather(_pipe(reader, lab_writer), _pipe(lab_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
