// The TypeScript SDK's 2.x client with a person who agrees at once, as the official conformance suite wants one for its
// scenarios of authorization: logs in when it must, lists the tools of the server at the URL that is the last argument, and
// calls them, logging in again where a call wants more rights. The exit code is 0 when all went well.
import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

const url = new URL(process.argv.at(-1));
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const redirectUrl = 'http://localhost:3333/callback';
const LOGINS_MAX = 3;
let logins = 0;

class Person {
  #saved = {};
  #verifier;
  callback;
  clientMetadataUrl = 'https://conformance-test.local/client-metadata.json';

  get redirectUrl() { return redirectUrl; }

  get clientMetadata() {
    return { client_name: 'conformance', redirect_uris: [redirectUrl], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], application_type: 'native' };
  }

  clientInformation(ctx) {
    if (context.client_id) return { client_id: context.client_id, client_secret: context.client_secret, issuer: context.issuer };
    return this.#saved[ctx?.issuer ?? '']?.client;
  }

  saveClientInformation(client, ctx) { (this.#saved[ctx?.issuer ?? ''] ??= {}).client = client; }

  tokens(ctx) { return this.#saved[ctx?.issuer ?? '']?.tokens ?? (ctx?.issuer ? undefined : this.last); }

  saveTokens(tokens, ctx) {
    (this.#saved[ctx?.issuer ?? ''] ??= {}).tokens = tokens;
    this.last = tokens;
  }

  saveCodeVerifier(verifier) { this.#verifier = verifier; }

  codeVerifier() { return this.#verifier; }

  async redirectToAuthorization(page) {
    logins += 1;
    if (logins > LOGINS_MAX) throw new Error('too many logins');
    const answer = await fetch(page, { redirect: 'manual' });
    this.callback = new URL(answer.headers.get('location'), page).searchParams;
  }
}

const isMachine = process.env.MCP_CONFORMANCE_SCENARIO === 'auth/client-credentials-basic';
const provider = isMachine
  ? new ClientCredentialsProvider({ clientId: context.client_id, clientSecret: context.client_secret })
  : new Person();

/** Does it, with a login before another try where one is wanted. */
async function loggedIn(connection, work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof UnauthorizedError) || !provider.callback) throw error;
      const callback = provider.callback;
      provider.callback = undefined;
      await connection().finishAuth(callback);
    }
  }
}

let transport;
let client;
await loggedIn(() => transport, async () => {
  transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
  client = new Client({ name: 'conformance-client', version: '0' }, { capabilities: {}, versionNegotiation: { mode: 'auto' } });
  await client.connect(transport);
});
const { tools } = await loggedIn(() => transport, () => client.listTools());
for (const { name } of tools) await loggedIn(() => transport, () => client.callTool({ name, arguments: {} }));
await client.close();
process.exit(0);
