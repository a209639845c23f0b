import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ListenAddress } from "../config/address-schema.ts";
import type { ServerConfig } from "../config/server-schema.ts";

/** The longest time for the whole question, in ms; Docker's own default is 30 s. */
const TIMEOUT_MS = 2_500;

/** How a gateway is asked: where, the request, and the bytes that come before it. */
interface Question {
  readonly address: ListenAddress;
  readonly request: string;
  readonly proxyProtocol: boolean;
  readonly tls: boolean;
}

/** Asks the gateway of a configuration whether it works; resolves with the problem, or undefined if it does. */
export async function askHealth(server: ServerConfig, isReadiness: boolean): Promise<string | undefined> {
  const question = questionFor(server, isReadiness);
  if (question === undefined)
    return "readiness needs the admin listener, which this configuration switches off";
  const where = placeOf(question.address);
  try {
    const status = await ask(question);
    return status >= 200 && status < 300 ? undefined : `${where} answers ${status}`;
  } catch (error) {
    return `${where}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function questionFor({ admin, listen }: ServerConfig, isReadiness: boolean): Question | undefined {
  if (admin !== undefined) {
    const request = `GET ${isReadiness ? "/readyz" : "/healthz"}`;
    return { address: admin, request, proxyProtocol: false, tls: false };
  }
  const [first] = listen;
  if (isReadiness || first === undefined) return undefined;
  // A request to the server itself (RFC 9110 section 9.3.7): it matches no route and reaches no backend.
  const { address, proxyProtocol, tls } = first;
  return { address, request: "OPTIONS *", proxyProtocol, tls: tls !== undefined };
}

/** Returns the status of the response. */
async function ask({ address, request, proxyProtocol, tls }: Question): Promise<number> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const tcp = connect("path" in address ? address : { port: address.port, host: hostToAsk(address.host) });
  const stop = () => tcp.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`));
  signal.addEventListener("abort", stop);
  try {
    await once(tcp, "connect");
    // Version 1, for a sender that speaks for no client.
    if (proxyProtocol) tcp.write("PROXY UNKNOWN\r\n");
    // The certificate names the public host, not this address.
    const socket = tls ? connectTls({ socket: tcp, rejectUnauthorized: false }) : tcp;
    socket.write(`${request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    return await readStatus(socket);
  } finally {
    signal.removeEventListener("abort", stop);
    tcp.destroy();
  }
}

async function readStatus(socket: Socket): Promise<number> {
  let text = "";
  for await (const bytes of socket) {
    text += String(bytes);
    const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1];
    if (status !== undefined) return Number(status);
  }
  throw new Error("closed without an answer");
}

/** Returns where a listener of a host can be asked from this machine. */
function hostToAsk(host: string | undefined): string {
  if (host === undefined || host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}

function placeOf(address: ListenAddress): string {
  return "path" in address ? address.path : `${hostToAsk(address.host)}:${address.port}`;
}
