import { READ_SOURCE, readInPage } from "../browser.mjs";
import { TEXT } from "../script.mjs";
import { events, scripted } from "../wires.mjs";

const SOURCE = `new modules.EventSourcePolyfill("/", { headers: { Authorization: "Bearer key" } })`;

export const backend = scripted(events);
export const read = (url, round) =>
  readInPage(url, round, READ_SOURCE(SOURCE, TEXT.length), "event-source-polyfill");
