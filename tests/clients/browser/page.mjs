// Asks the server of another origin, as web clients do, and tells its own server what it could read.
import OpenAI from './node_modules/openai/index.mjs';

const { base, key, poor, stranger } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

const says = (content) => ({ model: 'echo', messages: [{ role: 'user', content }] });

const headers = (apiKey) => ({ authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' });

const post = (path, body, { apiKey = key, ...options } = {}) =>
  fetch(base + path, { method: 'POST', headers: headers(apiKey), body: JSON.stringify(body), ...options });

/** Status, body and every header that the browser lets a page read. */
const read = async (answer) => ({
  status: answer.status,
  body: await answer.json(),
  headers: Object.fromEntries(answer.headers),
});

/** Events as they come, each as the text that follows `data: `. */
async function* events(answer) {
  let waiting = '';
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (waiting + piece).split('\n\n');
    waiting = blocks.pop();
    for (const block of blocks) if (block.startsWith('data: ')) yield block.slice('data: '.length);
  }
}

const word = (event) => JSON.parse(event).choices?.[0]?.delta.content ?? '';

const asks = {
  models: async () => read(await fetch(`${base}/models`, { headers: headers(key) })),

  whole: async () => read(await post('/chat/completions', says('Grüße from 世界'))),

  async streamed() {
    const answer = await post('/chat/completions', { ...says('one two three'), stream: true });
    const came = [];
    for await (const event of events(answer)) came.push(event);
    return { status: answer.status, last: came.pop(), said: came.map(word).join(''), headers: Object.fromEntries(answer.headers) };
  },

  // Nothing follows the second word: it is read only where nobody holds a stream back until its end.
  async left() {
    const leaving = new AbortController();
    const body = { ...says('[[fault hang-mid-stream after=2]] one two three'), stream: true };
    const said = [];
    try {
      for await (const event of events(await post('/chat/completions', body, { signal: leaving.signal }))) {
        said.push(word(event));
        if (said.join('') === 'one two') leaving.abort();
      }
    } catch (error) {
      return { said: said.join(''), error: error.name };
    }
    return { said: said.join('') };
  },

  async broken() {
    const said = [];
    for await (const event of events(await post('/chat/completions', { ...says('[[fault reset after=2]] one two three'), stream: true }))) {
      const { error } = JSON.parse(event);
      if (error) return { said: said.join(''), error };
      said.push(word(event));
    }
    return { said: said.join('') };
  },

  async heard() {
    const speech = { model: 'echo-speech', voice: 'alloy', input: 'one two three', response_format: 'wav' };
    const spoken = await post('/audio/speech', speech);
    const sound = await spoken.blob();
    const form = new FormData();
    form.append('model', 'echo-transcribe');
    form.append('file', sound, 'said.wav');
    const authorization = headers(key).authorization;
    const heard = await fetch(`${base}/audio/transcriptions`, { method: 'POST', headers: { authorization }, body: form });
    return { type: sound.type, text: (await heard.json()).text };
  },

  async kept() {
    const form = new FormData();
    form.append('purpose', 'user_data');
    form.append('file', new Blob(['one two']), 'notes.txt');
    const authorization = headers(key).authorization;
    const file = await (await fetch(`${base}/files`, { method: 'POST', headers: { authorization }, body: form })).json();
    const content = await fetch(`${base}/files/${file.id}/content`, { headers: { authorization } });
    const deleted = await fetch(`${base}/files/${file.id}`, { method: 'DELETE', headers: { authorization } });
    return {
      text: await content.text(),
      disposition: content.headers.get('content-disposition'),
      deleted: (await deleted.json()).deleted,
    };
  },

  wrong_key: async () => read(await fetch(`${base}/models`, { headers: headers('sk-lb-wrong') })),

  no_model: async () => read(await post('/chat/completions', { ...says('Hi'), model: 'gpt-9' })),

  no_path: async () => read(await fetch(`${base}/v1/models`, { headers: headers(key) })),

  wrong_body: async () => read(await post('/chat/completions', { model: 'echo', messages: 'Hi' })),

  spent: async () => read(await post('/chat/completions', says('more words than there is money for'), { apiKey: poor })),

  async sdk() {
    const sdk = new OpenAI({ baseURL: base, apiKey: key, dangerouslyAllowBrowser: true });
    const said = [];
    for await (const chunk of await sdk.chat.completions.create({ ...says('one two three'), stream: true })) {
      said.push(chunk.choices[0].delta.content ?? '');
    }
    const error = await sdk.chat.completions.create({ ...says('Hi'), model: 'gpt-9' }).catch((raised) => raised);
    return { said: said.join(''), code: error.code, status: error.status, request: error.requestID };
  },
};

/** What a page of an origin that is not let in finds out: for each request, the error or what it could read. */
const tries = {
  models: () => fetch(`${base}/models`, { headers: headers(key) }),
  simple: () => fetch(`${base}/models`),
  chat: () => post('/chat/completions', says('from a stranger')),
};

async function every(named) {
  const told = {};
  for (const [name, ask] of Object.entries(named)) {
    try {
      told[name] = await ask();
    } catch (error) {
      told[name] = { error: `${error.name}: ${error.message}` };
    }
  }
  return told;
}

/** What the same page sees where its origin is another one, in a frame of this page. */
function elsewhere() {
  const frame = document.createElement('iframe');
  const address = new URL(location.href);
  address.host = stranger;
  frame.src = address;
  return new Promise((resolve) => {
    addEventListener('message', (event) => event.origin === address.origin && resolve(event.data));
    document.body.append(frame);
  });
}

function show(told) {
  for (const [name, value] of Object.entries(told)) {
    const [term, description] = [document.createElement('dt'), document.createElement('dd')];
    term.textContent = name;
    description.textContent = JSON.stringify(value, null, 2);
    document.querySelector('dl').append(term, description);
  }
}

if (parent === window) {
  const told = { ...(await every(asks)), elsewhere: await elsewhere() };
  show(told);
  await fetch('/told', { method: 'POST', body: JSON.stringify(told) });
} else {
  const told = await every(tries);
  show(told);
  parent.postMessage(told, '*');
}
