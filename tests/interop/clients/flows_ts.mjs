// The TypeScript SDK's 1.x client, for the back-flows: parts on stdin, what it heard on stdout (see flowclient.py).
import { openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ElicitationCompleteNotificationSchema, ListRootsRequestSchema,
  LoggingMessageNotificationSchema, McpError, PromptListChangedNotificationSchema, ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema, ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

const requestMost = 6_000;
const hearMost = 5_000;
const partMost = 20_000;
const readyMost = 15_000;
const hangMost = 2_000;
const quietFor = 300;
const relistAfter = 500;
const pagesMost = 50;

const named = { 'tools/list': ['tools', 'name'], 'prompts/list': ['prompts', 'name'], 'resources/list': ['resources', 'uri'] };
const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** What came, in order, and how asks are answered now. */
const diary = {
  events: [],
  heard: [],
  cancelled: [],
  roots: [],
  elicitation: { result: { action: 'decline' } },
  sampling: [{ error: { code: -1, message: 'no answer is planned' } }],
  listeners: new Set(),
  hear(method, params) {
    this.heard.push([method, JSON.stringify(params ?? null)]);
    for (const listener of [...this.listeners]) listener();
  },
  arrived(message) {
    if ('method' in message) this.events.push({ ['id' in message ? 'ask' : 'note']: message.method, params: message.params ?? null });
    else this.events.push({ answer: true, late: this.cancelled.includes(message.id) });
  },
  count(method, part = '') {
    return this.heard.filter(([name, params]) => name === method && params.includes(part)).length;
  },
  awaitHeard(method, part, least, patience) {
    return new Promise((resolve) => {
      const done = (reached) => { clearTimeout(timer); this.listeners.delete(look); resolve(reached); };
      const look = () => { if (this.count(method, part) >= least) done(true); };
      const timer = setTimeout(() => done(false), patience);
      this.listeners.add(look);
      look();
    });
  },
};

function planned(answer) {
  if (!answer.error) return answer.result;
  throw new McpError(answer.error.code, answer.error.message, answer.error.data);
}

let lastId;
let client;
let begun;

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
  client.setRequestHandler(CreateMessageRequestSchema, async ({ params }) => {
    diary.hear('sampling/createMessage', params);
    return planned(diary.sampling.length > 1 ? diary.sampling.shift() : diary.sampling[0]);
  });
  client.setRequestHandler(ElicitRequestSchema, async ({ params }, { signal }) => {
    diary.hear('elicitation/create', params);
    if (diary.elicitation !== 'hang') return planned(diary.elicitation);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, hangMost);
      const withdrawn = () => { diary.hear('withdrawn'); clearTimeout(timer); resolve(); };
      if (signal.aborted) withdrawn();
      else signal.addEventListener('abort', withdrawn);
    });
    return { action: 'cancel' };
  });
  client.setRequestHandler(ListRootsRequestSchema, async () => {
    diary.hear('roots/list');
    return { roots: diary.roots.map((uri) => ({ uri, name: 'work' })) };
  });
  for (const schema of [
    ElicitationCompleteNotificationSchema, LoggingMessageNotificationSchema, PromptListChangedNotificationSchema,
    ResourceListChangedNotificationSchema, ResourceUpdatedNotificationSchema, ToolListChangedNotificationSchema,
  ]) client.setNotificationHandler(schema, ({ method, params }) => diary.hear(method, params));
  await client.connect(transport);
}

async function request(method, params, progress, signal) {
  const options = { timeout: requestMost, ...(signal && { signal }) };
  if (progress) options.onprogress = (note) => diary.hear('notifications/progress', note);
  const before = diary.count('notifications/progress');
  const calls = {
    ping: () => client.ping(options),
    'tools/call': () => client.callTool(params, undefined, options),
    'tools/list': () => client.listTools(params, options),
    'prompts/list': () => client.listPrompts(params, options),
    'resources/list': () => client.listResources(params, options),
    'resources/subscribe': () => client.subscribeResource(params, options),
    'resources/unsubscribe': () => client.unsubscribeResource(params, options),
    'logging/setLevel': () => client.setLoggingLevel(params.level, options),
  };
  let outcome;
  try {
    outcome = { result: await calls[method]() };
  } catch (error) {
    outcome = Number.isInteger(error.code)
      ? { error: { code: error.code, message: error.message, ...(error.data === undefined ? {} : { data: error.data }) } }
      : { fault: `${error.name}: ${error.message}` };
  }
  return { ...outcome, handed_over: diary.count('notifications/progress') - before };
}

