import { build } from "vite";

const ROOT = new URL("../..", import.meta.url).pathname;
/** No file: packages are resolved from its folder. */
const ENTRY = `${ROOT}entry.js`;

/** Bundles an ES module with the packages that it imports, for a page; `source` is its text. */
export async function bundled(source: string): Promise<string> {
  const entry = {
    name: "entry",
    enforce: "pre" as const,
    resolveId: (id: string) => (id === ENTRY ? ENTRY : undefined),
    load: (id: string) => (id === ENTRY ? source : undefined),
  };
  const built = await build({
    root: ROOT,
    logLevel: "silent",
    configFile: false,
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [entry],
    build: { write: false, minify: false, lib: { entry: ENTRY, formats: ["es"] } },
  });
  const [bundle] = [built].flat();
  if (bundle === undefined || !("output" in bundle)) throw new Error("vite has made no bundle");
  return bundle.output[0].code;
}
