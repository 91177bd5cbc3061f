"""The page and the documentation: plain files, nothing from elsewhere."""

from pathlib import Path

from serve.http.messages import Response

PAGE = Path(__file__).parents[1] / "page"
DOCS = Path(__file__).parents[1] / "docs"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


def find(path: str) -> Path | None:
    """The file for a path of the URL: /docs, /docs/… and /openapi.json from docs, all others from page."""
    if "\0" in path or "\\" in path:
        return None
    is_documentation = path == "/openapi.json" or path == "/docs" or path.startswith("/docs/")
    root, relative = (DOCS, path.removeprefix("/docs")) if is_documentation else (PAGE, path)
    file = (root / relative.lstrip("/")).resolve()
    file = file / "index.html" if file == root else file
    return file if file.is_relative_to(root) and file.suffix in TYPES and file.is_file() else None


def response(file: Path) -> Response:
    return Response(file.read_bytes(), TYPES[file.suffix], headers=SECURITY)
