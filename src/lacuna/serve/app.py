"""The server of the page: static files, uploads, answers. It listens on this machine only and sends nothing anywhere."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from lacuna.api import Model
from lacuna.atomic import scratch_folder
from lacuna.errors import ConfigError, DataError, LacunaError
from lacuna.serve.reader import TURNS, ForgottenError, RecordingReader, TooLargeError, UploadLimits

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(model: Model, limits: UploadLimits | None = None, *, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """Return the application of the page.

    Args:
        model: a trained model that reads features of recordings.
        limits: bounds of what is accepted.
        hosts: names under which the page may be opened; ``*`` allows all. Other names are refused, so that no other web page
            can reach this one by a name of its own.

    Raises:
        ConfigError: the model cannot read recordings, or weights are missing.
    """
    reader = RecordingReader(model, limits)
    app = FastAPI(title="Lacuna", docs_url=None, redoc_url=None, openapi_url=None)  # its pages would load from elsewhere
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse requests that other web pages make, and add the headers that keep the page to itself."""
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and request.method != "GET":
            response: Response = JSONResponse({"error": "only the page itself may send recordings"}, 403)
        else:
            response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(LacunaError)
    async def refused(_: Request, error: LacunaError) -> JSONResponse:
        status = 413 if isinstance(error, TooLargeError) else 404 if isinstance(error, ForgottenError) else 422
        return JSONResponse({"error": str(error)}, status)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        return reader.about()

    @app.post("/api/recordings")
    async def read(
        request: Request, name: Annotated[str, Query(max_length=500)] = "", text: str = "", turns: str | None = None
    ) -> dict[str, Any]:
        """Read a recording, which is the body of the request; ``name`` says its format, and no path is made of it."""
        if len(text) > reader.limits.characters:
            raise TooLargeError(
                f"the transcript is too long\n  expected: at most {reader.limits.characters} characters\n  found: {len(text)}"
            )
        if turns is not None and turns not in TURNS:
            raise ConfigError(f"there is no way {turns!r} to cut a recording into turns; there are: {', '.join(TURNS)}")
        suffix = reader.suffix_of(name) if name else None
        with scratch_folder() as folder:
            path = folder / f"recording{suffix or ''}"
            size = await _store(request, path, reader.limits.megabytes)
            if size and suffix is None:
                raise DataError("the name of the recording is missing", hint="say name=clip.mp4")
            if not size and (name or not text.strip()):
                raise DataError("the recording is empty", found="0 bytes", hint="choose another file, or write a transcript")
            return await run_in_threadpool(reader.read, path if size else None, folder, text, turns)

    @app.get("/api/recordings/{key}")
    def answer(key: str, drop: Annotated[list[str] | None, Query()] = None) -> dict[str, Any]:
        return reader.answer(key, drop or [])

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


async def _store(request: Request, path: Path, megabytes: float) -> int:
    """Write the body of a request into a file and return its size in bytes; stop as soon as it is too large."""
    most = round(megabytes * 1e6)
    promised = request.headers.get("content-length", "0")
    size = int(promised) if promised.isdigit() else 0
    with path.open("wb") as handle:
        if size <= most:
            size = 0
            try:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > most:
                        break
                    handle.write(chunk)
            except ClientDisconnect:
                raise DataError("the upload was interrupted", found=f"{size} bytes", hint="send the recording again") from None
    if size > most:
        raise TooLargeError(
            f"the recording is too large\n  expected: at most {megabytes:g} MB\n  found: more\n"
            "  do: send a part of it, or start the page with a larger --max-mb"
        )
    return size


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    model: Model, *, host: str = "127.0.0.1", port: int = 8777, limits: UploadLimits | None = None, ready: Callable[[str], None]
) -> None:
    """Serve the page until the process is interrupted.

    Args:
        model: a trained model that reads features of recordings.
        host: the address to listen on. Anyone who reaches another one than 127.0.0.1 can send recordings.
        port: 0 = any that is free.
        limits: bounds of what is accepted.
        ready: called with the address of the page, as soon as it can be opened.

    Raises:
        ConfigError: the address cannot be used, or the model cannot read recordings.
    """
    app = create_app(model, limits, hosts=LOOPBACK if is_loopback(host) else ("*",))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}, port {port}: {error.strerror}\n  do: choose another --port") from None
    with listener, suppress(KeyboardInterrupt):
        ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/")
        config = uvicorn.Config(app, log_level="warning", access_log=False, limit_concurrency=32, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])
