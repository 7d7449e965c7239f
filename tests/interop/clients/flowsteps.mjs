// What both TypeScript clients of the flows share: the diary, the steps and the report (see flowclient.py).
// A client brings `connect`, `request`, `cancel`, `tellRoots` and, where it has no session, `watch`, `unwatch` and `level`.
import { text } from 'node:stream/consumers';

export const requestMost = 6_000;
const hearMost = 5_000;
const partMost = 20_000;
const readyMost = 15_000;
export const hangMost = 2_000;
const quietFor = 300;
const relistAfter = 500;
const pagesMost = 50;

const named = {
  'tools/list': ['tools', 'name'], 'prompts/list': ['prompts', 'name'], 'resources/list': ['resources', 'uri'],
  'resources/templates/list': ['resourceTemplates', 'uriTemplate'],
};
export const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** What came, in order, and how asks are answered now. */
export const diary = {
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

/** Tells the ask of the steps, as the SDK's handlers take it; `failure` makes the SDK's error of a code, a text and data. */
export function answers(failure) {
  const planned = (answer) => {
    if (!answer.error) return answer.result;
    throw failure(answer.error.code, answer.error.message, answer.error.data);
  };
  return {
    'sampling/createMessage': async ({ params }) => {
      diary.hear('sampling/createMessage', params);
      return planned(diary.sampling.length > 1 ? diary.sampling.shift() : diary.sampling[0]);
    },
    'elicitation/create': async ({ params }, signal) => {
      diary.hear('elicitation/create', params);
      if (diary.elicitation !== 'hang') return planned(diary.elicitation);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, hangMost);
        const withdrawn = () => { diary.hear('withdrawn'); clearTimeout(timer); resolve(); };
        if (signal.aborted) withdrawn();
        else signal.addEventListener('abort', withdrawn);
      });
      return { action: 'cancel' };
    },
    'roots/list': async () => {
      diary.hear('roots/list');
      return { roots: diary.roots.map((uri) => ({ uri, name: 'work' })) };
    },
  };
}

/** The outcome of a call of the SDK's. */
export async function outcomeOf(call) {
  const before = diary.count('notifications/progress');
  let outcome;
  try {
    outcome = { result: await call() };
  } catch (error) {
    outcome = Number.isInteger(error.code)
      ? { error: { code: error.code, message: error.message, ...(error.data === undefined ? {} : { data: error.data }) } }
      : { fault: `${error.name}: ${error.message}` };
  }
  return { ...outcome, handed_over: diary.count('notifications/progress') - before };
}

let peer;
let begun;

async function list(method) {
  const [member, key] = named[method];
  const found = [];
  let params;
  for (let page = 0; page < pagesMost; page += 1) {
    const outcome = await peer.request(method, params);
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

async function ofEach(method, uris) {
  for (const uri of uris) {
    const outcome = await peer.request(method, { uri });
    if (!outcome.result) return outcome;
  }
  return null;
}

async function step(one) {
  switch (one.do) {
    case 'ask': return peer.request(one.method, one.params, one.progress, undefined, one.seconds);
    case 'begin': {
      const abort = new AbortController();
      begun = { abort, outcome: peer.request(one.method, one.params, one.progress, abort.signal) };
      // Until it has been sent, its id is not known.
      await pause(0);
      begun.id = peer.lastId();
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
      const answered = await peer.request('ping');
      await pause(one.ms ?? quietFor);
      return answered.result ? null : answered;
    }
    case 'watch': return peer.watch ? peer.watch(one.uris) : ofEach('resources/subscribe', one.uris);
    case 'unwatch': return peer.watch ? peer.unwatch() : ofEach('resources/unsubscribe', one.uris);
    case 'level': return peer.level ? peer.level(one.level) : peer.request('logging/setLevel', { level: one.level ?? 'debug' });
    case 'pause':
      await pause(one.ms ?? quietFor);
      return null;
    case 'answer':
      diary.elicitation = one.elicitation ?? diary.elicitation;
      diary.sampling = [...(one.sampling ?? diary.sampling)];
      return null;
    case 'roots':
      diary.roots = one.uris;
      await peer.tellRoots();
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

/** Carries out the target on stdin and prints one report. */
export async function main(connect) {
  let report;
  try {
    const target = JSON.parse(await text(process.stdin));
    diary.roots = target.roots;
    peer = await connect(target);
    const tools = await listUntil('tools/list', target.ready, readyMost);
    const start = diary.events;
    diary.events = [];
    const parts = [];
    for (const one of target.parts) parts.push(await part(one));
    // A server that died has nobody who would say goodbye.
    await Promise.race([peer.close().catch(() => {}), pause(requestMost)]);
    report = { negotiated: peer.negotiated?.(), tools, start, parts };
  } catch (error) {
    report = { fault: `${error.name}: ${error.message}` };
  }
  // Written out before the exit below, which would cut what a pipe has not taken.
  await new Promise((written) => { process.stdout.write(`${JSON.stringify(report)}\n`, written); });
  process.exit(0);
}
