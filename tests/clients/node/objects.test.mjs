// The official Node SDK: files, uploads, vector stores, containers and conversations, which the upstream keeps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toFile } from 'openai';
import { all, failure, sdk } from './sdk.mjs';

const ids = (objects) => objects.map((each) => each.id);

const upload = async (text, name = 'notes.txt') =>
  sdk.files.create({ file: await toFile(Buffer.from(text), name), purpose: 'user_data' });

test('a file is kept, found, read and forgotten', async () => {
  const file = await upload('Grüße from 世界');
  const listed = await all(sdk.files.list({ purpose: 'user_data' }));
  const content = await (await sdk.files.content(file.id)).text();

  assert.deepEqual([file.bytes, file.filename], [Buffer.byteLength('Grüße from 世界'), 'notes.txt']);
  assert.deepEqual(ids(listed), [file.id]);
  assert.equal((await sdk.files.retrieve(file.id)).id, file.id);
  assert.equal(content, 'Grüße from 世界');
  assert.equal((await sdk.files.delete(file.id)).deleted, true);
  assert.equal((await failure(sdk.files.retrieve(file.id))).status, 404);
});

test('pages of a list are fetched one after the other', async () => {
  const made = [];
  for (const name of ['a.txt', 'b.txt', 'c.txt']) made.push(await upload(name, name));

  assert.deepEqual(ids(await all(sdk.files.list({ limit: 1, order: 'asc' }))), ids(made));
  for (const file of made) await sdk.files.delete(file.id);
});

test('a large file is sent in parts', async () => {
  const parts = ['one ', 'two'];
  const bytes = parts.join('').length;
  const begun = await sdk.uploads.create({ bytes, filename: 'parts.txt', mime_type: 'text/plain', purpose: 'user_data' });
  const sent = [];
  for (const part of parts) sent.push(await sdk.uploads.parts.create(begun.id, { data: await toFile(Buffer.from(part)) }));
  const { status, file } = await sdk.uploads.complete(begun.id, { part_ids: ids(sent) });

  assert.equal(status, 'completed');
  assert.equal(await (await sdk.files.content(file.id)).text(), 'one two');
  await sdk.files.delete(file.id);
});

test('a vector store takes files and finds them', async () => {
  const store = await sdk.vectorStores.create({ name: 'trees' });
  const [oak, clock] = await Promise.all([upload('a green oak', 'oak.txt'), upload('thirteen clocks', 'clock.txt')]);
  await sdk.vectorStores.files.createAndPoll(store.id, { file_id: oak.id });
  await sdk.vectorStores.fileBatches.createAndPoll(store.id, { file_ids: [clock.id] });
  const found = await all(sdk.vectorStores.search(store.id, { query: 'green oak' }));

  assert.equal(found[0].file_id, oak.id);
  assert.deepEqual(new Set(ids(await all(sdk.vectorStores.files.list(store.id)))), new Set([oak.id, clock.id]));
  assert.deepEqual(ids(await all(sdk.vectorStores.list())), [store.id]);
  assert.equal((await sdk.vectorStores.delete(store.id)).deleted, true);
  for (const file of [oak, clock]) await sdk.files.delete(file.id);
});

test('a container keeps files', async () => {
  const container = await sdk.containers.create({ name: 'work' });
  const file = await sdk.containers.files.create(container.id, { file: await toFile(Buffer.from('x = 1'), 'a.py') });
  const content = await sdk.containers.files.content.retrieve(file.id, { container_id: container.id });

  assert.equal(await content.text(), 'x = 1');
  assert.deepEqual(ids(await all(sdk.containers.list())), [container.id]);
  await sdk.containers.delete(container.id);
});

test('a conversation is kept with its items', async () => {
  const conversation = await sdk.conversations.create({ metadata: { topic: 'trees' } });
  const items = [{ type: 'message', role: 'user', content: 'one' }];
  const made = await sdk.conversations.items.create(conversation.id, { items });

  assert.equal((await sdk.conversations.retrieve(conversation.id)).metadata.topic, 'trees');
  assert.deepEqual(ids(await all(sdk.conversations.items.list(conversation.id))), ids(made.data));
  assert.equal((await sdk.conversations.delete(conversation.id)).deleted, true);
});

test("what is another's, or nobody's, is not found", async () => {
  const missing = [
    sdk.files.retrieve('file-of-another'),
    sdk.files.content('file-of-another'),
    sdk.vectorStores.retrieve('vs_of_another'),
    sdk.vectorStores.create({ file_ids: ['file-of-another'] }),
    sdk.conversations.retrieve('conv_of_another'),
    sdk.containers.retrieve('cntr_of_another'),
    sdk.chat.completions.retrieve('chatcmpl-of-another'),
  ];

  for (const error of await Promise.all(missing.map(failure))) assert.equal(error.constructor.name, 'NotFoundError');
});
