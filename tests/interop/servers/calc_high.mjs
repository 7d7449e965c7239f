// A calculator on the TypeScript SDK 1.x, high level: McpServer with registered tools, resources and prompts.
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { z } from 'zod';

const server = new McpServer(
  { name: 'calc', title: 'Calculator', version: '1.0.0', websiteUrl: 'https://calc.example.org' },
  { instructions: 'Adds and divides.', capabilities: { logging: {} } },
);

server.registerTool(
  'add',
  {
    title: 'Addition',
    description: 'Adds two numbers',
    inputSchema: { a: z.number(), b: z.number() },
    outputSchema: { sum: z.number() },
    annotations: { readOnlyHint: true, idempotentHint: true },
  },
  async ({ a, b }) => ({
    content: [{ type: 'text', text: String(a + b) }],
    structuredContent: { sum: a + b },
  }),
);

server.registerTool(
  'divide',
  { description: 'Divides; by zero it fails', inputSchema: { a: z.number(), b: z.number() } },
  async ({ a, b }) => {
    if (b === 0) throw new Error('division by zero');
    return { content: [{ type: 'text', text: String(a / b) }] };
  },
);

server.registerTool(
  'count_down',
  { description: 'Reports progress down to zero', inputSchema: { from: z.number().int().max(20) } },
  async ({ from }, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let left = from - 1; left >= 0 && progressToken !== undefined; left -= 1) {
      await extra.sendNotification({
        method: 'notifications/progress',
        params: { progressToken, progress: from - left, total: from, message: `${left} left` },
      });
    }
    return { content: [{ type: 'text', text: 'zero' }] };
  },
);

server.registerTool(
  'links',
  { description: 'Links to constants', inputSchema: {} },
  async () => ({
    content: ['pi', 'e'].map((name) => ({
      type: 'resource_link', uri: `constant://${name}`, name, mimeType: 'text/plain', description: `The constant ${name}`,
    })),
  }),
);

const constants = { pi: Math.PI, e: Math.E, tau: 2 * Math.PI };

server.registerResource(
  'pi', 'constant://pi', { title: 'Pi', description: 'The constant pi', mimeType: 'text/plain' },
  async (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: String(Math.PI) }] }),
);

server.registerResource(
  'constant',
  new ResourceTemplate('constant://{name}', {
    list: async () => ({ resources: ['e', 'tau'].map((name) => ({ uri: `constant://${name}`, name })) }),
    complete: { name: (value) => Object.keys(constants).filter((name) => name.startsWith(value)) },
  }),
  { description: 'A constant by name' },
  async (uri, { name }) => {
    if (!(name in constants)) throw new Error(`no constant ${name}`);
    return { contents: [{ uri: uri.href, text: String(constants[name]) }] };
  },
);

server.registerPrompt(
  'solve',
  {
    title: 'Solve',
    description: 'Solves an equation',
    argsSchema: {
      equation: z.string(),
      style: completable(z.string().optional(), (value) => ['short', 'stepwise'].filter((s) => s.startsWith(value ?? ''))),
    },
  },
  ({ equation, style }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Solve ${equation}${style ? `, ${style}` : ''}.` } }],
  }),
);

await server.connect(new StdioServerTransport());
