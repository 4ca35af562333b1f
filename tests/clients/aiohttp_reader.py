# SPDX-License-Identifier: MIT
"""aiohttp's MultipartReader; each JPEG goes to stdout behind its length in four bytes."""

from __future__ import annotations

import asyncio
import sys

import aiohttp


async def main() -> None:
    forever = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=forever) as session, session.get(sys.argv[1]) as answer:
        async for part in aiohttp.MultipartReader.from_response(answer):
            assert isinstance(part, aiohttp.BodyPartReader)
            jpeg = await part.read()
            sys.stdout.buffer.write(len(jpeg).to_bytes(4, "little") + jpeg)
            sys.stdout.buffer.flush()


asyncio.run(main())
