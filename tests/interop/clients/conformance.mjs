// The TypeScript SDK's 1.x client as the official conformance suite wants one: does what the scenario in
// MCP_CONFORMANCE_SCENARIO needs of a client, at the URL that is the last argument, or at `--stdio COMMAND...`.
// The header `Authorization` is that of BRAID_TOKEN, if it is set. The exit code is 0 when all went well.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const patience = { timeout: 15_000 };
const argumentsOf = { add_numbers: () => ({ a: 5, b: 3 }), json_schema_echo: (schema) => ({ schema }) };

function transport() {
  const words = process.argv.slice(2);
  if (words[0] === '--stdio') return new StdioClientTransport({ command: words[1], args: words.slice(2), env: process.env });
  const token = process.env.BRAID_TOKEN;
  const requestInit = token ? { headers: { Authorization: `Bearer ${token}` } } : {};
  return new StreamableHTTPClientTransport(new URL(words.at(-1)), { requestInit });
}

/** The tools of the server, once there are any: what stands between may learn of them a moment later. */
async function tools(client, least) {
  for (let round = 0; ; round += 1) {
    const found = (await client.listTools(undefined, patience)).tools;
    if (found.length >= least || round === 40) return found;
    await new Promise((resolve) => { setTimeout(resolve, 250); });
  }
}

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const client = new Client(
  { name: 'conformance-client', version: '0' },
  { capabilities: { elicitation: { form: { applyDefaults: true } } } },
);
// Empty content: the SDK fills in the defaults.
client.setRequestHandler(ElicitRequestSchema, async () => ({ action: 'accept', content: {} }));
const connection = transport();
await client.connect(connection);
const found = await tools(client, scenario === 'initialize' ? 0 : 1);
if (scenario === 'json-schema-2020-12-preservation') {
  const [focal, echo] = ['json_schema_2020_12_tool', 'json_schema_echo'].map((name) => found.find((tool) => tool.name === name));
  await client.callTool({ name: echo.name, arguments: argumentsOf[echo.name](focal.inputSchema) }, undefined, patience);
} else {
  for (const { name } of found) await client.callTool({ name, arguments: argumentsOf[name]?.() ?? {} }, undefined, patience);
}
await connection.terminateSession?.().catch(() => {});
await client.close();
process.exit(0);
