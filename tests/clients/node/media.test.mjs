// The official Node SDK: moderation, pictures, speech and transcripts, whole, streamed, and sent as files.
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { toFile } from 'openai';
import { all, failure, sdk } from './sdk.mjs';

const PNG = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** Width and height of a PNG that came as base64. */
function size(b64_json) {
  const bytes = Buffer.from(b64_json, 'base64');
  assert.deepEqual(bytes.subarray(0, 8), PNG);
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

const picture = async (prompt, name = 'picture.png') => {
  const { data } = await sdk.images.generate({ model: 'echo-image', prompt, size: '64x64' });
  return toFile(Buffer.from(data[0].b64_json, 'base64'), name, { type: 'image/png' });
};

const spoken = (input) => sdk.audio.speech.create({ model: 'echo-speech', voice: 'alloy', input, response_format: 'wav' });

test('a text is moderated, and each of several', async () => {
  const one = await sdk.moderations.create({ input: '[[flag violence]] a fight' });
  const many = await sdk.moderations.create({ model: 'echo-moderation', input: ['a tree', '[[flag violence]] a fight'] });

  assert.equal(one.results[0].categories.violence, true);
  assert.deepEqual(many.results.map((result) => result.flagged), [false, true]);
});

test('pictures are made, as many and as large as asked for', async () => {
  const made = await sdk.images.generate({ model: 'echo-image', prompt: 'a green tree', n: 2, size: '96x64' });

  assert.deepEqual(made.data.map((each) => size(each.b64_json)), [[96, 64], [96, 64]]);
  assert.ok(made.usage.total_tokens > 0);
});

test('a picture comes as an address where that is asked for', async () => {
  const made = await sdk.images.generate({ model: 'echo-dall-e', prompt: 'a tree', size: '64x64', response_format: 'url' });

  const [kind, bytes] = made.data[0].url.split(',');
  assert.equal(kind, 'data:image/png;base64');
  assert.deepEqual(size(bytes), [64, 64]);
});

test('a picture is streamed in ever better ones', async () => {
  const asked = { model: 'echo-image', prompt: 'a tree', size: '64x64', stream: true, partial_images: 2 };
  const events = await all(await sdk.images.generate(asked));

  const partial = 'image_generation.partial_image';
  assert.deepEqual(events.map((event) => event.type), [partial, partial, 'image_generation.completed']);
  assert.ok(events.every((event) => size(event.b64_json)[0] === 64));
  assert.ok(events.at(-1).usage.total_tokens > 0);
});

test('pictures are edited: one, several, with a mask, streamed', async () => {
  const [tree, hill] = await Promise.all([picture('a tree'), picture('a hill')]);
  const one = await sdk.images.edit({ model: 'echo-image', image: tree, prompt: 'with snow', size: '64x64' });
  const several = { model: 'echo-image', image: [tree, hill], mask: tree, prompt: 'both', size: '64x64' };
  const events = await all(await sdk.images.edit({ ...several, stream: true, partial_images: 1 }));

  assert.deepEqual(size(one.data[0].b64_json), [64, 64]);
  assert.deepEqual(events.map((event) => event.type), ['image_edit.partial_image', 'image_edit.completed']);
});

test('a picture is varied', async () => {
  const asked = { model: 'echo-dall-e', image: await picture('a tree'), n: 2, size: '256x256', response_format: 'b64_json' };
  const { data } = await sdk.images.createVariation(asked);

  assert.deepEqual(data.map((each) => size(each.b64_json)), [[256, 256], [256, 256]]);
});

test('speech goes into a file, and its transcript is what was said', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'spoken-')), 'said.wav');
  const answer = await spoken('Grüße from 世界');
  await writeFile(file, Buffer.from(await answer.arrayBuffer()));
  const heard = await sdk.audio.transcriptions.create({ model: 'echo-transcribe', file: createReadStream(file) });

  assert.match(answer.headers.get('content-type'), /^audio\/wav/);
  assert.equal((await readFile(file)).subarray(0, 4).toString(), 'RIFF');
  assert.equal(heard.text, 'Grüße from 世界');
  assert.ok(heard.usage.total_tokens > 0);
});

test('speech is read while it comes', async () => {
  const { body } = await spoken('one two three');
  let bytes = 0;
  for await (const piece of body) bytes += piece.length;

  assert.ok(bytes > 44);
});

test('speech comes as events where that is asked for', async () => {
  const asked = { model: 'echo-speech', voice: 'alloy', input: 'one two', response_format: 'pcm', stream_format: 'sse' };
  const answer = await sdk.audio.speech.create(asked);
  const lines = (await answer.text()).split('\n').filter((line) => line.startsWith('data: {'));
  const events = lines.map((line) => JSON.parse(line.slice('data: '.length)));

  assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
  assert.ok(events.slice(0, -1).every((event) => event.type === 'speech.audio.delta' && event.audio));
  assert.equal(events.at(-1).type, 'speech.audio.done');
});

test('a transcript comes in every form', async () => {
  const file = await toFile(await spoken('one two three'), 'said.wav');
  const ask = (response_format) => sdk.audio.transcriptions.create({ model: 'echo-whisper', file, response_format });
  const verbose = await ask('verbose_json');

  assert.equal((await ask('text')).trim(), 'one two three');
  assert.match(await ask('srt'), /^1\n00:00:00,000 --> /);
  assert.match(await ask('vtt'), /^WEBVTT\n/);
  assert.deepEqual(verbose.segments.map((segment) => segment.text.trim()), ['one two three']);
  assert.equal(verbose.usage.type, 'duration');
});

test('a transcript is streamed word by word', async () => {
  const file = await toFile(await spoken('one two three'), 'said.wav');
  const events = await all(await sdk.audio.transcriptions.create({ model: 'echo-transcribe', file, stream: true }));
  const last = events.pop();

  assert.ok(events.every((event) => event.type === 'transcript.text.delta'));
  assert.equal(events.map((event) => event.delta).join(''), 'one two three');
  assert.deepEqual([last.type, last.text], ['transcript.text.done', 'one two three']);
});

test('a translation is heard, too', async () => {
  const file = await toFile(await spoken('one two'), 'said.wav');

  assert.equal((await sdk.audio.translations.create({ model: 'echo-whisper', file })).text, 'one two');
});

test('what is wrong with a form names its field', async () => {
  const file = await toFile(Buffer.from('no sound'), 'said.wav');
  const told = async (asked) => {
    const error = await failure(asked);
    return [error.constructor.name, error.param];
  };

  assert.deepEqual(await told(sdk.audio.transcriptions.create({ file })), ['BadRequestError', 'model']);
  assert.deepEqual(await told(sdk.audio.transcriptions.create({ model: 'echo-whisper' })), ['BadRequestError', 'file']);
  assert.deepEqual(await told(sdk.images.edit({ image: file, prompt: 'x', n: 'many' })), ['BadRequestError', 'n']);
  assert.deepEqual(await told(sdk.audio.speech.create({ model: 'echo-speech', voice: 'alloy' })), ['BadRequestError', 'input']);
});
