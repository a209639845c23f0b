import { createServer } from "node:http";
import {
  createApp,
  createRouter,
  eventHandler,
  getCookie,
  getRequestURL,
  handleCacheHeaders,
  readBody,
  readRawBody,
  sendRedirect,
  sendStream,
  setCookie,
  setResponseHeader,
  toNodeListener,
} from "h3";
import { STYLE, visit } from "../visit.mjs";

export const label = "h3, the server of Nuxt and Nitro";
export const checks = visit;

async function login(event) {
  setCookie(event, "user", (await readBody(event)).user, { httpOnly: true });
  return await sendRedirect(event, "/me", 303);
}

function style(event) {
  const isCached = handleCacheHeaders(event, { etag: `"${STYLE.length}"` });
  setResponseHeader(event, "content-type", "text/css");
  return isCached ? null : STYLE;
}

export function backend(script) {
  const page = (event) => {
    setResponseHeader(event, "content-type", "text/html; charset=utf-8");
    return sendStream(event, ReadableStream.from(bytesOf(script.round.tokens())));
  };
  const router = createRouter()
    .get("/", eventHandler(page))
    .get("/style.css", eventHandler(style))
    .post("/login", eventHandler(login))
    .get(
      "/me",
      eventHandler((event) => `Hello ${getCookie(event, "user")}`),
    )
    .get(
      "/old",
      eventHandler((event) => sendRedirect(event, new URL("/me", getRequestURL(event)).href)),
    )
    .post(
      "/upload",
      eventHandler(async (event) => `${(await readRawBody(event)).length}`),
    );
  return createServer(toNodeListener(createApp().use(router)));
}

async function* bytesOf(tokens) {
  for await (const token of tokens) yield new TextEncoder().encode(token);
}
