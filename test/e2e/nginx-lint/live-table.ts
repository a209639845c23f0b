import { describe, expect, test } from "vitest";
import type { BackendRequest } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { BUILDS, effectsOf, type Lab, type LabSetup } from "../../support/nginx-lab.ts";
import type { RawClient } from "../../support/raw-client.ts";

/** A rule, the check of its effect, and the needs of its run. */
export interface Live {
  readonly rule: string;
  readonly effect: (lab: Lab) => Promise<boolean>;
  readonly setup?: Partial<LabSetup>;
  /** The measured versions; undefined for all. */
  readonly versions?: readonly string[];
}

/** Defines one test for each rule and each nginx of this machine. */
export function testLive(entries: readonly Live[]): void {
  for (const build of BUILDS) {
    describe(`nginx ${build.version}`, () => {
      const here = entries.filter(({ versions }) => versions?.includes(build.version) ?? true);
      test.each(here)(
        "$rule: the bad configuration has the reported effect, and the good one has not",
        async ({ rule, effect, setup }) => {
          expect(await effectsOf(rule, build, effect, setup)).toEqual({ bad: true, good: false });
        },
      );
    });
  }
}

/** Sends the request's head as the body, so that the client sees the request at the backend. */
export const echo = (request: BackendRequest): void => {
  const lines = request.head.fields.map(([name, value]) => `${name}: ${value}`);
  request.respond(200, {}, [`${request.method} ${request.target}`, ...lines, ""].join("\r\n"));
};

/** Opens a stream: head at once, one event, then silence. */
export const openWith =
  (event: string, fields: Record<string, string> = {}) =>
  (request: BackendRequest): void => {
    request.openStream(fields);
    request.emit(event);
  };

/** Returns the request at the backend. */
export async function seenBy(lab: Lab, target: string, fields: readonly string[] = []): Promise<string> {
  const client = await lab.ask(target, fields);
  const request = await lab.backend.nextRequest();
  request.respond();
  client.leave();
  const lines = request.head.fields.map(([name, value]) => `${name}: ${value}`);
  return [`${request.method} ${request.target}`, ...lines, ""].join("\n");
}

/** Whether nginx holds back the head of a stream. */
export async function holdsHead(
  lab: Lab,
  target: string,
  fields: Record<string, string> = {},
): Promise<boolean> {
  const client = await lab.ask(target);
  (await lab.backend.nextRequest()).openStream(fields);
  return !(await lab.comes(client, "\r\n\r\n"));
}

/** An event larger than a buffer of nginx. */
export const BIG_EVENT = `data: ${"x".repeat(5000)}END\n\n`;

/** Whether the end of a large event waits for the next event. */
export async function holdsBigEvent(
  lab: Lab,
  target: string,
  fields: Record<string, string> = {},
): Promise<boolean> {
  const client = await lab.ask(target);
  const request = await lab.backend.nextRequest();
  request.openStream(fields);
  request.emit(BIG_EVENT);
  return !(await lab.comes(client, "END"));
}

/** Counts the occurrences of a text. */
export const count = (text: string, part: string): number => text.split(part).length - 1;

/** Whether an aborted response looks complete to the client: chunked, or ending with its connection. */
export async function looksWhole(client: RawClient): Promise<boolean> {
  const hasLastChunk = () => client.text.endsWith("0\r\n\r\n");
  await eventually(() => hasLastChunk() || client.ending !== "open", "the end of the answer");
  if (hasLastChunk()) return true;
  return client.ending === "end" && !/transfer-encoding: chunked/i.test(client.text);
}
