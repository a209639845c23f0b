/** The suite that the test of the runner runs: plain objects, so that it needs no import. */
// biome-ignore lint/style/noDefaultExport: Vitest loads its configuration by the default export
export default { test: { root: import.meta.dirname, include: ["*.case.mjs"] } };
