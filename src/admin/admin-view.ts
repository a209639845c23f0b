import { processMetrics } from "../observe/process-metrics.ts";
import type { Sample } from "../runtime/activity.ts";
import type { Readiness } from "../runtime/readiness.ts";
import type { Observatory } from "../runtime/telemetry.ts";
import { type Overview, overview } from "./overview.ts";
import { endStreams, listStreams, type StreamPage, type StreamQuery } from "./streams.ts";

/** What a dashboard gets once a second. */
export type View = Overview & { readonly streams: StreamPage };

/** What the admin listener shows of a gateway, which may be one process or several. */
export interface Insight {
  readonly readiness: Pick<Readiness, "isReady" | "obstacles">;
  /** The totals of the last minutes, oldest first. */
  readonly samples: readonly Sample[];
  /** Looks at the gateway once a second, until `stop`. */
  start(): void;
  stop(): void;
  /** Calls back after each look, until the returned function is called. */
  watch(onLook: () => void): () => void;
  /** All metrics in the text format of Prometheus. */
  metrics(): Promise<string>;
  view(query: StreamQuery): Promise<View>;
  listStreams(query: StreamQuery): Promise<StreamPage>;
  /** Ends the streams of a request id; false when there are none. */
  endStreams(id: string): Promise<boolean>;
}

/** That of a gateway in this process. */
export class LocalInsight implements Insight {
  readonly #observatory: Observatory;

  constructor(observatory: Observatory) {
    this.#observatory = observatory;
  }

  get readiness(): Readiness {
    return this.#observatory.readiness;
  }

  get samples(): readonly Sample[] {
    return this.#observatory.activity.samples;
  }

  start(): void {
    // Before files are scarce: some of it is read once.
    processMetrics();
    this.#observatory.activity.start();
  }

  stop(): void {
    this.#observatory.activity.stop();
  }

  watch(onLook: () => void): () => void {
    return this.#observatory.activity.watch(onLook);
  }

  metrics(): Promise<string> {
    return this.#observatory.metrics.text(processMetrics());
  }

  async view(query: StreamQuery): Promise<View> {
    return { ...overview(this.#observatory), streams: listStreams(this.#observatory.activity, query) };
  }

  async listStreams(query: StreamQuery): Promise<StreamPage> {
    return listStreams(this.#observatory.activity, query);
  }

  async endStreams(id: string): Promise<boolean> {
    return endStreams(this.#observatory.activity, id);
  }
}
