import net from "node:net";
import tls from "node:tls";
import { type Fault, faultOf, tooLate } from "./fault.ts";
import { Stop } from "./stop.ts";
import type { Target } from "./target.ts";

/** The longest time for TCP and TLS together, in ms. */
const MAX_DIAL_MS = 10_000;

export interface DialOptions {
  /** Accepts any certificate. */
  readonly insecure: boolean;
  /** ALPN protocols to offer; ignored without TLS. */
  readonly alpn: readonly string[];
  readonly signal: AbortSignal;
}

/** An established connection, and the time that it took. */
export interface Dialled {
  readonly socket: net.Socket;
  readonly connectMs: number;
  readonly tlsMs: number | undefined;
  /** The protocol that ALPN selected; undefined without TLS or ALPN. */
  readonly alpn: string | undefined;
}

/** Connects; resolves with the connection or a fault. Never rejects. */
export async function dial(target: Target, options: DialOptions): Promise<Dialled | Fault> {
  const stop = new Stop(options.signal, MAX_DIAL_MS);
  const dialled = await connect(target, options, stop.signal);
  stop.release();
  return dialled;
}

async function connect(target: Target, options: DialOptions, late: AbortSignal): Promise<Dialled | Fault> {
  const startedAt = performance.now();
  const raw = net.connect({ host: target.host, port: target.port, noDelay: true });
  const error = await settled(raw, "connect", late);
  if (error === "late") return tooLate(target, "does not answer the connection attempt", MAX_DIAL_MS);
  if (error !== undefined) return faultOf(error, target, false);
  const connectMs = performance.now() - startedAt;
  if (!target.isTls) return { socket: raw, connectMs, tlsMs: undefined, alpn: undefined };
  const secure = tls.connect({
    socket: raw,
    ...(net.isIP(target.host) === 0 && { servername: target.host }),
    host: target.host,
    ALPNProtocols: [...options.alpn],
    rejectUnauthorized: !options.insecure,
  });
  const failed = await settled(secure, "secureConnect", late);
  if (failed === "late") return tooLate(target, "does not complete TLS", MAX_DIAL_MS);
  if (failed !== undefined) return faultOf(failed, target, true);
  const alpn = secure.alpnProtocol === false ? undefined : (secure.alpnProtocol ?? undefined);
  return { socket: secure, connectMs, tlsMs: performance.now() - startedAt - connectMs, alpn };
}

/** Waits for `event`; resolves with the error that came instead. A socket that failed is destroyed. */
function settled(
  socket: net.Socket,
  event: "connect" | "secureConnect",
  signal: AbortSignal,
): Promise<Error | "late" | undefined> {
  return new Promise((resolve) => {
    const finish = (error: Error | "late" | undefined) => {
      signal.removeEventListener("abort", onAbort);
      socket.removeListener(event, onEvent);
      socket.removeListener("error", onError);
      socket.removeListener("close", onClose);
      if (error !== undefined) {
        // A destroyed socket may still report an error.
        socket.on("error", () => {});
        socket.destroy();
      }
      resolve(error);
    };
    const onEvent = () => finish(undefined);
    const onError = (error: Error) => finish(error);
    const onClose = () => finish(new Error("the connection was closed"));
    const onAbort = () => finish("late");
    socket.once(event, onEvent);
    socket.once("error", onError);
    socket.once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
