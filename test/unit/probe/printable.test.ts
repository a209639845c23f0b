import { expect, test } from "vitest";
import { LiveView } from "../../../src/probe/live.ts";
import { printable } from "../../../src/probe/printable.ts";
import type { Report } from "../../../src/probe/probe.ts";
import { softwareOf } from "../../../src/probe/software.ts";
import { renderText } from "../../../src/probe/table.ts";
import { madeReading } from "../../support/reading.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal interprets them
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

test("control characters in outside text are escaped, and long text is cut", () => {
  expect(printable("\u001b[2J\r\nred\u0007\u009b31m")).toBe("\\x1b[2J\\x0d\\x0ared\\x07\\x9b31m");
  expect(printable("\u202eabc")).toBe("\\u202eabc");
  expect(printable("Grüße, 世界")).toBe("Grüße, 世界");
  expect(printable("x".repeat(300))).toBe(`${"x".repeat(200)}…`);
});

test("a report contains no control characters of the server", () => {
  const evil = "\u009b2J\u009devil";
  const fields = ["Server", evil, "Via", evil, "Content-Encoding", evil];
  const head = { status: 200, protocol: "HTTP/1.1" as const, fields, framing: "chunked" as const };
  const reading = madeReading([{ at: 5 }], { head, coding: evil });
  const report: Report = {
    readings: [reading],
    trials: [],
    notes: [],
    connections: 1,
    verdict: {
      outcome: "prompt",
      kind: undefined,
      hop: undefined,
      software: softwareOf(fields)?.name,
      isSure: true,
      sentence: `${softwareOf(fields)?.name}.`,
      remedy: undefined,
      exit: 0,
    },
  };
  expect(renderText(report)).not.toMatch(CONTROL);
  expect(renderText(report)).toContain("\\x9b2J");
});

test("the live view draws one line per hop, within the terminal's width, and erases them", () => {
  let written = "";
  const write = (text: string) => {
    written += text;
    return true;
  };
  const out = { columns: 60, write };
  const view = new LiveView(out as never, false);
  const events = Array.from({ length: 10 }, (_, i) => ({ at: i * 200, key: String(i) }));
  const held = events.map(({ key }, i) => ({ at: i < 5 ? 1_000 : 2_000, key }));
  const end = { end: { kind: "open", at: 2_000 } as const };
  view.onStart([
    madeReading(events, { name: "backend", ...end }),
    madeReading(held, { name: "url", ...end }),
  ]);
  const [first = "", second = ""] = written.split("\n");
  expect(first).toMatch(/^backend ·+[▪█·]+ 10 events/);
  expect(second).toMatch(/^url .*█.* 10 events +lag/);
  expect([...first].length).toBeLessThan(60);
  expect([...second].length).toBeLessThan(60);
  written = "";
  view.close();
  expect(written).toBe("\u001b[2A\u001b[J");
});
