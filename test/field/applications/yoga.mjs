import { createServer } from "node:http";
import { useDeferStream as deferStream } from "@graphql-yoga/plugin-defer-stream";
import { createYoga } from "graphql-yoga";
import { STREAMED_QUERY, SUBSCRIPTION, schemaOf } from "../graphql.mjs";
import { left, streamed } from "../visit.mjs";

const ask = (query, accept) => (url, signal) =>
  fetch(`${url}/graphql?query=${encodeURIComponent(query)}`, { headers: { accept }, signal });
const subscribe = ask(SUBSCRIPTION, "text/event-stream");

/** Throws unless the text has a part. */
function expectPart(text, part) {
  if (!text.includes(part)) throw new Error(`${part} is not in ${text.slice(0, 200)}`);
  return "yes";
}

export const packages = ["graphql-yoga"];
export const label = "GraphQL Yoga";
export const checks = {
  events: streamed(subscribe),
  leave: left(subscribe),
  parts: streamed(ask(STREAMED_QUERY, "multipart/mixed")),
  async query(url) {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ query: "{ __typename }" });
    const response = await fetch(`${url}/graphql`, { method: "POST", headers, body });
    return expectPart(await response.text(), `"__typename":"Query"`);
  },
  async page(url) {
    const response = await fetch(`${url}/graphql`, { headers: { accept: "text/html" } });
    return expectPart(await response.text(), "GraphiQL");
  },
};

export const backend = (script) =>
  createServer(createYoga({ schema: schemaOf(script), plugins: [deferStream()], logging: false }));
