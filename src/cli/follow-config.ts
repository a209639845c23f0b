import type { Loaded } from "../config/load.ts";
import { noteReads } from "../config/text-file.ts";
import { ConfigWatch } from "../config/watch.ts";
import { Reloader, type ReloaderSetup } from "./reloader.ts";
import type { Signals } from "./signals.ts";

export interface FollowSetup extends Omit<ReloaderSetup, "load"> {
  /** Undefined if the configuration comes from flags. */
  readonly directory: string | undefined;
  readonly signals: Signals;
  load(): Loaded;
}

/** Reloads the gateway at each change of the configuration's files and on SIGHUP; returns a function that ends this. */
export function followConfig({ directory, signals, load, ...setup }: FollowSetup): () => void {
  if (directory === undefined) {
    signals.onHangUp(() => setup.log.info("nothing to reload: the configuration is not in files"));
    return () => {};
  }
  const read = () => {
    const { value, paths } = noteReads(load);
    watch.arm(paths);
    return value;
  };
  let isForced = false;
  const reloader = new Reloader({ ...setup, load: read });
  const watch = new ConfigWatch(directory, () => {
    const wasForced = isForced;
    isForced = false;
    void reloader.reload({ isForced: wasForced });
  });
  signals.onHangUp(() => {
    isForced = true;
    watch.touch();
  });
  // Reload once, because files may have changed while the gateway started.
  void reloader.reload({ isForced: false });
  return () => watch.close();
}
