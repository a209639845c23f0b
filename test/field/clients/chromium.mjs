import { READ_SOURCE, readInPage } from "../browser.mjs";
import { TEXT } from "../script.mjs";
import { events, scripted } from "../wires.mjs";

export const packages = [];
export const label = "EventSource of Chromium";
export const backend = scripted(events);
export const read = (url, round) => readInPage(url, round, READ_SOURCE(`new EventSource("/")`, TEXT.length));
