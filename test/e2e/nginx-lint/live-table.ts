import { describe, expect, test } from "vitest";
import type { BackendRequest } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { BUILDS, effectsOf, type Lab, type LabSetup } from "../../support/nginx-lab.ts";
import type { RawClient } from "../../support/raw-client.ts";

/** A rule, what shows that its effect is there, and what the run needs. */
export interface Live {
  readonly rule: string;
  readonly effect: (lab: Lab) => Promise<boolean>;
  readonly setup?: Partial<LabSetup>;
  /** The versions that it is measured on; all without it. */
  readonly versions?: readonly string[];
}

/** One test for each rule and each nginx of this machine. */
export function testLive(entries: readonly Live[]): void {
  for (const build of BUILDS) {
    describe(`nginx ${build.version}`, () => {
      const here = entries.filter(({ versions }) => versions?.includes(build.version) ?? true);
      test.each(here)(
        "$rule: what it warns of is so, and is gone without it",
        async ({ rule, effect, setup }) => {
          expect(await effectsOf(rule, build, effect, setup)).toEqual({ bad: true, good: false });
        },
      );
    });
  }
}

/** Answers with the head of the request as its body, so that the client sees what the backend saw. */
export const echo = (request: BackendRequest): void => {
  const lines = request.head.fields.map(([name, value]) => `${name}: ${value}`);
  request.respond(200, {}, [`${request.method} ${request.target}`, ...lines, ""].join("\r\n"));
};

/** Answers as a stream opens: head at once, one event, then silence. */
export const openWith =
  (event: string, fields: Record<string, string> = {}) =>
  (request: BackendRequest): void => {
    request.openStream(fields);
    request.emit(event);
  };

/** What the backend was asked, as it saw it. */
export async function seenBy(lab: Lab, target: string, fields: readonly string[] = []): Promise<string> {
  const client = await lab.ask(target, fields);
  const request = await lab.backend.nextRequest();
  request.respond();
  client.leave();
  const lines = request.head.fields.map(([name, value]) => `${name}: ${value}`);
  return [`${request.method} ${request.target}`, ...lines, ""].join("\n");
}

/** Whether the head of a stream waits for something. */
export async function holdsHead(
  lab: Lab,
  target: string,
  fields: Record<string, string> = {},
): Promise<boolean> {
  const client = await lab.ask(target);
  (await lab.backend.nextRequest()).openStream(fields);
  return !(await lab.comes(client, "\r\n\r\n"));
}

/** An event that is bigger than a buffer of nginx. */
export const BIG_EVENT = `data: ${"x".repeat(5000)}END\n\n`;

/** Whether the end of a big event waits for the next one. */
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

/** How often a text stands in another. */
export const count = (text: string, part: string): number => text.split(part).length - 1;

/** Whether a chunked answer, or one that ends with its connection, looks whole to the client. */
export async function looksWhole(client: RawClient): Promise<boolean> {
  const hasLastChunk = () => client.text.endsWith("0\r\n\r\n");
  await eventually(() => hasLastChunk() || client.ending !== "open", "the end of the answer");
  if (hasLastChunk()) return true;
  return client.ending === "end" && !/transfer-encoding: chunked/i.test(client.text);
}
