# SPDX-License-Identifier: MIT
"""What a client wishes, from its query and its headers. Unknown query keys are ignored."""

from __future__ import annotations

import falcon

from server_proc.live.offer import PartForm
from server_proc.live.wishes import Wishes

_LEAST_FPS, _MOST_FPS = 0.1, 240.0
_KEY_CHARACTERS = 64
_DIGITS = 18
_AGENT_CHARACTERS = 120


def wishes_of(req: falcon.Request) -> Wishes:
    """Return what a client wishes of a stream.

    Raises:
        falcon.HTTPBadRequest: a known query key has a value that it cannot have.
    """
    return Wishes(
        address=req.context.address,
        user_agent=_printable(req.user_agent or "", _AGENT_CHARACTERS),
        key=key_of(req),
        form=_form(req),
        fps=_fps(req),
        placeholder=flag_of(req, "placeholder") is not False,
    )


def key_of(req: falcon.Request) -> str:
    """Return the key by which a client names itself, empty if it has none.

    Raises:
        falcon.HTTPBadRequest: it is too long.
    """
    text = _last(req, "key") or ""
    if len(text) > _KEY_CHARACTERS:
        raise _bad(f"key expects up to {_KEY_CHARACTERS} characters; got {len(text)}")
    return text


def flag_of(req: falcon.Request, name: str) -> bool | None:
    """Return whether a query key is 1 or 0, None if it is absent.

    Raises:
        falcon.HTTPBadRequest: it is neither.
    """
    text = _last(req, name)
    if text is None:
        return None
    if text not in ("0", "1"):
        raise _bad(f"{name} expects 0 or 1; got {text[:40]!r}")
    return text == "1"


def number_of(req: falcon.Request, name: str) -> int | None:
    """Return the whole number of a query key, None if it is absent.

    Raises:
        falcon.HTTPBadRequest: it is not a whole number, 0 or more.
    """
    text = _last(req, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise _bad(f"{name} expects a whole number, 0 or more; got {text[:40]!r}")
    return int(text)


def _form(req: falcon.Request) -> PartForm:
    if flag_of(req, "extra_headers"):
        return PartForm.FACTS
    asked = flag_of(req, "advance_headers")
    # Chromium's <img> shows a frame when it sees the head of the next; other clients need its length
    is_image_in_chromium = (req.get_header("Accept") or "").startswith("image/") and "Chrome/" in (
        req.user_agent or ""
    )
    advanced = is_image_in_chromium if asked is None else asked
    return PartForm.ADVANCED if advanced else PartForm.PLAIN


def _fps(req: falcon.Request) -> float | None:
    text = _last(req, "fps")
    if text is None:
        return None
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not _LEAST_FPS <= fps <= _MOST_FPS:
        raise _bad(f"fps expects frames a second from {_LEAST_FPS:g} to {_MOST_FPS:g}; got {text[:40]!r}")
    return fps


def _last(req: falcon.Request, name: str) -> str | None:
    """Return a query key's value, the last one if there are several."""
    value = req.params.get(name)
    return value[-1] if isinstance(value, list) else value


def _printable(text: str, most: int) -> str:
    """Return text that is safe in a log: a client must not be able to forge lines."""
    return "".join(character if " " <= character <= "~" else "?" for character in text[:most])


def _bad(sentence: str) -> falcon.HTTPBadRequest:
    return falcon.HTTPBadRequest(description=sentence)
