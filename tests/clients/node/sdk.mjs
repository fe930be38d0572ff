// The official Node SDK as its users make it, with the base URL and the key that the Python test tells.
import OpenAI from 'openai';

export const { BASE_URL: baseURL, KEY: apiKey } = process.env;

export const sdk = new OpenAI({ baseURL, apiKey });

export const says = (content) => [{ role: 'user', content }];

/** The SDK with `options`, and the list of what it will have sent: each request's path and headers. */
export function noting(options = {}) {
  const sent = [];
  const noted = (url, init) => {
    sent.push({ path: new URL(url).pathname, headers: new Headers(init.headers) });
    return fetch(url, init);
  };
  return [new OpenAI({ baseURL, apiKey, fetch: noted, ...options }), sent];
}

/** Everything that comes out of `stream`, in order. */
export async function all(stream) {
  const came = [];
  for await (const each of stream) came.push(each);
  return came;
}

export const text = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');

/** What `asked` fails with; that it fails is part of it. */
export async function failure(asked) {
  let answer;
  try {
    answer = await asked;
  } catch (error) {
    return error;
  }
  throw new Error(`It was answered: ${JSON.stringify(answer)}`);
}
