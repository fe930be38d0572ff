// The official Node SDK: responses that are kept, and dialogues of several turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { all, failure, sdk } from './sdk.mjs';

const PIXEL = 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=';
const Capital = z.object({ country: z.string(), city: z.string() });
const text = { format: zodTextFormat(Capital, 'capital') };
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const tools = [
  { type: 'function', name: 'get_weather', parameters, strict: true },
  { type: 'custom', name: 'shell', description: 'Runs a command.', format: { type: 'text' } },
];
const input = '[[tool get_weather city=Paris]] [[tool get_weather city=Rome]] [[tool shell input=ls]] All three.';

const calls = (response) => response.output.filter(({ type }) => type.endsWith('_call'));
const results = (response) =>
  calls(response).map(({ type, call_id, name }) => ({ type: `${type}_output`, call_id, output: `${name} said so` }));
const numbers = (events) => events.map((event) => event.sequence_number);

/** The response once it has ended, asked for again and again. */
async function ended(id) {
  for (;;) {
    const found = await sdk.responses.retrieve(id);
    if (!['queued', 'in_progress'].includes(found.status)) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a response is found as it was answered, and by nothing once it is deleted', async () => {
  const metadata = { topic: 'trees' };
  const told = await sdk.responses.create({ model: 'echo', input: 'one two', instructions: 'Be brief.', metadata });
  const found = await sdk.responses.retrieve(told.id);
  await sdk.responses.delete(told.id);

  assert.deepEqual(found, told);
  assert.deepEqual([found.instructions, found.metadata], ['Be brief.', metadata]);
  const missing = [
    sdk.responses.retrieve(told.id),
    sdk.responses.cancel(told.id),
    sdk.responses.inputItems.list(told.id),
    sdk.responses.create({ model: 'echo', input: 'on', previous_response_id: told.id }),
  ];
  for (const error of await Promise.all(missing.map(failure))) assert.equal(error.status, 404);
});

test('a stream is gathered, parsed, and found as it was gathered', async () => {
  const stream = sdk.responses.stream({ model: 'echo', input: 'Paris', text });
  const events = await all(stream);
  const gathered = await stream.finalResponse();
  const parsed = await sdk.responses.parse({ model: 'echo', input: 'Paris', text });

  assert.deepEqual(numbers(events), events.map((_, number) => number));
  assert.deepEqual(gathered.output_parsed, { country: 'Paris', city: 'Paris' });
  assert.deepEqual(parsed.output_parsed, gathered.output_parsed);
  assert.equal((await sdk.responses.retrieve(gathered.id)).output_text, gathered.output_text);
});

test('what a response was given is listed page by page, its picture too', async () => {
  const content = [{ type: 'input_text', text: 'last' }, { type: 'input_image', image_url: PIXEL, detail: 'low' }];
  const given = [...'abcde'].map((content) => ({ role: 'user', content }));
  const response = await sdk.responses.create({ model: 'echo', input: [...given, { role: 'user', content }] });
  const include = ['message.input_image.image_url'];
  const items = await all(sdk.responses.inputItems.list(response.id, { limit: 2, order: 'asc', include }));

  assert.equal(response.output_text, 'last');
  assert.deepEqual(items.map((item) => item.content[0].text), [...'abcde', 'last']);
  assert.equal(items.at(-1).content[1].image_url, PIXEL);
});

test('tools are called at once, turn after turn, from what is kept', async () => {
  let previous_response_id = null;
  for (let turn = 0; turn < 3; turn += 1) {
    const asked = await sdk.responses.create({ model: 'echo', input, tools, previous_response_id });
    const next = { model: 'echo', input: results(asked), tools, previous_response_id: asked.id };
    const answered = await sdk.responses.create(next);
    previous_response_id = answered.id;

    const [first, second, third] = calls(asked);
    assert.deepEqual([first, second].map((call) => JSON.parse(call.arguments).city), ['Paris', 'Rome']);
    assert.deepEqual([third.type, third.name], ['custom_tool_call', 'shell']);
    assert.match(answered.output_text, /shell said so/);
  }
});

test('thoughts and calls go there and back where nothing is stored', async () => {
  const dialogue = [{ role: 'user', content: input }];
  const asked = { model: 'echo-reasoning', tools, store: false, include: ['reasoning.encrypted_content'] };
  for (let turn = 0; turn < 2; turn += 1) {
    const called = await sdk.responses.stream({ ...asked, input: dialogue }).finalResponse();
    dialogue.push(...called.output, ...results(called));
    const answered = await sdk.responses.create({ ...asked, input: dialogue });
    dialogue.push(...answered.output, { role: 'user', content: input });

    assert.equal(called.output[0].type, 'reasoning');
    assert.match(answered.output_text, /shell said so/);
  }
});

