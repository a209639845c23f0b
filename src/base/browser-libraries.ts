/** A file that a package publishes for browsers. */
interface BrowserLibrary {
  readonly package: string;
  readonly file: string;
}

/**
 * The libraries that our pages load, as their packages publish them. The build copies them with their licences into
 * dist, so that the packages are needed to build sluice and not to run it.
 */
export const BROWSER_LIBRARIES = {
  // The plot of the dashboard.
  "uplot.js": { package: "uplot", file: "dist/uPlot.esm.js" },
  "uplot.css": { package: "uplot", file: "dist/uPlot.min.css" },
  // The demo's page that signs its stream.
  "signer.js": { package: "apigateway-sdk-nodejs", file: "src/signer.js" },
  "eventsource.js": { package: "event-source-polyfill", file: "src/eventsource.js" },
} as const satisfies Readonly<Record<string, BrowserLibrary>>;

/** Returns the place where the build has put a library; it is the same when the sources run and when the build runs. */
export function browserLibrary(name: keyof typeof BROWSER_LIBRARIES): URL {
  return new URL(`../../dist/browser-libraries/${name}`, import.meta.url);
}
