import { processMetrics } from "../observe/process-metrics.ts";
import type { Sample } from "../runtime/activity.ts";
import type { Readiness } from "../runtime/readiness.ts";
import type { Telemetry } from "../runtime/telemetry.ts";
import { type Overview, overview } from "./overview.ts";
import { endStreams, listStreams, type StreamPage, type StreamQuery, type ViewQuery } from "./streams.ts";

/** The data that a dashboard gets once a second. */
export type View = Overview & { readonly streams: StreamPage };

/** The data of the admin listener, for a gateway of one process or several. */
export interface AdminView {
  readonly readiness: Pick<Readiness, "isReady" | "obstacles">;
  /** The samples of the last minutes, oldest first. */
  readonly samples: readonly Sample[];
  /** Samples the gateway once a second, until `stop`. */
  start(): void;
  stop(): void;
  /** Calls back after each sample, until the returned function is called. */
  watch(onLook: () => void): () => void;
  /** Resolves with all metrics in the text format of Prometheus. */
  metrics(): Promise<string>;
  view(query: ViewQuery): Promise<View>;
  listStreams(query: StreamQuery): Promise<StreamPage>;
  /** Ends the streams of a request id; resolves with false if there are none. */
  endStreams(id: string): Promise<boolean>;
}

/** The admin view of a gateway in this process. */
export class LocalAdminView implements AdminView {
  readonly #telemetry: Telemetry;

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  get readiness(): Readiness {
    return this.#telemetry.readiness;
  }

  get samples(): readonly Sample[] {
    return this.#telemetry.activity.samples;
  }

  start(): void {
    // Now, while file descriptors are free: some of it is read once.
    processMetrics();
    this.#telemetry.activity.start();
  }

  stop(): void {
    this.#telemetry.activity.stop();
  }

  watch(onLook: () => void): () => void {
    return this.#telemetry.activity.watch(onLook);
  }

  metrics(): Promise<string> {
    return this.#telemetry.metrics.text(processMetrics());
  }

  async view(query: ViewQuery): Promise<View> {
    return { ...overview(this.#telemetry, query), streams: listStreams(this.#telemetry.activity, query) };
  }

  async listStreams(query: StreamQuery): Promise<StreamPage> {
    return listStreams(this.#telemetry.activity, query);
  }

  async endStreams(id: string): Promise<boolean> {
    return endStreams(this.#telemetry.activity, id);
  }
}
