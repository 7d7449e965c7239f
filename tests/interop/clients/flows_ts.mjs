// The TypeScript SDK's 1.x client, for the back-flows: parts on stdin, what it heard on stdout (see flowclient.py).
import { openSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ElicitationCompleteNotificationSchema, ListRootsRequestSchema,
  LoggingMessageNotificationSchema, McpError, PromptListChangedNotificationSchema, ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema, ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { answers, diary, main, outcomeOf, requestMost } from './flowsteps.mjs';

let lastId;
let client;

function transportTo({ transport, url, headers, command: words, env, cwd }) {
  const requestInit = { headers };
  if (transport === 'http') return new StreamableHTTPClientTransport(new URL(url), { requestInit });
  if (transport === 'sse') return new SSEClientTransport(new URL(url), { requestInit });
  const [command, ...args] = words;
  return new StdioClientTransport({ command, args, env, cwd, stderr: openSync(`${cwd}/client-server-stderr.txt`, 'w') });
}

async function connect(target) {
  const transport = transportTo(target);
  let handle;
  Object.defineProperty(transport, 'onmessage', {
    get: () => handle,
    set: (given) => { handle = given && ((message, extra) => { diary.arrived(message); given(message, extra); }); },
  });
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    if ('method' in message && 'id' in message) lastId = message.id;
    return send(message, options);
  };
  client = new Client(
    { name: 'flows-ts', version: '0' },
    { capabilities: { roots: { listChanged: true }, sampling: { tools: {} }, elicitation: { form: {}, url: {} } } },
  );
  const answer = answers((code, message, data) => new McpError(code, message, data));
  client.setRequestHandler(CreateMessageRequestSchema, answer['sampling/createMessage']);
  client.setRequestHandler(ElicitRequestSchema, (request, { signal }) => answer['elicitation/create'](request, signal));
  client.setRequestHandler(ListRootsRequestSchema, answer['roots/list']);
  for (const schema of [
    ElicitationCompleteNotificationSchema, LoggingMessageNotificationSchema, PromptListChangedNotificationSchema,
    ResourceListChangedNotificationSchema, ResourceUpdatedNotificationSchema, ToolListChangedNotificationSchema,
  ]) client.setNotificationHandler(schema, ({ method, params }) => diary.hear(method, params));
  await client.connect(transport);
  return {
    request,
    lastId: () => lastId,
    tellRoots: () => client.sendRootsListChanged(),
    negotiated: () => transport.protocolVersion,
    // Streamable HTTP alone has a session to end.
    close: async () => { await transport.terminateSession?.(); await client.close(); },
  };
}

async function request(method, params, progress, signal, seconds) {
  const options = { timeout: seconds ? seconds * 1000 : requestMost, ...(signal && { signal }) };
  if (progress) options.onprogress = (note) => diary.hear('notifications/progress', note);
  const calls = {
    ping: () => client.ping(options),
    'tools/call': () => client.callTool(params, undefined, options),
    'tools/list': () => client.listTools(params, options),
    'prompts/list': () => client.listPrompts(params, options),
    'resources/list': () => client.listResources(params, options),
    'resources/templates/list': () => client.listResourceTemplates(params, options),
    'resources/read': () => client.readResource(params, options),
    'prompts/get': () => client.getPrompt(params, options),
    'completion/complete': () => client.complete(params, options),
    'resources/subscribe': () => client.subscribeResource(params, options),
    'resources/unsubscribe': () => client.unsubscribeResource(params, options),
    'logging/setLevel': () => client.setLoggingLevel(params.level, options),
  };
  return outcomeOf(calls[method]);
}

await main(connect);
