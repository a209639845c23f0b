import { EventSource } from "eventsource";
import { readEventSource } from "../reading.mjs";
import { events, scripted } from "../wires.mjs";

export const backend = scripted(events);
export const read = (url, round) => readEventSource(new EventSource(url), round);
