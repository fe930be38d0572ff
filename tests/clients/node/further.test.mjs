// The official Node SDK: completions, embeddings, headers, and requests that are sent twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, failure, noting, sdk, says } from './sdk.mjs';

const product = (one, other) => one.reduce((sum, number, place) => sum + number * other[place], 0);

test('the older completions are answered whole and streamed', async () => {
  const whole = await sdk.completions.create({ model: 'echo', prompt: ['one two', 'three'], logprobs: 1 });
  const chunks = await all(await sdk.completions.create({ model: 'echo', prompt: 'one two', stream: true }));

  assert.deepEqual(whole.choices.map((choice) => choice.text), ['one two', 'three']);
  assert.equal(whole.object, 'text_completion');
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(''), 'one two');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
});

test('embeddings come as base64, which the SDK asks for, and are the floats', async () => {
  const input = ['a green tree', 'a green tree', 'a green bush', 'thirteen clocks'];
  const packed = await sdk.embeddings.create({ model: 'echo-embedding', input });
  const plain = await sdk.embeddings.create({ model: 'echo-embedding', input, encoding_format: 'float' });

  const [same, again, near, far] = packed.data.map((each) => Array.from(each.embedding));
  assert.deepEqual(same, again);
  same.forEach((number, place) => assert.ok(Math.abs(number - plain.data[0].embedding[place]) < 1e-6));
  assert.ok(product(same, near) > product(same, far));
  assert.equal(packed.usage.prompt_tokens, 11);
});

test('the SDK asks for base64 by itself, in a body that says so', async () => {
  const bodies = [];
  const [noted] = noting({
    fetch: (url, init) => {
      bodies.push(JSON.parse(init.body));
      return fetch(url, init);
    },
  });
  const answer = await noted.embeddings.create({ model: 'echo', input: 'a tree', dimensions: 8 });

  assert.equal(bodies[0].encoding_format, 'base64');
  assert.equal(answer.data[0].embedding.length, 8);
});

test('raw headers are those of OpenAI, whole and streamed', async () => {
  const asked = { model: 'echo', messages: says('Hi') };
  const whole = await sdk.chat.completions.create(asked).withResponse();
  const streamed = await sdk.chat.completions.create({ ...asked, stream: true }).withResponse();
  await all(streamed.data);

  assert.equal(whole.response.headers.get('openai-version'), '2020-10-01');
  assert.ok(Number(whole.response.headers.get('openai-processing-ms')) >= 0);
  assert.equal(whole.request_id, whole.response.headers.get('x-request-id'));
  assert.equal(streamed.response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.equal(streamed.response.headers.get('x-accel-buffering'), 'no');
  assert.ok(streamed.request_id);
});

test('organization, project and beta headers do no harm', async () => {
  const defaultHeaders = { 'OpenAI-Beta': 'assistants=v2' };
  const [member, sent] = noting({ organization: 'org-x', project: 'proj_x', defaultHeaders });
  const answer = await member.chat.completions.create({ model: 'echo', messages: says('Hi') });

  assert.equal(answer.choices[0].message.content, 'Hi');
  assert.equal(sent[0].headers.get('openai-organization'), 'org-x');
  assert.equal(sent[0].headers.get('x-stainless-lang'), 'js');
});

test('a request that is sent twice under one key is run once', async () => {
  const headers = { 'Idempotency-Key': 'node-1' };
  const ask = (content) => sdk.chat.completions.create({ model: 'echo', messages: says(content) }, { headers }).withResponse();
  const first = await ask('once');
  const second = await ask('once');
  const other = await failure(ask('something else'));

  assert.equal(first.response.headers.get('idempotent-replayed'), null);
  assert.equal(second.response.headers.get('idempotent-replayed'), 'true');
  assert.deepEqual(second.data, first.data);
  assert.deepEqual([other.constructor.name, other.code], ['UnprocessableEntityError', 'idempotency_key_reused']);
});
