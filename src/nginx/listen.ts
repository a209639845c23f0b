import type { Directive } from "./directive.ts";
import { effective } from "./effective.ts";
import type { Level } from "./level.ts";
import type { NginxVersion } from "./version.ts";

/** The protocols that the listeners of a server accept. */
export interface Listening {
  readonly directives: readonly Directive[];
  readonly hasTls: boolean;
  readonly hasHttp2: boolean;
  readonly hasProxyProtocol: boolean;
}

/** Cached, because every location of a server needs it. */
const known = new WeakMap<Level, Listening>();

/** Reads the `listen` directives of a server; without any, nginx listens on port 80. */
export function listeningOf(server: Level, version: NginxVersion): Listening {
  const listening = known.get(server) ?? readListening(server, version);
  known.set(server, listening);
  return listening;
}

function readListening(server: Level, version: NginxVersion): Listening {
  const directives = server.own("listen");
  const has = (parameter: string) => directives.some(({ args }) => args.includes(parameter));
  const isTls = ({ args }: Directive) => args.includes("ssl") || args.includes("quic");
  const isAllTls = server.last("ssl")?.arg(0) === "on";
  return {
    directives,
    hasTls: isAllTls || directives.some(isTls),
    hasHttp2: has("http2") || effective(server, "http2", version).value === "on",
    hasProxyProtocol: has("proxy_protocol"),
  };
}
