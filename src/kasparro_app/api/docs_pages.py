"""/openapi.json and the pages that show it, from files of the installed `offapi`: no other host is asked."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from pydantic import Field
from starlette.responses import Response

from kasparro_app.api.answers import JSON, etag_of, not_modified
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.problems import not_found

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
"""No other origin, no inline script. Both pages write style attributes, and ReDoc searches in a worker that it makes
from a blob."""

_ICON = '<link rel="icon" href="data:,">'
_SWAGGER = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kasparro API</title>{_ICON}<link rel="stylesheet" href="docs/assets/swagger.css"></head>
<body><div id="swagger-ui"></div>
<script src="docs/assets/swagger.js"></script><script src="docs/assets/swagger-start.js"></script></body></html>
"""
_REDOC = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kasparro API</title>{_ICON}<style>body {{ margin: 0; }}</style></head>
<body><redoc spec-url="openapi.json" disable-telemetry="true"></redoc>
<script type="module" src="docs/assets/redoc.js"></script></body></html>
"""
_OWN: Final = {
    "swagger-start.js": "SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true });\n",
}
_FOREIGN_LOGO: Final = b"https://cdn.redoc.ly/redoc/logo-mini-full.svg"
"""ReDoc would ask its maker's host for it, which the policy refuses with an error in the browser's console."""
_FILES: Final = {"swagger.js": "swagger_bundle.js", "swagger.css": "swagger_style.css", "redoc.js": "redoc.js"}


class AssetPath(Parameters):
    """`/docs/assets/{name}`."""

    name: str = Field(description="A file of the pages.")


async def openapi(call: Call) -> Response:
    """The description of this API, made once for each process."""
    text: bytes = call.request.app.state.openapi
    return _kept(call, text, JSON)


async def docs(call: Call) -> Response:
    """Swagger UI."""
    return _kept(call, _SWAGGER.encode(), "text/html; charset=utf-8")


async def redoc(call: Call) -> Response:
    """ReDoc."""
    return _kept(call, _REDOC.encode(), "text/html; charset=utf-8")


async def asset(call: Call) -> Response:
    """A script or style sheet of the pages. Raises Problem: 404."""
    name = call.path.name
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    return _kept(call, _asset(name), f"{kind}; charset=utf-8")


@cache
def _asset(name: str) -> bytes:
    """A file, read where it lies: importing `offapi` would keep all of its pages in memory."""
    if name in _OWN:
        return _OWN[name].encode()
    if name in _FILES:
        file = Path(str(distribution("offapi").locate_file(f"offapi/{_FILES[name]}")))
        return file.read_bytes().replace(_FOREIGN_LOGO, b"data:,")
    raise not_found(f"The pages have no file {name}.")


_tag = cache(etag_of)


def _kept(call: Call, content: bytes, media: str) -> Response:
    etag = _tag(content)
    headers = {"ETag": etag, "Content-Security-Policy": POLICY}
    return not_modified(call, etag, headers=headers) or Response(content, 200, headers, media)


OPERATIONS: Final = (
    Operation(
        "GET",
        "/openapi.json",
        "This description",
        openapi,
        {200: Answer("OpenAPI 3.1")},
        "docs",
        open=True,
        documented=False,
    ),
    Operation("GET", "/docs", "Swagger UI", docs, {200: Answer("A page")}, "docs", open=True, documented=False),
    Operation("GET", "/redoc", "ReDoc", redoc, {200: Answer("A page")}, "docs", open=True, documented=False),
    Operation(
        "GET",
        "/docs/assets/{name}",
        "A file of the pages",
        asset,
        {200: Answer("A script or style sheet")},
        "docs",
        path_model=AssetPath,
        open=True,
        documented=False,
    ),
)
