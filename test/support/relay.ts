import { type Backend, type BackendRequest, startBackend } from "./backend.ts";
import { type GatewayFixture, startGatewayTo } from "./gateway.ts";
import { openStream, type StreamClient, type StreamRequest } from "./sse-client.ts";

export interface OpenRelay {
  readonly backend: Backend;
  readonly gateway: GatewayFixture;
  /** The request at the backend; `emit` sends events. */
  readonly request: BackendRequest;
  readonly client: StreamClient;
}

/** A client, the gateway and a backend, with an event stream open through all of them. */
export async function openRelay({
  route = {},
  fields = {},
  request: clientRequest = {},
}: {
  route?: Readonly<Record<string, unknown>>;
  /** Response fields of the backend, in addition to Content-Type and Transfer-Encoding. */
  fields?: Readonly<Record<string, string | readonly string[]>>;
  request?: StreamRequest;
} = {}): Promise<OpenRelay> {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, route);
  const client = openStream(gateway.port, { path: "/stream", ...clientRequest });
  const request = await backend.nextRequest();
  request.openStream(fields);
  if (clientRequest.paused !== true) await client.opened();
  return { backend, gateway, request, client };
}
