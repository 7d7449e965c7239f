// A server on the TypeScript SDK's 2.x line for the flows: `ts2_flows.mjs [stdio | http PORT] [modern]`. With `modern` it refuses
// handshakes; without, it serves both eras, with sessions for those that shake hands.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { InMemoryServerEventBus, LOG_LEVEL_META_KEY, ProtocolError, Server, WebStandardStreamableHTTPServerTransport, createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { asking, capabilities, handlers, levels, sessionHandlers, state } from './ts_tools.mjs';

const [transport = 'stdio', port, only] = process.argv.slice(2);
const legacy = [port, only].includes('modern') ? 'reject' : undefined;
const notes = { tools: 'notifications/tools/list_changed', prompts: 'notifications/prompts/list_changed', resources: 'notifications/resources/list_changed' };

// Without a session over HTTP a change is news for the streams that are open; over stdio the server itself says it.
let handler;

function server({ era }) {
  const modern = era === 'modern';
  const flows = new Server({ name: 'ts2-flows', version: '0' }, { capabilities });
  const callOf = ({ params }, { mcpReq }) => ({
    arguments: params.arguments ?? {},
    modern,
    signal: mcpReq.signal,
    progress: async (progress, total, message) => {
      const progressToken = mcpReq._meta?.progressToken;
      if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total, message } });
    },
    log: async (level, data, logger) => {
      const least = modern ? mcpReq.envelope?.[LOG_LEVEL_META_KEY] : state.level;
      if (least === undefined || levels.indexOf(level) < levels.indexOf(least)) return;
      await mcpReq.notify({ method: 'notifications/message', params: { level, data, ...(logger && { logger }) } });
    },
    ask: modern ? asking(mcpReq.inputResponses, mcpReq.requestState()) : async (method, asked) => {
      try {
        return await mcpReq.send({ method, params: asked });
      } catch ({ code, message, data }) {
        return { error: { code, message, data } };
      }
    },
    changed: async (kind) => {
      if (handler && modern) handler.notify[`${kind}Changed`]();
      else await flows.notification({ method: notes[kind] });
    },
    updated: async (uri) => {
      if (handler && modern) handler.notify.resourceUpdated(uri);
      else if (modern || state.subscribed.has(uri)) await flows.notification({ method: 'notifications/resources/updated', params: { uri } });
    },
    completed: (elicitationId) => mcpReq.notify({ method: 'notifications/elicitation/complete', params: { elicitationId } }),
  });
  const refusal = (code, message, data) => new ProtocolError(code, message, data);
  const all = { ...handlers(refusal, callOf, () => (modern ? -32602 : -32002)), ...(modern ? {} : sessionHandlers) };
  for (const [method, handle] of Object.entries(all)) flows.setRequestHandler(method, handle);
  return flows;
}

const sessions = new Map();

async function inSession(request) {
  let session = sessions.get(request.headers.get('mcp-session-id'));
  if (!session) {
    session = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized: (id) => { sessions.set(id, session); } });
    await server({ era: 'legacy' }).connect(session);
  }
  return session.handleRequest(request);
}

if (transport === 'stdio') {
  serveStdio(server, { legacy });
} else {
  handler = createMcpHandler(server, { legacy: 'reject', bus: new InMemoryServerEventBus() });
  createServer(async (request, response) => {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const body = request.method === 'POST' ? Readable.toWeb(request) : undefined;
    const asked = new Request(`http://127.0.0.1:${port}${request.url}`, {
      method: request.method, headers: request.headers, body, duplex: 'half', signal: gone.signal,
    });
    const answer = legacy !== 'reject' && await isLegacyRequest(asked) ? await inSession(asked) : await handler.fetch(asked);
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) Readable.fromWeb(answer.body).on('error', () => response.destroy()).pipe(response);
    else response.end();
  }).listen(Number(port), '127.0.0.1');
}
