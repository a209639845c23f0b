import { readdirSync } from "node:fs";
import { readTextFile } from "./text-file.ts";

export const YAML_ENDING = /\.ya?ml$/i;

/** The source of a configuration's files. */
export interface ConfigFiles {
  /** Whether sluice.yaml names its files relative to itself; otherwise relative to the working directory. */
  readonly isOnDisk: boolean;
  /** Returns the names in a directory. Throws the system's error if it cannot be read. */
  names(directory: string): readonly string[];
  read(path: string): ReturnType<typeof readTextFile>;
}

export const ON_DISK: ConfigFiles = {
  isOnDisk: true,
  names: (directory) => readdirSync(directory),
  read: readTextFile,
};
