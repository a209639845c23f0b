import { readInPage } from "../browser.mjs";
import { events, scripted } from "../wires.mjs";

const PROGRAM = `modules.fetchEventSource("/", {
  method: "POST",
  body: "{}",
  onopen: async (response) => {
    if (!response.ok) throw new Error(await response.text());
  },
  onmessage: ({ data }) => window.saw(JSON.parse(data)),
  onerror: (error) => {
    throw error;
  },
})`;

export const packages = ["@microsoft/fetch-event-source"];
export const backend = scripted(events);
export const read = (url, round) => readInPage(url, round, PROGRAM, "@microsoft/fetch-event-source");
