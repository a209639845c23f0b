import { EventSource } from "undici";
import { readEventSource } from "../reading.mjs";
import { events, scripted } from "../wires.mjs";

export const label = "EventSource of `undici`";
export const backend = scripted(events);
export const read = (url, round) => readEventSource(new EventSource(url), round);
