// The official Node SDK: chats that are stored.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, failure, sdk, says, text } from './sdk.mjs';

const ids = (objects) => objects.map((each) => each.id);

test('a chat is stored, listed, changed and forgotten', async () => {
  const asked = { model: 'echo', messages: says('keep this'), store: true, metadata: { topic: 'trees' } };
  const { id, choices } = await sdk.chat.completions.create(asked);
  const listed = await all(sdk.chat.completions.list({ metadata: { topic: 'trees' } }));
  const changed = await sdk.chat.completions.update(id, { metadata: { topic: 'clocks' } });

  assert.deepEqual(ids(listed), [id]);
  assert.equal(changed.metadata.topic, 'clocks');
  assert.deepEqual((await sdk.chat.completions.retrieve(id)).choices, choices);
  assert.equal((await all(sdk.chat.completions.messages.list(id)))[0].content, 'keep this');
  assert.equal((await sdk.chat.completions.delete(id)).deleted, true);
  assert.equal((await failure(sdk.chat.completions.retrieve(id))).status, 404);
});

test('a stream is stored under the id that its chunks tell', async () => {
  const chunks = await all(
    await sdk.chat.completions.create({ model: 'echo', messages: says('one two three'), store: true, stream: true }),
  );
  const kept = await sdk.chat.completions.retrieve(chunks[0].id);

  assert.deepEqual(new Set(ids(chunks)), new Set([kept.id]));
  assert.equal(kept.choices[0].message.content, text(chunks));
});
