import { processMetrics } from "../observe/process-metrics.ts";
import type { Sample } from "../runtime/activity.ts";
import type { Readiness } from "../runtime/readiness.ts";
import type { Telemetry } from "../runtime/telemetry.ts";
import { type Overview, overview } from "./overview.ts";
import { endStreams, listStreams, type StreamPage, type StreamQuery } from "./streams.ts";

/** What a dashboard gets once a second. */
export type View = Overview & { readonly streams: StreamPage };

/** What the admin listener shows of a gateway, which may be one process or several. */
export interface AdminView {
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
    // Before files are scarce: some of it is read once.
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

  async view(query: StreamQuery): Promise<View> {
    return { ...overview(this.#telemetry), streams: listStreams(this.#telemetry.activity, query) };
  }

  async listStreams(query: StreamQuery): Promise<StreamPage> {
    return listStreams(this.#telemetry.activity, query);
  }

  async endStreams(id: string): Promise<boolean> {
    return endStreams(this.#telemetry.activity, id);
  }
}
