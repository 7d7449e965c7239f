// A counter on the TypeScript SDK 1.x, low level: one Server with a handler per method, paged lists, its own error codes.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import {
  CallToolRequestSchema, CompleteRequestSchema, ErrorCode, GetPromptRequestSchema, ListPromptsRequestSchema, ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema, ListToolsRequestSchema, McpError, ReadResourceRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

const server = new Server(
  { name: 'counter', version: '1.0.0' },
  { capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} } },
);

let counter = 0;
const page = 3;
const tools = Array.from({ length: 8 }, (_, index) => ({
  name: `count_${index}`,
  description: `Adds ${index} to the counter`,
  inputSchema: { type: 'object', properties: { times: { type: 'integer', minimum: 1 } } },
}));
tools.push({ name: 'fail', description: 'Fails in the way it is asked to', inputSchema: { type: 'object', properties: { how: { type: 'string' } } } });
tools.push({ name: 'pictures', description: 'Pictures of the counter', inputSchema: { type: 'object' } });

server.setRequestHandler(ListToolsRequestSchema, async ({ params }) => {
  const from = Number(params?.cursor ?? 0);
  const next = from + page;
  return { tools: tools.slice(from, next), ...(next < tools.length ? { nextCursor: String(next) } : {}) };
});

server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
  const { name, arguments: args = {} } = params;
  if (name === 'fail') {
    if (args.how === 'data') throw new McpError(-31007, 'the counter is stuck', { counter, hint: ['wait', null, 1.5], nested: { b: 1, a: 2 } });
    if (args.how === 'params') throw new McpError(ErrorCode.InvalidParams, 'no such way');
    if (args.how === 'plain') throw new Error('plain failure');
    return { isError: true, content: [{ type: 'text', text: `failed: ${args.how}` }] };
  }
  if (name === 'pictures') {
    return {
      content: [
        { type: 'image', data: 'R0lGODlhAQABAAAAACw=', mimeType: 'image/gif', annotations: { audience: ['user'] } },
        { type: 'audio', data: 'UklGRg==', mimeType: 'audio/wav' },
        { type: 'resource', resource: { uri: 'counter://value', mimeType: 'text/plain', text: '0' } },
      ],
      _meta: { 'example.org/shutter': '1/250' },
    };
  }
  if (!tools.some((tool) => tool.name === name)) throw new McpError(ErrorCode.InvalidParams, `no tool ${name}`);
  counter += Number(name.slice('count_'.length)) * (args.times ?? 1);
  return { content: [{ type: 'text', text: String(counter) }] };
});

server.setRequestHandler(ListResourcesRequestSchema, async () => ({
  resources: [{ uri: 'counter://value', name: 'value', mimeType: 'text/plain', annotations: { priority: 0.9 } }],
}));

server.setRequestHandler(ListResourceTemplatesRequestSchema, async () => ({
  resourceTemplates: [{ uriTemplate: 'counter://power/{exponent}', name: 'power' }],
}));

server.setRequestHandler(ReadResourceRequestSchema, async ({ params }) => {
  if (params.uri === 'counter://value') return { contents: [{ uri: params.uri, mimeType: 'text/plain', text: 'a counter' }] };
  const power = /^counter:\/\/power\/(\d+)$/.exec(params.uri);
  if (power) return { contents: [{ uri: params.uri, text: String(2 ** Number(power[1])) }] };
  throw new McpError(-32002, 'Resource not found', { uri: params.uri });
});

server.setRequestHandler(ListPromptsRequestSchema, async () => ({
  prompts: [{ name: 'explain', description: 'Explains a number', arguments: [{ name: 'number', required: true }] }],
}));

server.setRequestHandler(GetPromptRequestSchema, async ({ params }) => {
  if (params.name !== 'explain') throw new McpError(ErrorCode.InvalidParams, `no prompt ${params.name}`);
  if (!params.arguments?.number) throw new McpError(ErrorCode.InvalidParams, 'number is missing', { missing: ['number'] });
  return {
    description: 'One number',
    messages: [
      { role: 'user', content: { type: 'text', text: `Explain ${params.arguments.number}.` } },
      { role: 'user', content: { type: 'resource', resource: { uri: 'counter://value', text: 'a counter' } } },
    ],
  };
});

server.setRequestHandler(CompleteRequestSchema, async ({ params }) => {
  const values = ['1', '10', '100', '2'].filter((value) => value.startsWith(params.argument.value));
  return { completion: { values, total: values.length, hasMore: false } };
});

await server.connect(new StdioServerTransport());
