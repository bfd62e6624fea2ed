"""An MCP server whose tools run only with a run credential of Haltline that names them.

    JWKS_URL=http://127.0.0.1:8088/.well-known/jwks.json python server.py

The credential comes as `Authorization: Bearer …` with each HTTP request. Tools learn the tenant from it alone.
"""

import os
from collections.abc import Mapping
from typing import Any

from anyio import to_thread
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import CallToolResult, TextContent
from pydantic import AnyHttpUrl

from credentials import Credential, Refused, Verifier

NAME = "billing"  # harnesses call its tools mcp__billing__…; credentials may name them either way
ORDERS = {("acme", "A1"): "shipped", ("globex", "G1"): "paid"}


class RunCredentials:
    """What the SDK asks about each HTTP request: 401 for everything that is not a valid credential."""

    def __init__(self, verifier: Verifier):
        self._verifier = verifier

    async def verify_token(self, token: str) -> AccessToken | None:
        try:
            credential = await to_thread.run_sync(self._verifier.verify, token)
        except Refused:
            return None
        # Subject and client together own an MCP session: nobody goes on with the session of another run.
        return AccessToken(
            token=token,
            client_id=f"{credential.tenant}/{credential.agent or ''}",
            subject=credential.session,
            scopes=[],
            expires_at=credential.expires,
            claims={"iss": self._verifier.issuer, "credential": credential},
        )


def credential_of(request: Any) -> Credential:
    """The credential that came with this very request, not with the one that opened the MCP session."""
    user = request.scope.get("user") if request is not None else None
    if not isinstance(user, AuthenticatedUser):
        raise PermissionError("expected a request with a run credential")
    return user.access_token.claims["credential"]


async def only_named_tools(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Refuses calls of tools that the credential does not name."""
    if ctx.method == "tools/call":
        name = str((ctx.params or {}).get("name"))
        if not credential_of(ctx.request).allows(name, f"mcp__{NAME}__{name}"):
            text = f"refused: the run credential does not name the tool {name}"
            return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
    return await call_next(ctx)


def billing_server(env: Mapping[str, str]) -> MCPServer:
    issuer, url = env["ISSUER"], AnyHttpUrl(env["SERVER_URL"])
    verifier = Verifier(env["JWKS_URL"], issuer, audience=env["AUDIENCE"])
    server = MCPServer(
        NAME,
        token_verifier=RunCredentials(verifier),
        # The verifier checks issuer and audience; the addresses only tell clients where credentials come from.
        auth=AuthSettings(issuer_url=AnyHttpUrl(env["JWKS_URL"]), resource_server_url=url, validate_token_resource=False),
        middleware=[only_named_tools],
    )

    @server.tool()
    def lookup_order(order: str, ctx: Context) -> str:
        """Says how far an order is."""
        tenant = credential_of(ctx.request_context.request).tenant
        return ORDERS.get((tenant, order), "no such order")

    @server.tool()
    def issue_refund(order: str, ctx: Context) -> str:
        """Pays an order back."""
        tenant = credential_of(ctx.request_context.request).tenant
        return f"refunded {order}" if (tenant, order) in ORDERS else "no such order"

    return server


DEFAULTS = {
    "JWKS_URL": "http://127.0.0.1:8088/.well-known/jwks.json",
    "ISSUER": "haltline",
    "AUDIENCE": "billing-mcp",
    "HOST": "127.0.0.1",
    "PORT": "8090",
}

if __name__ == "__main__":
    env = DEFAULTS | {name: os.environ[name] for name in DEFAULTS if name in os.environ}
    env["SERVER_URL"] = f"http://{env['HOST']}:{env['PORT']}/mcp"
    billing_server(env).run("streamable-http", host=env["HOST"], port=int(env["PORT"]), stateless_http=True)
