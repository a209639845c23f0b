import { createServer } from "node:http";
import { createYoga } from "graphql-yoga";
import { SUBSCRIPTION, schemaOf } from "../graphql.mjs";
import { left, streamed } from "../visit.mjs";

const subscribe = (url, signal) =>
  fetch(`${url}/graphql?query=${encodeURIComponent(SUBSCRIPTION)}`, {
    headers: { accept: "text/event-stream" },
    signal,
  });

/** Throws unless the text has a part. */
function expectPart(text, part) {
  if (!text.includes(part)) throw new Error(`${part} is not in ${text.slice(0, 200)}`);
  return "yes";
}

export const packages = ["graphql-yoga"];
export const label = "GraphQL Yoga";
export const checks = {
  subscription: streamed(subscribe),
  leave: left(subscribe),
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

export const backend = (script) => createServer(createYoga({ schema: schemaOf(script), logging: false }));
