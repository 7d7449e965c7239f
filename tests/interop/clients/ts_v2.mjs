// The TypeScript SDK's 2.x client over stdio, in the mode that the plan names. In `auto` it starts the server twice.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { main } from './plan.mjs';

await main(async (target, answers, mode) => {
  const [command, ...args] = target.command;
  const transport = new StdioClientTransport({ command, args, env: target.env, cwd: target.cwd, stderr: 'ignore' });
  const client = new Client(
    { name: 'ts-v2', version: '1' },
    { capabilities: target.asks ? { roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } } : {}, versionNegotiation: { mode } },
  );
  if (target.asks) {
    client.setRequestHandler('sampling/createMessage', answers.sample);
    client.setRequestHandler('elicitation/create', answers.elicit);
    client.setRequestHandler('roots/list', answers.roots);
  }
  await client.connect(transport);
  // Without a cursor this client walks all pages by itself and answers from its cache; `refresh` asks each time.
  const fresh = { cacheMode: 'refresh' };
  const lists = {
    'tools/list': (params) => client.listTools(params, fresh),
    'resources/list': (params) => client.listResources(params, fresh),
    'resources/templates/list': (params) => client.listResourceTemplates(params, fresh),
    'prompts/list': (params) => client.listPrompts(params, fresh),
  };
  return {
    negotiated: () => client.getNegotiatedProtocolVersion(),
    list: (method, params) => lists[method](params),
    call: (params, options) => client.callTool(params, options),
    read: (params) => client.readResource(params, fresh),
    prompt: (params) => client.getPrompt(params),
    complete: (params) => client.complete(params),
    close: () => client.close(),
  };
});
