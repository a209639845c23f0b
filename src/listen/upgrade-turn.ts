import type { Duplex } from "node:stream";
import type { Exchange } from "../exchange/exchange.ts";
import { Tunnel } from "../request/tunnel.ts";
import { allowedUpgrade, handleUpgrade, ignoreUpgrade } from "../request/upgrade.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { UpgradeBody } from "../websocket/upgrade-body.ts";
import type { WaitingClient } from "../websocket/waiting-client.ts";
import { type ArrivingBody, BodyTimer } from "./body-timer.ts";
import { refuseOn } from "./refuse-on.ts";
import type { Turn, Turns } from "./turns.ts";

interface UpgradeSetup {
  readonly runtime: Runtime;
  readonly turns: Turns;
  /** Gives the connection to Node's parser again. */
  readonly parse: (socket: Duplex) => void;
  /** The body of the request; undefined if it has none. */
  readonly body: UpgradeBody | undefined;
}

/** A request for an upgrade: it becomes a tunnel, or goes back to the parser as an ordinary request. */
export class UpgradeTurn implements Turn {
  readonly #exchange: Exchange;
  readonly #client: WaitingClient;
  readonly #setup: UpgradeSetup;

  constructor(exchange: Exchange, client: WaitingClient, setup: UpgradeSetup) {
    this.#exchange = exchange;
    this.#client = client;
    this.#setup = setup;
    exchange.answerFaultsBy((error) => {
      client.release();
      refuseOn(client.socket, exchange, error);
    });
    client.queue(() => setup.turns.drained());
  }

  begin(): void {
    this.#client.queue(undefined);
    this.#answer().catch((error: unknown) => this.#exchange.fault(error));
  }

  skip(): void {
    this.#client.release();
    this.#exchange.settle("client_gone");
  }

  async #answer(): Promise<void> {
    const { runtime, turns, parse } = this.#setup;
    const exchange = this.#exchange;
    const client = this.#client;
    const upgrade = allowedUpgrade(exchange, runtime);
    if (upgrade === undefined) {
      client.detach();
      turns.done(this);
      return ignoreUpgrade(parse, exchange.request, client.socket);
    }
    const tunnel = new Tunnel(exchange, client.socket, upgrade.protocol);
    runtime.tunnels.add(tunnel);
    exchange.onEnd(() => runtime.tunnels.delete(tunnel));
    this.#readBody();
    await handleUpgrade(exchange, { ...upgrade, client, runtime });
  }

  #readBody(): void {
    const { body } = this.#setup;
    if (body === undefined) return;
    const { socket } = this.#client;
    const arriving: ArrivingBody = {
      isAwaited: true,
      get isOver() {
        return body.isWhole || socket.destroyed;
      },
      get receivedBytes() {
        return socket.bytesRead;
      },
    };
    const timer = new BodyTimer(this.#exchange, this.#setup.runtime, arriving, (refusal) =>
      this.#exchange.fault(refusal),
    );
    this.#exchange.onEnd(() => timer.clear());
    this.#client.feed(body);
  }
}
