import { createServer } from "node:http";
import { GraphQLError } from "graphql";
import { createClient } from "graphql-ws";
import { useServer as serve } from "graphql-ws/use/ws";
import { WebSocket, WebSocketServer } from "ws";
import { SUBSCRIPTION, schemaOf } from "../graphql.mjs";
import { ERROR_TEXT } from "../script.mjs";

export const label = "`graphql-ws` (WebSocket)";
export const needs = "websocket";

export function backend(script) {
  // As common servers do: without it a request that is no upgrade would hang.
  const server = createServer((_request, response) => response.writeHead(426).end());
  const onSubscribe = () => (script.round.mode === "error" ? [new GraphQLError(ERROR_TEXT)] : undefined);
  serve({ schema: schemaOf(script), onSubscribe }, new WebSocketServer({ server }));
  return server;
}

export async function read(url, { saw, signal }) {
  const client = createClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket, retryAttempts: 0 });
  signal.addEventListener("abort", () => client.terminate());
  for await (const { data } of client.iterate({ query: SUBSCRIPTION })) saw(data.token);
}
