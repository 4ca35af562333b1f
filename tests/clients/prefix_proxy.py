# SPDX-License-Identifier: MIT
"""A reverse proxy that shows a server below a prefix, as nginx does by `location /cam/`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web


class PrefixProxy:
    """In a thread of its own. Use it as a context."""

    def __init__(self, prefix: str, port: int) -> None:
        self.port = 0
        self.outside: list[str] = []
        """Paths that were asked for and are not below the prefix."""
        self._prefix, self._to = prefix, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> PrefixProxy:
        self._thread.start()
        self._run(self._start)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, act: Callable[[], Awaitable[None]]) -> None:
        async def acted() -> None:
            await act()

        asyncio.run_coroutine_threadsafe(acted(), self._loop).result(10)

    async def _start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
        )
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        await self._session.close()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        below = request.rel_url.raw_path_qs.removeprefix(self._prefix)
        if below == request.rel_url.raw_path_qs:
            self.outside.append(below)
            return web.Response(status=404)
        url = f"http://127.0.0.1:{self._to}{below or '/'}"
        headers = {name: text for name, text in request.headers.items() if name not in ("Host", "Connection")}
        async with self._session.get(url, headers=headers, allow_redirects=False) as told:
            kept = {
                name: text
                for name, text in told.headers.items()
                if name in ("Content-Type", "Location", "Retry-After")
            }
            answer = web.StreamResponse(status=told.status, headers=kept)
            await answer.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                async for chunk in told.content.iter_any():
                    await answer.write(chunk)
            return answer
