// A server on the TypeScript SDK's 1.x line for the flows: `ts1_flows.mjs [stdio | http PORT | sse PORT]`.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as types from '@modelcontextprotocol/sdk/types.js';
import * as zod from 'zod';
import { capabilities, handlers, levels, sessionHandlers, state } from './ts_tools.mjs';

const schemas = {
  'tools/list': types.ListToolsRequestSchema, 'prompts/list': types.ListPromptsRequestSchema, 'resources/list': types.ListResourcesRequestSchema,
  'resources/templates/list': types.ListResourceTemplatesRequestSchema, 'tools/call': types.CallToolRequestSchema,
  'resources/read': types.ReadResourceRequestSchema, 'prompts/get': types.GetPromptRequestSchema, 'completion/complete': types.CompleteRequestSchema,
  'logging/setLevel': types.SetLevelRequestSchema, 'resources/subscribe': types.SubscribeRequestSchema,
  'resources/unsubscribe': types.UnsubscribeRequestSchema,
};
const changes = { tools: 'sendToolListChanged', prompts: 'sendPromptListChanged', resources: 'sendResourceListChanged' };

function server() {
  const flows = new Server({ name: 'ts1-flows', version: '0' }, { capabilities });
  const callOf = ({ params }, extra) => ({
    arguments: params.arguments ?? {},
    modern: false,
    signal: extra.signal,
    progress: async (progress, total, message) => {
      const progressToken = params._meta?.progressToken;
      if (progressToken !== undefined) await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total, message } });
    },
    log: async (level, data, logger) => {
      if (levels.indexOf(level) >= levels.indexOf(state.level)) await extra.sendNotification({ method: 'notifications/message', params: { level, data, logger } });
    },
    ask: async (method, asked) => {
      try {
        return await extra.sendRequest({ method, params: asked }, zod.object({}).loose());
      } catch ({ code, message, data }) {
        return { error: { code, message, data } };
      }
    },
    changed: (kind) => flows[changes[kind]](),
    updated: async (uri) => { if (state.subscribed.has(uri)) await flows.sendResourceUpdated({ uri }); },
    completed: (elicitationId) => extra.sendNotification({ method: 'notifications/elicitation/complete', params: { elicitationId } }),
  });
  const refusal = (code, message, data) => new types.McpError(code, message, data);
  for (const [method, handler] of Object.entries({ ...handlers(refusal, callOf, () => -32002), ...sessionHandlers })) flows.setRequestHandler(schemas[method], handler);
  flows.oninitialized = async () => {
    if (!flows.getClientCapabilities()?.roots) return;
    try {
      state.roots.push((await flows.listRoots()).roots);
    } catch {
      // Told nobody: `roots_log` shows it.
    }
  };
  return flows;
}

const [transport = 'stdio', port] = process.argv.slice(2);
const sessions = new Map();

async function overHttp(request, response) {
  let session = sessions.get(request.headers['mcp-session-id']);
  if (!session) {
    session = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized: (id) => { sessions.set(id, session); } });
    await server().connect(session);
  }
  await session.handleRequest(request, response);
}

async function overSse(request, response) {
  if (request.method === 'GET') {
    const session = new SSEServerTransport('/messages', response);
    sessions.set(session.sessionId, session);
    await server().connect(session);
    return;
  }
  await sessions.get(new URL(request.url, 'http://127.0.0.1').searchParams.get('sessionId')).handlePostMessage(request, response);
}

if (transport === 'stdio') await server().connect(new StdioServerTransport());
else createServer(transport === 'http' ? overHttp : overSse).listen(Number(port), '127.0.0.1');
