"""What this server says of itself."""

from importlib.util import find_spec
from pathlib import Path

from starlette.responses import FileResponse, Response

from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import NotFound
from llm_backend.metrics import CONTENT_TYPE

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>llm-backend</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
START = """// What nobody may set is `false` in the document; drawn as a field of a form it would stop the page.
const settable = (update) => (document) => {
  for (const {properties} of Object.values(document.components.schemas))
    for (const name in properties) if (properties[name] === false) delete properties[name];
  return update(document);
};
SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", docExpansion: "none",
  defaultModelsExpandDepth: -1, validatorUrl: null, deepLinking: true,
  plugins: [() => ({statePlugins: {spec: {wrapActions: {updateJsonSpec: settable}}}})]});
"""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
ASSETS = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})


async def get_root(_call: Call) -> Response:
    """The process lives, in the word that some balancers wait for."""
    return Response("Running", 200, {"content-type": "text/plain; charset=utf-8"})


async def get_health(_call: Call) -> Response:
    """The process lives."""
    return json_reply({"status": "ok"})


async def get_readiness(call: Call) -> Response:
    """Requests may be sent here. Raises Draining or DatabaseUnavailable otherwise."""
    return json_reply(await call.services.readiness.report())


async def get_metrics(call: Call) -> Response:
    """The counters of this process."""
    return Response(call.services.metrics.text(), 200, {"content-type": CONTENT_TYPE})


async def get_openapi(call: Call) -> Response:
    """The document that is enforced, compressed as it is kept where the client takes that."""
    document = call.services.document
    if "gzip" in call.headers.get("accept-encoding", ""):
        headers = {"content-type": "application/json", "content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(document.compressed, 200, headers)
    return Response(document.plain(), 200, {"content-type": "application/json", "vary": "accept-encoding"})


async def get_docs(_call: Call) -> Response:
    """A page to read the document and try it."""
    headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": CONTENT_SECURITY_POLICY}
    return Response(PAGE, 200, headers)


async def get_docs_asset(_call: Call, asset: str) -> Response:
    """A script, style or picture of that page. Raises NotFound."""
    if asset == "start.js":
        return Response(START, 200, {"content-type": "text/javascript; charset=utf-8"})
    if asset not in ASSETS:
        raise NotFound("The page has no such part.", param="asset")
    file = _assets() / asset
    return FileResponse(file, media_type=MEDIA_TYPES[file.suffix])


def _assets() -> Path:
    """Where the package of the page keeps its files; found without importing it."""
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The package swagger-ui-py is not installed.")
    return Path(spec.submodule_search_locations[0]) / "static"
