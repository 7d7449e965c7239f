// An authorization server: `oidc-provider` with its own pages, on this machine.
//
//     node provider.mjs PORT SECONDS BACK RESOURCE...
//
// Tokens for the resources are JWTs that live so long; whoever logs in is who he says he is. It knows two clients: browsers of
// `pages` come back to BACK, and `gateway` exchanges tokens for the first resource against such for the others (RFC 8693). Others
// register. It says `listening` when it does.

// What oidc-provider itself reads tokens with.
import { createLocalJWKSet, jwtVerify } from "jose";
import Provider, { errors } from "oidc-provider";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

const [port, seconds, back, ...resources] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;
const lives = Number(seconds);

const about = (_ctx, resource) => {
  if (!resources.includes(resource)) throw new Error(`no such resource: ${resource}`);
  return { scope: "mcp write", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: lives, jwt: { sign: { alg: "RS256" } } };
};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "pages",
      redirect_uris: [back],
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: "none",
      application_type: "native",
    },
    {
      client_id: "gateway",
      client_secret: "gateways-s3cret",
      grant_types: [EXCHANGE],
      response_types: [],
      redirect_uris: [],
    },
  ],
  clientDefaults: { grant_types: ["authorization_code", "refresh_token"], response_types: ["code"] },
  claims: { openid: ["sub"] },
  scopes: ["openid", "offline_access", "mcp", "write"],
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resources[0],
      useGrantedResource: () => true,
      getResourceServerInfo: about,
    },
  },
  ttl: { AccessToken: lives, RefreshToken: 3600, Grant: 3600, Interaction: 600, Session: 3600 },
  // A program on the user's machine gets what renews its tokens without being asked for more.
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: true,
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

// The person stays who he is, and gets no more rights than he showed.
async function exchange(ctx) {
  const { client, params } = ctx.oidc;
  if (params.subject_token_type !== ACCESS_TOKEN || params.requested_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest("only access tokens");
  const keys = createLocalJWKSet(await (await fetch(`${issuer}/jwks`)).json());
  const { payload } = await jwtVerify(params.subject_token, keys, { issuer, audience: resources[0] }).catch(() => {
    throw new errors.InvalidRequest("no subject");
  });
  if (!resources.slice(1).includes(params.resource)) throw new errors.InvalidTarget();
  const asked = (params.scope ?? "").split(" ").filter(Boolean);
  const scope = payload.scope.split(" ").filter((one) => asked.length === 0 || asked.includes(one)).join(" ");
  const token = new provider.AccessToken({ accountId: payload.sub, client, scope, gty: "token_exchange" });
  token.resourceServer = new provider.ResourceServer(params.resource, about(ctx, params.resource));
  ctx.body = { access_token: await token.save(), issued_token_type: ACCESS_TOKEN, token_type: "Bearer", expires_in: lives, scope };
}

provider.registerGrantType(EXCHANGE, exchange, ["subject_token", "subject_token_type", "requested_token_type", "resource", "scope"]);

provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
