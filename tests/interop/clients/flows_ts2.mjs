// The TypeScript SDK's 2.x client, for the flows, with a session or without one, as the target's `mode` says (see flowclient.py).
import { openSync } from 'node:fs';
import { Client, LOG_LEVEL_META_KEY, ProtocolError, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { answers, diary, main, outcomeOf, requestMost } from './flowsteps.mjs';

const revision = '2026-07-28';
const notes = [
  'notifications/elicitation/complete', 'notifications/message', 'notifications/tools/list_changed', 'notifications/prompts/list_changed',
  'notifications/resources/list_changed', 'notifications/resources/updated',
];
let lastId;
let client;
let stream;
let least;

function transportTo({ transport, url, headers, command: words, env, cwd }) {
  const requestInit = { headers };
  if (transport === 'http') return new StreamableHTTPClientTransport(new URL(url), { requestInit });
  if (transport === 'sse') return new SSEClientTransport(new URL(url), { requestInit });
  const [command, ...args] = words;
  return new StdioClientTransport({ command, args, env, cwd, stderr: openSync(`${cwd}/client-server-stderr.txt`, 'w') });
}

async function connect(target) {
  const transport = transportTo(target);
  client = new Client(
    { name: 'flows-ts2', version: '0' },
    {
      capabilities: { roots: { listChanged: true }, sampling: { tools: {} }, elicitation: { form: {}, url: {} } },
      versionNegotiation: { mode: { legacy: 'legacy', auto: 'auto', modern: { pin: revision } }[target.mode] },
    },
  );
  const answer = answers((code, message, data) => new ProtocolError(code, message, data));
  // What is asked in a result is not a message of its own: it is noted where the SDK hands it over.
  const noting = (method) => (request, { mcpReq } = {}) => {
    diary.arrived({ id: 0, method, params: request.params });
    return answer[method](request, mcpReq?.signal);
  };
  for (const method of ['sampling/createMessage', 'elicitation/create', 'roots/list']) client.setRequestHandler(method, noting(method));
  for (const method of notes) {
    client.setNotificationHandler(method, ({ params }) => {
      diary.arrived({ method, params });
      diary.hear(method, params);
    });
  }
  await client.connect(transport);
  const modern = client.getNegotiatedProtocolVersion() === revision;
  return {
    request: (method, params, ...more) => request(method, modern && least && params && method === 'tools/call' ? { ...params, _meta: { [LOG_LEVEL_META_KEY]: least } } : params, ...more),
    lastId: () => lastId,
    tellRoots: () => client.sendRootsListChanged(),
    negotiated: () => client.getNegotiatedProtocolVersion(),
    close: async () => { if (!modern) await transport.terminateSession?.(); await client.close(); },
    ...(modern && { watch, unwatch, level: async (level) => { least = level; return null; } }),
  };
}

async function watch(uris) {
  try {
    stream = await client.listen(
      { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: uris }, { timeout: requestMost },
    );
    return null;
  } catch (error) {
    return { fault: `${error.name}: ${error.message}` };
  }
}

async function unwatch() {
  await stream?.close();
  return null;
}

async function request(method, params, progress, signal, seconds) {
  const options = { timeout: seconds ? seconds * 1000 : requestMost, ...(signal && { signal }) };
  if (progress) {
    options.onprogress = (note) => {
      diary.arrived({ method: 'notifications/progress', params: { progressToken: 0, ...note } });
      diary.hear('notifications/progress', note);
    };
  }
  // Without a cursor this client walks all pages by itself and answers from its cache.
  const fresh = { ...options, cacheMode: 'refresh' };
  const calls = {
    ping: () => client.ping(options),
    'tools/call': () => client.callTool(params, options),
    'tools/list': () => client.listTools(params, fresh),
    'prompts/list': () => client.listPrompts(params, fresh),
    'resources/list': () => client.listResources(params, fresh),
    'resources/templates/list': () => client.listResourceTemplates(params, fresh),
    'resources/read': () => client.readResource(params, fresh),
    'prompts/get': () => client.getPrompt(params, options),
    'completion/complete': () => client.complete(params, options),
    'resources/subscribe': () => client.subscribeResource(params, options),
    'resources/unsubscribe': () => client.unsubscribeResource(params, options),
    'logging/setLevel': () => client.setLoggingLevel(params.level, options),
  };
  const outcome = await outcomeOf(calls[method]);
  diary.arrived({});
  return outcome;
}

await main(connect);
