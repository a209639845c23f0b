/** Where the configuration is looked for when `--config` does not say. */
export const DEFAULT_DIRECTORY = "./config";