async function list(method) {
  const [member, key] = named[method];
  const found = [];
  let params;
  for (let page = 0; page < pagesMost; page += 1) {
    const outcome = await request(method, params);
    if (!outcome.result) throw new Error(`${method}: ${JSON.stringify(outcome)}`);
    found.push(...outcome.result[member].map((item) => item[key]));
    if (outcome.result.nextCursor === undefined) return found;
    params = { cursor: outcome.result.nextCursor };
  }
  throw new Error(`${method} does not end`);
}

/** The list once all these are in it, or as it is when patience ends. */
async function listUntil(method, wanted, patience) {
  const news = `notifications/${method}_changed`;
  const end = Date.now() + patience;
  for (;;) {
    const seen = diary.count(news);
    const found = await list(method);
    if (wanted.every((name) => found.includes(name)) || Date.now() > end) return found;
    await diary.awaitHeard(news, '', seen + 1, relistAfter);
  }
}

async function step(one) {
  switch (one.do) {
    case 'ask': return request(one.method, one.params, one.progress);
    case 'begin': {
      const abort = new AbortController();
      begun = { abort, outcome: request(one.method, one.params, one.progress, abort.signal) };
      // Until it has been sent, its id is not known.
      await pause(0);
      begun.id = lastId;
      return null;
    }
    case 'end': return begun.outcome;
    case 'cancel':
      diary.cancelled.push(begun.id);
      begun.abort.abort('no longer needed');
      await begun.outcome;
      return null;
    case 'await': {
      const { heard, where = '', count = 1 } = one;
      if (await diary.awaitHeard(heard, where, count, hearMost)) return null;
      return { fault: `heard ${diary.count(heard, where)} of ${count} ${heard} ${where}` };
    }
    case 'quiet': {
      const answered = await request('ping');
      await pause(one.ms ?? quietFor);
      return answered.result ? null : answered;
    }
    case 'answer':
      diary.elicitation = one.elicitation ?? diary.elicitation;
      diary.sampling = [...(one.sampling ?? diary.sampling)];
      return null;
    case 'roots':
      diary.roots = one.uris;
      await client.sendRootsListChanged();
      return null;
    case 'list': return { names: await listUntil(one.method, 'until' in one ? [one.until] : [], hearMost) };
    default: return { fault: `no step ${one.do}` };
  }
}

async function part({ name, steps }) {
  diary.heard = [];
  const done = [];
  let over = false;
  const all = async () => {
    for (const one of steps) {
      let outcome;
      try {
        outcome = await step(one);
      } catch (error) {
        outcome = { fault: `${error.name}: ${error.message}` };
      }
      if (over) return;
      done.push({ outcome, events: diary.events });
      diary.events = [];
    }
  };
  const late = await Promise.race([all(), pause(partMost).then(() => 'the part took too long')]);
  over = true;
  return { name, steps: done, heard: diary.heard.map(([method]) => method), fault: late ?? null };
}

let report;
try {
  const target = JSON.parse(await text(process.stdin));
  diary.roots = target.roots;
  await connect(target);
  const tools = await listUntil('tools/list', target.ready, readyMost);
  const start = diary.events;
  diary.events = [];
  const parts = [];
  for (const one of target.parts) parts.push(await part(one));
  // Streamable HTTP alone has a session to end.
  await client.transport.terminateSession?.();
  await client.close();
  report = { tools, start, parts };
} catch (error) {
  report = { fault: `${error.name}: ${error.message}` };
}
// Written out before the exit below, which would cut what a pipe has not taken.
await new Promise((written) => { process.stdout.write(`${JSON.stringify(report)}\n`, written); });
process.exit(0);
