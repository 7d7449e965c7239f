// An authorization server: `oidc-provider` with its own pages, on this machine.
//
//     node provider.mjs PORT SECONDS BACK RESOURCE...
//
// Tokens for the resources are JWTs that live so long; whoever logs in is who he says he is. It knows one client, `pages`, whose
// browsers come back to BACK; others register. It says `listening` when it does.

import Provider from "oidc-provider";

const [port, seconds, back, ...resources] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;
const lives = Number(seconds);

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "pages",
      redirect_uris: [back],
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: "none",
      application_type: "native",
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
      getResourceServerInfo: (_ctx, resource) => {
        if (!resources.includes(resource)) throw new Error(`no such resource: ${resource}`);
        return { scope: "mcp write", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: lives, jwt: { sign: { alg: "RS256" } } };
      },
    },
  },
  ttl: { AccessToken: lives, RefreshToken: 3600, Grant: 3600, Interaction: 600, Session: 3600 },
  // A program on the user's machine gets what renews its tokens without being asked for more.
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: true,
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
