// The official Node SDK: every refusal is the right error, and is asked for once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { baseURL, failure, noting, sdk, says } from './sdk.mjs';

const HI = says('Hi');
const chat = sdk.chat.completions;

/** The class of an error, with its status, type, code and param. */
const told = (error) => [error.constructor.name, error.status, error.type, error.code, error.param];

test('a wrong key is an authentication error with the id of its request', async () => {
  const stranger = new OpenAI({ baseURL, apiKey: 'sk-lb-wrong' });
  const error = await failure(stranger.chat.completions.create({ model: 'echo', messages: HI }));

  assert.ok(error instanceof OpenAI.AuthenticationError);
  assert.deepEqual(told(error), ['AuthenticationError', 401, 'invalid_request_error', 'invalid_api_key', null]);
  assert.ok(error.requestID);
  assert.equal(error.requestID, error.headers.get('x-request-id'));
});

const WRONG = [
  [{ messages: [{ role: 'user' }] }, 'messages[0].content', 'missing_required_parameter'],
  [{ messages: 'Hi' }, 'messages', 'invalid_type'],
  [{ temperature: 'hot' }, 'temperature', 'invalid_type'],
  [{ n: 100_000 }, 'n', 'integer_above_max_value'],
  [{ api_base: 'http://127.0.0.1:1' }, 'api_base', 'unknown_parameter'],
];

for (const [wrong, param, code] of WRONG) {
  test(`a wrong body is a bad request that names ${param}`, async () => {
    for (const stream of [false, true]) {
      const error = await failure(chat.create({ model: 'echo', messages: HI, stream, ...wrong }));
      assert.deepEqual(told(error), ['BadRequestError', 400, 'invalid_request_error', code, param]);
    }
  });
}

test('a model that is not there is not found, with slashes in its name too', async () => {
  const error = await failure(chat.create({ model: 'gpt-9', messages: HI }));

  assert.deepEqual(told(error), ['NotFoundError', 404, 'invalid_request_error', 'model_not_found', 'model']);
  assert.equal((await failure(sdk.models.retrieve('vendor/gpt-9'))).code, 'model_not_found');
});

test('what is not served is said once and not tried again', async () => {
  const [noted, sent] = noting();
  const error = await failure(noted.batches.list());

  assert.deepEqual([error.constructor.name, error.status, error.code], ['InternalServerError', 501, 'not_served']);
  assert.deepEqual(sent.map((request) => request.path), ['/v1/batches']);
});

test('an unknown path is not found, and the message says what is wrong with it', async () => {
  const doubled = sdk.withOptions({ baseURL: `${baseURL}/v1` });
  const error = await failure(doubled.models.list());

  assert.deepEqual([error.constructor.name, error.code], ['NotFoundError', 'not_found']);
  assert.match(error.message, /\/v1/);
});

test('a port where nobody listens is a connection error', async () => {
  const nobody = sdk.withOptions({ baseURL: 'http://127.0.0.1:1/v1', maxRetries: 0 });

  assert.ok((await failure(nobody.models.list())) instanceof OpenAI.APIConnectionError);
});
