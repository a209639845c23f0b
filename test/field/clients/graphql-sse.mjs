import { createServer } from "node:http";
import { createClient } from "graphql-sse";
import { createHandler } from "graphql-sse/lib/use/http";
import { SUBSCRIPTION, schemaOf } from "../graphql.mjs";
import { refusing } from "../wires.mjs";

export const backend = (script) =>
  createServer(refusing(script, createHandler({ schema: schemaOf(script) })));

export async function read(url, { saw, signal }) {
  const client = createClient({ url, retryAttempts: 0 });
  signal.addEventListener("abort", () => client.dispose());
  for await (const { data, errors } of client.iterate({ query: SUBSCRIPTION })) {
    if (errors) throw errors[0];
    saw(data.token);
  }
}
