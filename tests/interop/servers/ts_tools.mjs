// What the servers on both TypeScript SDKs offer for the flows (see flowparts.py and eraparts.py): the same tools, lists in pages.
// An SDK brings a `call`: {arguments, modern, progress, log, ask, changed, updated, completed, signal}.

export const levels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];
export const pageSize = 7;
const pace = 30;
const waitMost = 2_000;
const sleepMost = 10_000;

export const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** What this server was told, and what it lists: one for the whole process. */
export const state = {
  level: 'debug', cancelled: 0, roots: [], subscribed: new Set(), grown: { tools: [], prompts: [], resources: [] },
};

async function until(so) {
  const end = Date.now() + waitMost;
  while (!so() && Date.now() < end) await pause(20);
}

const form = (message) => ({
  mode: 'form', message,
  requestedSchema: {
    type: 'object',
    properties: { name: { type: 'string', title: 'Näme', description: 'Your name' }, age: { type: 'integer', minimum: 0 } },
    required: ['name'],
  },
});

const tools = {
  echo: async ({ arguments: { text } }) => ({ content: [{ type: 'text', text }], structuredContent: { text, length: [...text].length } }),
  fail: async () => ({ content: [{ type: 'text', text: 'flows: refused' }], isError: true }),
  count: async ({ arguments: { steps }, progress }) => {
    for (let step = 1; step <= steps; step += 1) {
      await progress(step, steps, `step ${step} of ${steps}`);
      await pause(pace);
    }
    return `counted to ${steps}`;
  },
  talk: async ({ log }) => {
    for (const [number, level] of levels.entries()) {
      await log(level, number % 2 ? `flows: ${level}` : { text: `flows: ${level} “ü”`, n: 1.5 }, number % 3 ? 'flows/inner' : undefined);
    }
    await pause(pace);
    return 'talked';
  },
  sleep: async ({ progress, signal }) => {
    await progress(1);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, sleepMost);
      signal.addEventListener('abort', () => { clearTimeout(timer); state.cancelled += 1; resolve(); });
    });
    return 'slept';
  },
  was_cancelled: async ({ arguments: { least = 1 } }) => {
    await until(() => state.cancelled >= least);
    return `cancelled ${state.cancelled}`;
  },
  grow: async ({ arguments: { kind, name }, changed }) => {
    state.grown[kind].push(name);
    await changed(kind);
    return `grew ${name}`;
  },
  touch: async ({ arguments: { uri }, updated }) => {
    await updated(uri);
    return `touched ${uri}`;
  },
  elicit: async ({ arguments: { message }, ask }) => JSON.stringify(await ask('elicitation/create', form(message))),
  elicit_twice: async ({ ask }) => {
    const first = await ask('elicitation/create', form('flows: first'), 'first');
    return JSON.stringify([first, await ask('elicitation/create', form('flows: second'), 'second')]);
  },
  elicit_url: async ({ arguments: { id }, ask, completed, modern }) => {
    const params = { mode: 'url', message: 'Please sign in', url: 'https://flows.example.org/sign-in', ...(modern ? {} : { elicitationId: id }) };
    const answer = await ask('elicitation/create', params);
    if (answer.action === 'accept' && !modern) {
      await completed(id);
      await pause(pace);
    }
    return JSON.stringify(answer);
  },
  sample: async ({ ask }) => JSON.stringify(await ask('sampling/createMessage', {
    messages: [{ role: 'user', content: { type: 'text', text: 'Say “hello”' } }], maxTokens: 9, systemPrompt: 'Be short', temperature: 0.5,
  })),
  roots: async ({ ask }) => JSON.stringify(await ask('roots/list', {})),
  roots_log: async ({ arguments: { least } }) => {
    await until(() => state.roots.length >= least);
    return JSON.stringify(state.roots);
  },
  die: async () => process.exit(7),
};

const echoed = { type: 'object', properties: { text: { type: 'string' }, length: { type: 'integer' } }, required: ['text', 'length'] };
const numbers = [...Array(9).keys()];
const documents = new Map([['flows://doc', 'a document'], ['flows://doc/part', 'a part'], ...numbers.map((n) => [`flows://shelf/${n}`, `book ${n}`])]);
const prompts = ['plan', ...numbers.map((n) => `page_${n}`)];

/** Thrown where the client is asked in the result: it calls again with what it answered. */
export class Needed extends Error {
  constructor(inputRequests, answered) {
    super('input required');
    this.result = { resultType: 'input_required', inputRequests, requestState: JSON.stringify(answered) };
  }
}

/** An `ask` for calls without a session: `given` is what the client answered now, `before` the state that it brought back. */
export function asking(given, before) {
  const answered = { ...(before ? JSON.parse(before) : {}), ...given };
  return async (method, params, key = 'answer') => {
    if (!(key in answered)) throw new Needed({ [key]: { method, params } }, answered);
    return answered[key];
  };
}

function paged(member, items, params) {
  const start = Number(params?.cursor ?? 0);
  return { [member]: items.slice(start, start + pageSize), ...(start + pageSize < items.length && { nextCursor: String(start + pageSize) }) };
}

/** The requests that both SDKs are handed, by method; `refusal` makes an error of a code, a text and data. */
export function handlers(refusal, callOf, notFound) {
  return {
    'tools/list': async ({ params }) => paged('tools', [...Object.keys(tools), ...state.grown.tools].map((name) => ({
      name, inputSchema: { type: 'object' }, ...(name === 'echo' && { outputSchema: echoed }),
    })), params),
    'prompts/list': async ({ params }) => paged('prompts', [...prompts, ...state.grown.prompts].map((name) => ({
      name, ...(name === 'plan' && { arguments: [{ name: 'topic', required: true }] }),
    })), params),
    'resources/list': async ({ params }) => paged('resources', [...documents.keys(), ...state.grown.resources.map((name) => `flows://${name}`)]
      .map((uri) => ({ uri, name: uri })), params),
    'resources/templates/list': async () => ({ resourceTemplates: [{ uriTemplate: 'flows://item/{id}', name: 'item' }] }),
    'tools/call': async (request, extra) => {
      const tool = tools[request.params.name];
      if (!tool) throw refusal(-32602, `no tool ${request.params.name}`);
      try {
        const result = await tool(callOf(request, extra));
        return typeof result === 'string' ? { content: [{ type: 'text', text: result }] } : result;
      } catch (error) {
        if (error instanceof Needed) return error.result;
        throw error;
      }
    },
    'resources/read': async ({ params: { uri } }, extra) => {
      const words = uri.startsWith('flows://item/') ? `item ${uri.slice('flows://item/'.length)}` : documents.get(uri);
      if (words === undefined) throw refusal(notFound(extra), 'Resource not found', { uri });
      return { contents: [{ uri, mimeType: 'text/plain', text: words }] };
    },
    'prompts/get': async ({ params }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Plan ${params.arguments?.topic}` } }] }),
    'completion/complete': async ({ params }) => {
      const values = ['rope', 'rowing', 'sail'].filter((word) => word.startsWith(params.argument.value));
      return { completion: { values, total: values.length, hasMore: false } };
    },
  };
}

/** The handlers that only a session has. */
export const sessionHandlers = {
  'logging/setLevel': async ({ params }) => { state.level = params.level; return {}; },
  'resources/subscribe': async ({ params }) => { state.subscribed.add(params.uri); return {}; },
  'resources/unsubscribe': async ({ params }) => { state.subscribed.delete(params.uri); return {}; },
};

export const capabilities = {
  tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true, subscribe: true }, logging: {}, completions: {},
};
