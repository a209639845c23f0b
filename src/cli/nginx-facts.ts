import type { ListenAddress } from "../config/address-schema.ts";
import { heartbeatMs } from "../config/heartbeat-schema.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { InputError } from "../nginx/lint/inputs.ts";
import type { SluiceFacts } from "../nginx/lint/options.ts";

/** Returns the parts of a sluice configuration that lint needs. Throws InputError if it cannot be loaded. */
export function readFacts(directory: string): SluiceFacts {
  const loaded = loadConfig(directory, process.env);
  if ("problems" in loaded) throw new InputError(loaded.problems.map(formatProblem).join("\n"));
  const { server, routes } = loaded.config;
  return {
    listeners: server.listen.map(({ address, tls, proxyProtocol }) => ({
      ...addressOf(address),
      hasProxyProtocol: proxyProtocol,
      hasTls: tls !== undefined,
    })),
    routes: routes.map(({ name, match, websocket, cors, stream }) => ({
      name,
      path: match.path,
      hasWebSocket: websocket,
      hasCors: cors !== false,
      heartbeatMs: heartbeatMs(stream),
    })),
    trustedProxies: server.trustedProxies,
  };
}

function addressOf(address: ListenAddress): { readonly address: string; readonly isWildcard: boolean } {
  if ("path" in address) return { address: `unix:${address.path}`, isWildcard: false };
  const { host, port } = address;
  const isWildcard = host === undefined || host === "0.0.0.0" || host === "::";
  const name = host?.includes(":") ? `[${host}]` : (host ?? "localhost");
  return { address: `${name.toLowerCase()}:${port}`, isWildcard };
}
