import type { Config } from "../config/server-schema.ts";
import { createLog, type Log } from "../observe/log.ts";
import { createAdmin } from "./admin.ts";
import { Listener } from "./listener.ts";
import { Runtime } from "./runtime.ts";

/** How long requests under way may take to end once the gateway is closed; below docker's 10 s to a kill. */
const CLOSE_GRACE_MS = 5_000;

/** A running sluice, for embedding. */
export interface Gateway {
  /**
   * Listens on every configured address, or on none; resolves with the addresses, free ports filled in. Rejects
   * with a ConfigError when something the configuration names, such as an issuer's keys, is not there.
   */
  listen(): Promise<readonly string[]>;
  /** Where the admin listener is, once it listens; undefined without one. */
  readonly adminAddress: string | undefined;
  /** Stops accepting, ends streams between two events, and resolves when no connection is left. */
  close(): Promise<void>;
}

/** Makes a gateway of a validated configuration. It logs to standard output unless `log` is given. */
export function createGateway(config: Config, options: { readonly log?: Log } = {}): Gateway {
  const runtime = new Runtime(config, options.log ?? createLog(config.server.log));
  const listeners = config.server.listen.map((address) => new Listener(address, config.server, runtime));
  let open: Listener[] = [];
  const { observatory } = runtime;
  const admin = createAdmin(config.server, observatory, runtime.log);
  let adminAddress: string | undefined;

  async function listen(): Promise<readonly string[]> {
    try {
      // First, so that probes see a gateway that starts.
      adminAddress = await admin?.listen();
      await runtime.start();
    } catch (error) {
      await admin?.close();
      runtime.close();
      throw error;
    }
    const results = await Promise.allSettled(listeners.map((listener) => listener.listen()));
    open = listeners.filter((_, at) => results[at]?.status === "fulfilled");
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      await close();
      throw failed.reason;
    }
    observatory.readiness.set("starting", false);
    return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  }

  async function close(): Promise<void> {
    observatory.readiness.set("draining", true);
    const closed = Promise.all(open.map((listener) => listener.close()));
    for (const relay of runtime.relays) relay.endAtBorder("drained");
    const grace = setTimeout(() => {
      for (const listener of open) listener.closeAllConnections();
    }, CLOSE_GRACE_MS);
    await closed;
    clearTimeout(grace);
    await admin?.close();
    runtime.close();
  }

  return {
    listen,
    close,
    get adminAddress() {
      return adminAddress;
    },
  };
}
