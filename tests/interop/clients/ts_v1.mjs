// The TypeScript SDK's 1.x client over stdio.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { main } from './plan.mjs';

await main(async (target, answers) => {
  const [command, ...args] = target.command;
  const transport = new StdioClientTransport({ command, args, env: target.env, cwd: target.cwd, stderr: 'ignore' });
  let negotiated;
  transport.setProtocolVersion = (version) => { negotiated = version; };
  const client = new Client(
    { name: 'ts-v1', version: '1' },
    { capabilities: target.asks ? { roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } } : {} },
  );
  if (target.asks) {
    client.setRequestHandler(CreateMessageRequestSchema, answers.sample);
    client.setRequestHandler(ElicitRequestSchema, answers.elicit);
    client.setRequestHandler(ListRootsRequestSchema, answers.roots);
  }
  await client.connect(transport);
  const lists = {
    'tools/list': (params) => client.listTools(params),
    'resources/list': (params) => client.listResources(params),
    'resources/templates/list': (params) => client.listResourceTemplates(params),
    'prompts/list': (params) => client.listPrompts(params),
  };
  return {
    negotiated: () => negotiated,
    list: (method, params) => lists[method](params),
    call: (params, options) => client.callTool(params, undefined, options),
    read: (params) => client.readResource(params),
    prompt: (params) => client.getPrompt(params),
    complete: (params) => client.complete(params),
    close: () => client.close(),
  };
});
