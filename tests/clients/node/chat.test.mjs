// The official Node SDK: what it is used for on an ordinary day.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { all, baseURL, sdk, says, text } from './sdk.mjs';

const chat = sdk.chat.completions;

const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
    strict: true,
  },
};

const Capital = z.object({ country: z.string(), city: z.string(), inhabitants: z.number().int() });

test('models are listed with the ids that chatbot-ui knows, and each is retrieved by its id', async () => {
  const listed = (await all(sdk.models.list())).map((model) => model.id);

  assert.deepEqual(listed.slice(0, 3), ['echo', 'echo-reasoning', 'echo-embedding']);
  for (const known of ['gpt-3.5-turbo', 'gpt-35-turbo', 'gpt-4', 'gpt-4-32k']) assert.ok(listed.includes(known), known);
  for (const id of listed) assert.equal((await sdk.models.retrieve(id)).id, id);
});

test('a chat is answered whole', async () => {
  const answer = await chat.create({ model: 'echo', messages: says('Grüße from 世界') });

  assert.equal(answer.choices[0].message.content, 'Grüße from 世界');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.usage.total_tokens, 6);
  assert.match(answer._request_id, /^\S+$/);
});

test('a stream comes in chunks and ends with one finish reason', async () => {
  const chunks = await all(await chat.create({ model: 'echo', messages: says('one two three'), stream: true }));

  const said = chunks.map((chunk) => chunk.choices[0].delta.content).filter(Boolean);
  assert.deepEqual(said, ['one', ' two', ' three']);
  assert.deepEqual(chunks.map((chunk) => chunk.choices[0].finish_reason).filter(Boolean), ['stop']);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
});

test('usage comes once and last where it was asked for', async () => {
  const asked = { model: 'echo', messages: says('one two'), stream: true, stream_options: { include_usage: true } };
  const chunks = await all(await chat.create(asked));
  const last = chunks.pop();

  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
  assert.deepEqual(last.choices, []);
  assert.deepEqual([last.usage.prompt_tokens, last.usage.completion_tokens], [2, 2]);
});

test('the stream helper tells its events and gathers the answer', async () => {
  const said = [];
  const stream = chat.stream({ model: 'echo', messages: says('one two three') });
  stream.on('content', (delta) => said.push(delta));
  const answer = await stream.finalChatCompletion();

  assert.deepEqual(said, ['one', ' two', ' three']);
  assert.equal(answer.choices[0].message.content, 'one two three');
});

test('a stream goes on to a browser as lines, and is read there', async () => {
  const stream = await chat.create({ model: 'echo', messages: says('one two'), stream: true });
  const lines = (await new Response(stream.toReadableStream()).text()).trimEnd().split('\n');

  assert.equal(text(lines.map((line) => JSON.parse(line))), 'one two');
});

test('an answer is parsed into the shape of a zod schema', async () => {
  const response_format = zodResponseFormat(Capital, 'capital');
  const answer = await chat.parse({ model: 'echo', messages: says('Paris'), response_format });
  const streamed = chat.stream({ model: 'echo', messages: says('Rome'), response_format });

  assert.deepEqual(answer.choices[0].message.parsed, { country: 'Paris', city: 'Paris', inhabitants: 0 });
  const { message } = (await streamed.finalChatCompletion()).choices[0];
  assert.deepEqual(message.parsed, { country: 'Rome', city: 'Rome', inhabitants: 0 });
});

test('a tool is called and its result spoken', async () => {
  const messages = says('[[tool get_weather city=Paris]] How is the weather?');
  const first = (await chat.create({ model: 'echo', messages, tools: [WEATHER] })).choices[0];
  const [call] = first.message.tool_calls;
  messages.push(first.message, { role: 'tool', tool_call_id: call.id, content: 'Sunny in Paris' });
  const last = await chat.create({ model: 'echo', messages, tools: [WEATHER] });

  assert.equal(first.finish_reason, 'tool_calls');
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Paris' });
  assert.equal(last.choices[0].message.content, 'Sunny in Paris');
});

test('parallel tool calls are gathered from a stream', async () => {
  const prompt = '[[tool get_weather city=Paris]] [[tool get_weather city=Rome]] Both?';
  const tools = [zodFunction({ name: 'get_weather', parameters: z.object({ city: z.string() }) })];
  const answer = await chat.stream({ model: 'echo', messages: says(prompt), tools }).finalChatCompletion();

  const calls = answer.choices[0].message.tool_calls;
  assert.deepEqual(calls.map((call) => call.function.parsed_arguments), [{ city: 'Paris' }, { city: 'Rome' }]);
  assert.equal(new Set(calls.map((call) => call.id)).size, 2);
});

test('runTools goes round with tools until there is an answer', async () => {
  const asked = [];
  const warm = {
    ...WEATHER,
    function: {
      ...WEATHER.function,
      parse: JSON.parse,
      function: ({ city }) => {
        asked.push(city);
        return `Warm in ${city}.`;
      },
    },
  };
  const messages = says('[[tool get_weather city=Oslo]] [[tool get_weather city=Bern]] Where is it warm?');
  const run = chat.runTools({ model: 'echo', messages, tools: [warm], stream: true });

  assert.equal(await run.finalContent(), 'Warm in Oslo. Warm in Bern.');
  assert.deepEqual(asked, ['Oslo', 'Bern']);
});

test('several choices are told apart', async () => {
  const words = ['', '', ''];
  for await (const chunk of await chat.create({ model: 'echo', messages: says('a b'), n: 3, stream: true })) {
    for (const choice of chunk.choices) words[choice.index] += choice.delta.content ?? '';
  }

  assert.deepEqual(words, ['a b', 'a b', 'a b']);
});

test('an alias answers under its own name, and a model may think first', async () => {
  const whole = await chat.create({ model: 'gpt-4', messages: says('Hi') });
  const asked = { model: 'echo-reasoning', messages: says('four'), max_completion_tokens: 50 };
  const thought = await chat.create(asked);

  assert.equal(whole.model, 'gpt-4');
  assert.equal(thought.choices[0].message.content, 'four');
  assert.equal(thought.choices[0].message.reasoning_content.split(' ').length, 5);
  assert.equal(thought.usage.completion_tokens_details.reasoning_tokens, 5);
});

test('thirty streams at once are not mixed up', async () => {
  const numbered = (number) => Array(20).fill(`word${number}`).join(' ');
  const asked = async (_, number) =>
    text(await all(await chat.create({ model: 'echo', messages: says(numbered(number)), stream: true })));
  const answers = await Promise.all(Array.from({ length: 30 }, asked));

  assert.deepEqual(answers, Array.from({ length: 30 }, (_, number) => numbered(number)));
});

test('a base URL without its version is understood', async () => {
  const bare = sdk.withOptions({ baseURL: new URL(baseURL).origin });

  assert.equal(text(await all(await bare.chat.completions.create({ model: 'echo', messages: says('Hi'), stream: true }))), 'Hi');
});
