// The official Node SDK: responses, and conversations that they go on with.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { all, failure, sdk } from './sdk.mjs';

const Capital = z.object({ country: z.string(), city: z.string() });

test('a response is answered whole, kept, and gone on with', async () => {
  const first = await sdk.responses.create({ model: 'echo', input: 'one two' });
  const second = await sdk.responses.create({ model: 'echo', input: 'three', previous_response_id: first.id });

  assert.equal(first.output_text, 'one two');
  assert.equal(second.previous_response_id, first.id);
  assert.equal((await sdk.responses.retrieve(first.id)).output_text, 'one two');
  assert.equal((await all(sdk.responses.inputItems.list(first.id))).length, 1);
  await sdk.responses.delete(first.id);
  assert.equal((await failure(sdk.responses.retrieve(first.id))).status, 404);
});

test('a response is streamed as typed events, and gathered', async () => {
  const events = await all(await sdk.responses.create({ model: 'echo', input: 'one two', stream: true }));
  const gathered = await sdk.responses.stream({ model: 'echo', input: 'one two' }).finalResponse();

  assert.equal(events[0].type, 'response.created');
  assert.equal(events.at(-1).type, 'response.completed');
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, number) => number));
  const deltas = events.filter((event) => event.type === 'response.output_text.delta');
  assert.equal(deltas.map((event) => event.delta).join(''), 'one two');
  assert.equal(gathered.output_text, 'one two');
});

test('a response calls tools and follows a schema', async () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
  const tools = [{ type: 'function', name: 'get_weather', parameters, strict: true }];
  const called = await sdk.responses.create({ model: 'echo', input: '[[tool get_weather city=Paris]] Warm?', tools });
  const text = { format: zodTextFormat(Capital, 'capital') };
  const parsed = await sdk.responses.parse({ model: 'echo', input: 'Paris', text });

  const [call] = called.output.filter((item) => item.type === 'function_call');
  assert.deepEqual(JSON.parse(call.arguments), { city: 'Paris' });
  assert.deepEqual(parsed.output_parsed, { country: 'Paris', city: 'Paris' });
});

test('a conversation is kept with its items', async () => {
  const conversation = await sdk.conversations.create({ metadata: { topic: 'trees' } });
  const items = [{ type: 'message', role: 'user', content: 'one' }];
  await sdk.conversations.items.create(conversation.id, { items });

  assert.equal((await sdk.conversations.retrieve(conversation.id)).metadata.topic, 'trees');
  assert.equal((await all(sdk.conversations.items.list(conversation.id))).length, 1);
  assert.equal((await sdk.conversations.delete(conversation.id)).deleted, true);
});

test("what is another's, or nobody's, is not found", async () => {
  const missing = [
    sdk.responses.retrieve('resp_of_another'),
    sdk.responses.create({ model: 'echo', input: 'on', previous_response_id: 'resp_of_another' }),
    sdk.responses.create({ model: 'echo', input: 'on', conversation: 'conv_of_another' }),
  ];

  for (const error of await Promise.all(missing.map(failure))) assert.equal(error.constructor.name, 'NotFoundError');
});