test('a conversation takes every turn until it is deleted', async () => {
  const { id } = await sdk.conversations.create({ items: [{ type: 'message', role: 'user', content: 'zero' }] });
  for (const said of ['one', 'two']) {
    const response = await sdk.responses.create({ model: 'echo', input: said, conversation: id });
    assert.deepEqual([response.conversation.id, response.output_text], [id, said]);
  }
  const items = await all(sdk.conversations.items.list(id, { order: 'asc', limit: 2 }));
  const shown = await sdk.conversations.items.retrieve(items[0].id, { conversation_id: id });
  const changed = await sdk.conversations.update(id, { metadata: { topic: 'clocks' } });
  await sdk.conversations.items.delete(items[0].id, { conversation_id: id });

  assert.deepEqual(items.map((item) => item.content[0].text), ['zero', 'one', 'one', 'two', 'two']);
  assert.deepEqual(shown, items[0]);
  assert.equal(changed.metadata.topic, 'clocks');
  assert.equal((await all(sdk.conversations.items.list(id))).length, 4);
  assert.equal((await sdk.conversations.delete(id)).deleted, true);
  assert.equal((await failure(sdk.responses.create({ model: 'echo', input: 'on', conversation: id }))).status, 404);
});

test('a response is made in the background, or cancelled', async () => {
  const begun = await sdk.responses.create({ model: 'echo', input: '[[delay 0.05]] one two', background: true });
  const slow = await sdk.responses.create({ model: 'echo', input: '[[delay 0 between=0.2]] [[words 100]] on', background: true });
  const cancelled = await sdk.responses.cancel(slow.id);
  const made = await ended(begun.id);

  assert.deepEqual([begun.status, made.status, made.output_text], ['queued', 'completed', 'one two']);
  assert.equal(cancelled.status, 'cancelled');
  assert.equal((await sdk.responses.retrieve(slow.id)).status, 'cancelled');
});

test('a stream is read on from each of its events', async () => {
  const events = await all(await sdk.responses.create({ model: 'echo', input: 'one two', stream: true }));
  const { id } = events[0].response;

  for (const { sequence_number: starting_after } of events) {
    const rest = await all(await sdk.responses.retrieve(id, { stream: true, starting_after }));
    assert.deepEqual(rest, events.slice(starting_after + 1));
  }
});

test('a stream in the background that was left is read on while it is made', async () => {
  const asked = { model: 'echo', input: '[[delay 0 between=0.02]] one two three four five', background: true, stream: true };
  const came = [];
  for await (const event of await sdk.responses.create(asked)) {
    came.push(event);
    if (event.type === 'response.output_text.delta') break;
  }
  const { id } = came[0].response;
  const rest = await all(await sdk.responses.retrieve(id, { stream: true, starting_after: came.at(-1).sequence_number }));
  const gathered = await sdk.responses.stream({ response_id: id }).finalResponse();

  assert.deepEqual(numbers([...came, ...rest]), [...came, ...rest].map((_, number) => number));
  assert.equal(rest.at(-1).type, 'response.completed');
  assert.equal(gathered.output_text, 'one two three four five');
});

test('a response can be gone on with the instant its stream has ended', async () => {
  let previous_response_id = null;
  for (let turn = 0; turn < 30; turn += 1) {
    const asked = { model: 'echo', input: `${turn}`, previous_response_id, stream: true };
    for await (const event of await sdk.responses.create(asked)) {
      if (event.type === 'response.completed') previous_response_id = event.response.id;
    }
  }

  assert.equal((await sdk.responses.retrieve(previous_response_id)).usage.input_tokens, 2 * 30 - 1);
});

test('what a dialogue is to a model is counted, and a long one is made short', async () => {
  const first = await sdk.responses.create({ model: 'echo', input: 'one two three' });
  const { id: previous_response_id } = first;
  const counted = await sdk.responses.inputTokens.count({ model: 'echo', input: 'four', previous_response_id });
  const short = await sdk.responses.compact({ model: 'echo', input: 'four', previous_response_id });
  const on = await sdk.responses.create({ model: 'echo', input: [...short.output, { role: 'user', content: 'five' }] });

  assert.deepEqual([counted.object, counted.input_tokens > 0], ['response.input_tokens', true]);
  assert.equal(short.output.at(-1).type, 'compaction');
  assert.equal(on.output_text, 'five');
});
