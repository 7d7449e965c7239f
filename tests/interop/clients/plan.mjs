// What both TypeScript clients share: carrying out a plan from stdin (see plan.py) and printing one line per target.
import { text } from 'node:stream/consumers';

export const patience = 40_000;
const gatherMost = 45_000;
// Lists that have not grown for so long will not.
const stillMost = 15_000;
const targetMost = 170_000;
const methodNotFound = -32601;

const byFormat = { email: 'ana@example.org', uri: 'https://example.org/', date: '2025-01-02', 'date-time': '2025-01-02T03:04:05Z' };

function value(property) {
  if ('default' in property) return property.default;
  if (property.enum) return property.enum[0];
  if (property.oneOf) return property.oneOf[0].const;
  switch (property.type) {
    case 'integer': case 'number': return property.minimum ?? 7;
    case 'boolean': return true;
    case 'array': return property.items?.enum?.slice(0, 1) ?? (property.items?.anyOf ?? []).slice(0, 1).map((choice) => choice.const);
    default: return byFormat[property.format] ?? 'Ana';
  }
}

/** The answers to what a server asks, noting what was asked. */
export function answers(target, asks) {
  return {
    sample: async ({ params }) => {
      asks.push(['sampling/createMessage', params]);
      return { role: 'assistant', content: { type: 'text', text: 'sampled' }, model: 'still', stopReason: 'endTurn' };
    },
    elicit: async ({ params }) => {
      asks.push(['elicitation/create', params]);
      if (params.mode === 'url') return { action: 'accept' };
      const content = Object.fromEntries(Object.entries(params.requestedSchema.properties).map(([name, property]) => [name, value(property)]));
      return { action: 'accept', content };
    },
    roots: async () => ({ roots: target.roots.map((uri) => ({ uri, name: 'work' })) }),
  };
}

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

async function lists(ask) {
  const found = {};
  const members = { 'tools/list': 'tools', 'resources/list': 'resources', 'resources/templates/list': 'resourceTemplates', 'prompts/list': 'prompts' };
  for (const [method, member] of Object.entries(members)) {
    found[method] = [];
    try {
      let cursor;
      do {
        const page = await ask(method, cursor === undefined ? undefined : { cursor });
        found[method].push(...page[member]);
        cursor = page.nextCursor;
      } while (cursor !== undefined);
    } catch (error) {
      // A client that looks at capabilities first says so in its own words.
      if (error.code !== methodNotFound && !/does not support/.test(error.message)) throw error;
    }
  }
  return found;
}

async function operate(client, operation, asks) {
  asks.length = 0;
  const progress = [];
  const { params } = operation;
  const watch = operation.progress ? { onprogress: (note) => progress.push([note.progress, note.total ?? null, note.message ?? null]) } : {};
  let outcome;
  try {
    const calls = {
      'tools/call': () => client.call(params, { timeout: patience, ...watch }),
      'resources/read': () => client.read(params),
      'prompts/get': () => client.prompt(params),
      'completion/complete': () => client.complete(params),
    };
    outcome = { result: await calls[operation.method]() };
  } catch (error) {
    outcome = Number.isInteger(error.code)
      ? { error: { code: error.code, message: error.message, ...(error.data === undefined ? {} : { data: error.data }) } }
      : { fault: `${error.name}: ${error.message}` };
  }
  return { ...outcome, asks: [...asks], progress };
}

async function run(connect, target, mode) {
  const asks = [];
  const client = await connect(target, answers(target, asks), mode);
  try {
    await pause(target.quiet * 1000);
    const end = Date.now() + gatherMost;
    const size = (found) => Object.values(found).flat().length;
    let found = await lists(client.list);
    let grown = Date.now();
    const short = () => Object.entries(target.counts).some(([method, count]) => found[method].length < count);
    while (short() && Date.now() < Math.min(end, grown + stillMost)) {
      await pause(500);
      const before = size(found);
      found = await lists(client.list);
      if (size(found) > before) grown = Date.now();
    }
    const outcomes = [];
    for (const operation of target.operations) outcomes.push(await operate(client, operation, asks));
    return { name: target.name, negotiated: client.negotiated(), lists: found, outcomes };
  } finally {
    await client.close();
  }
}

export async function main(connect) {
  const plan = JSON.parse(await text(process.stdin));
  for (const target of plan.targets) {
    let report;
    try {
      const late = pause(targetMost).then(() => { throw new Error(`not done in ${targetMost} ms`); });
      report = await Promise.race([run(connect, target, plan.mode), late]);
    } catch (error) {
      report = { name: target.name, fault: `${error.name}: ${error.message}` };
    }
    // Written out before the exit below, which would cut what a pipe has not taken.
    await new Promise((written) => { process.stdout.write(`${JSON.stringify(report)}\n`, written); });
  }
  process.exit(0);
}
