// The official Node SDK while the upstream fails or the client leaves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { all, failure, noting, sdk, says } from './sdk.mjs';

const streamed = (content) => sdk.chat.completions.create({ model: 'echo', messages: says(content), stream: true });

/** The SDK's numbers of its attempts. */
const attempts = (sent) => sent.map((request) => request.headers.get('x-stainless-retry-count'));

test('a rate limit without a time is tried again by the SDK', async () => {
  const [noted, sent] = noting();
  const answer = await noted.chat.completions.create({ model: 'echo', messages: says('[[fault 429 times=1]] Hi') });

  assert.equal(answer.choices[0].message.content, 'Hi');
  assert.deepEqual(attempts(sent), ['0', '1']);
});

test('a short rate limit is waited for by the server and the SDK never sees it', async () => {
  const [noted, sent] = noting();
  const messages = says('[[fault 429 retry-after-ms=1 times=1]] Hi');
  const answer = await noted.chat.completions.create({ model: 'echo', messages });

  assert.equal(answer.choices[0].message.content, 'Hi');
  assert.deepEqual(attempts(sent), ['0']);
});

test('a long rate limit is told and the SDK does not wait for it', async () => {
  const [noted, sent] = noting();
  const messages = says('[[fault 429 retry-after=121]] Hi');
  const error = await failure(noted.chat.completions.create({ model: 'echo', messages }));

  assert.ok(error instanceof OpenAI.RateLimitError);
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.deepEqual(attempts(sent), ['0']);
});

test('an upstream that fails is tried again by the server and never by the SDK', async () => {
  const [noted, sent] = noting();
  const messages = says('[[fault 500]] Hi');
  const error = await failure(noted.chat.completions.create({ model: 'echo', messages }));

  assert.deepEqual([error.constructor.name, error.status, error.code], ['InternalServerError', 502, 'upstream_error']);
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.deepEqual(attempts(sent), ['0']);
});

for (const fault of ['fin', 'reset', 'bad-json', 'error-event', 'named-error-event', 'no-finish']) {
  test(`a stream that breaks off (${fault}) is an error after the words that came`, async () => {
    const said = [];
    const error = await failure(
      (async () => {
        for await (const chunk of await streamed(`[[fault ${fault} after=2]] one two three`)) {
          said.push(chunk.choices[0].delta.content ?? '');
        }
      })(),
    );

    assert.ok(error instanceof OpenAI.APIError);
    assert.match(error.code, /^upstream_/);
    assert.match(said.join(''), /^one two/);
  });
}

test('a stream that is strangely written is read all the same', async () => {
  for (const fault of ['crlf', 'bom', 'comments', 'bytewise', 'null-content', 'empty-choices']) {
    const chunks = await all(await streamed(`[[fault ${fault}]] one two`));
    assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join(''), 'one two', fault);
  }
});

test('a loop that is left, and a stream that is aborted, end the request', async () => {
  const slowly = '[[delay 0 between=0.02]] [[words 1000]] on';
  for await (const chunk of await streamed(slowly)) if (chunk.choices[0].delta.content) break;
  const aborted = await streamed(slowly);
  const said = [];
  for await (const chunk of aborted) {
    said.push(chunk.choices[0].delta.content ?? '');
    if (said.length === 3) aborted.controller.abort();
  }

  assert.ok(said.length < 1000);
});

test('a client whose patience ends says so, and one that is told to stop', async () => {
  const asked = { model: 'echo', messages: says('[[fault hang-headers]] Hi') };
  const [hasty, stopped] = await Promise.all([
    failure(sdk.chat.completions.create(asked, { timeout: 1000, maxRetries: 0 })),
    failure(sdk.chat.completions.create(asked, { signal: AbortSignal.timeout(1000) })),
  ]);

  assert.ok(hasty instanceof OpenAI.APIConnectionTimeoutError);
  assert.ok(stopped instanceof OpenAI.APIUserAbortError);
});

test('a sound that breaks off is an error while it is read', async () => {
  const input = '[[fault reset]] one two three';
  const answer = await sdk.audio.speech.create({ model: 'echo-speech', voice: 'alloy', input, response_format: 'wav' });

  assert.ok((await failure(answer.arrayBuffer())) instanceof TypeError);
});

for (const fault of ['fin', 'reset', 'error-event']) {
  test(`a stream of pictures that breaks off (${fault}) is an error after those that came`, async () => {
    const prompt = `[[fault ${fault} after=1]] a tree`;
    const came = [];
    const asked = { model: 'echo-image', prompt, size: '64x64', stream: true, partial_images: 2 };
    const error = await failure(
      (async () => {
        for await (const event of await sdk.images.generate(asked)) came.push(event.type);
      })(),
    );

    assert.deepEqual(came, ['image_generation.partial_image']);
    assert.ok(error instanceof OpenAI.APIError);
    assert.match(error.code, /^upstream_/);
  });
}
