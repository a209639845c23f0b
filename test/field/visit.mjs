import { TEXT, TOKENS } from "./script.mjs";

/** The style sheet that each application serves at /style.css. */
export const STYLE = "p { color: green }\n".repeat(100);
const UPLOAD = "x".repeat(300_000);

/** Throws unless a condition holds. */
function expect(isMet, text) {
  if (!isMet) throw new Error(text);
}

/** Calls `saw` with each token as it comes in a text that has more between them. */
export async function readTokens(chunks, saw) {
  const decoder = new TextDecoder();
  let text = "";
  let next = 0;
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    for (let at = find(text, next); at >= 0; at = find(text, next)) {
      text = text.slice(at);
      saw(TOKENS[next]);
      next += 1;
    }
  }
}

const find = (text, next) => (next < TOKENS.length ? text.indexOf(TOKENS[next].trim()) : -1);

/** The parts of a streamed response come at once, all of them. */
export const streamed = (request) => async (url, begin) => {
  const round = begin("tokens");
  const response = await request(url, round.signal);
  expect(response.status === 200, `status ${response.status}`);
  await readTokens(response.body, round.saw);
  expect(round.text === TEXT, `the page has ${JSON.stringify(round.text)}`);
  return round.isHeld ? "late" : "yes";
};

/** The backend notices a client that leaves in the middle of a response. */
export const left = (request) => async (url, begin) => {
  const round = begin("abort");
  const reading = request(url, round.signal).then(({ body }) => readTokens(body, round.saw));
  await reading.catch(() => undefined);
  expect(await round.isLost(), "the backend does not notice that the client left");
  return "yes";
};

const page = (url, signal) => fetch(url, { signal });

/**
 * A visit to a web application: / is a page of the tokens, /style.css an asset with an ETag, POST /login takes a form,
 * sets a cookie and redirects to /me, /old redirects with an absolute address, POST /upload returns the length of its
 * body, and any other path is 404.
 */
export const visit = {
  page: streamed(page),
  leave: left(page),

  async asset(url) {
    const response = await fetch(`${url}/style.css`);
    expect((await response.text()) === STYLE, "the style sheet is not whole");
    const etag = response.headers.get("etag");
    expect(etag !== null, "no ETag");
    // Without a Cache-Control of its own, fetch adds no-cache.
    const headers = { "if-none-match": etag, "cache-control": "max-age=0" };
    const again = await fetch(`${url}/style.css`, { headers });
    expect(again.status === 304, `status ${again.status} in place of 304`);
    return "yes";
  },

  async login(url) {
    const body = new URLSearchParams({ user: "Ada" });
    const response = await fetch(`${url}/login`, { method: "POST", body, redirect: "manual" });
    expect([302, 303].includes(response.status), `status ${response.status} in place of a redirect`);
    const target = new URL(response.headers.get("location"), url);
    expect(target.origin === url, `redirected to ${target}`);
    const cookie = response.headers
      .getSetCookie()
      .map((line) => line.split(";")[0])
      .join("; ");
    const text = await (await fetch(target, { headers: { cookie } })).text();
    expect(text.includes("Hello Ada"), `the page of the user has ${text.slice(0, 100)}`);
    return "yes";
  },

  async redirect(url) {
    const response = await fetch(`${url}/old`, { redirect: "manual" });
    const target = new URL(response.headers.get("location"), url);
    expect(target.href === `${url}/me`, `redirected to ${target}`);
    return "yes";
  },

  async upload(url) {
    const headers = { "content-type": "text/plain" };
    const response = await fetch(`${url}/upload`, { method: "POST", body: UPLOAD, headers });
    const text = await response.text();
    expect(text === String(UPLOAD.length), `the upload has ${text.slice(0, 100)}`);
    return "yes";
  },

  async missing(url) {
    const response = await fetch(`${url}/missing`);
    expect(response.status === 404, `status ${response.status} in place of 404`);
    return "yes";
  },
};
