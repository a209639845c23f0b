import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import fc from "fast-check";
import { pino } from "pino";
import { expect, onTestFinished, test, vi } from "vitest";
import { createAppVerifier } from "../../../src/auth/app.ts";
import { ProxyError } from "../../../src/base/errors.ts";
import { appsSchema } from "../../../src/config/apps-schema.ts";
import { BodyBudget } from "../../../src/exchange/body-budget.ts";
import { Exchange } from "../../../src/exchange/exchange.ts";
import { readTarget } from "../../../src/exchange/target.ts";
import { MemorySignatures } from "../../../src/limits/memory-signatures.ts";
import { createNodeRequest } from "../../../src/listen/node-request.ts";
import { signWithApigSdk, WEB_CLIENT } from "../../support/app-signer.ts";

const NOW = Date.UTC(2026, 4, 17, 12, 0, 0);
const HOST = "api.example.com:8443";
const BODIES: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

const verifier = createAppVerifier(
  { apps: ["web-client"], replay: "allow" },
  {
    apps: [{ ...appsSchema.parse({ web: { ...WEB_CLIENT } })["web"], name: "web-client" } as never],
    signatures: new MemorySignatures(10),
    maxBodyBytes: 1000,
    maxParameters: 100,
    bodies: new BodyBudget(100_000),
  },
);
const log = pino({ level: "silent" });
const client = {
  address: "127.0.0.1",
  proto: "http",
  host: HOST,
  hostSource: "field",
  forwardedPort: undefined,
  forwardedPrefix: "",
  forwardedFor: "127.0.0.1",
  requestId: undefined,
  isTrusted: false,
} as const;
const socket = new Socket();

/** A request before it is encoded. */
interface Model {
  readonly method: string;
  readonly segments: readonly string[];
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly field: string;
  readonly date: string;
  readonly body: string;
}

/** An encoded request. */
interface Wire {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

async function isAccepted({ method, target, fields, body }: Wire): Promise<boolean> {
  const message = new IncomingMessage(socket);
  message.method = method;
  message.rawHeaders = fields.flat();
  if (body !== "") message.headers["content-length"] = String(Buffer.byteLength(body));
  if (body !== "") message.push(body);
  message.push(null);
  const exchange = new Exchange(createNodeRequest(message), client, {
    log,
    onSettled: () => {},
    onFault: () => {},
  });
  try {
    exchange.foundTarget(readTarget(target, HOST));
    return (await verifier.verify(exchange)).app === "web-client";
  } catch (error) {
    if (error instanceof ProxyError && ["auth_failed", "bad_request"].includes(error.code)) return false;
    throw error;
  } finally {
    // Releases the memory of the body.
    exchange.settle("completed");
  }
}

function sign({ method, segments, query, field, date, body }: Model): readonly (readonly [string, string])[] {
  const byName: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [key, value] of query) byName[key] = [...(byName[key] ?? []), value];
  const { headers } = signWithApigSdk(
    {
      method,
      host: HOST,
      path: `/${segments.join("/")}`,
      query: byName,
      headers: { "X-Sdk-Date": date, "X-Field": field },
      body,
    },
    WEB_CLIENT,
  );
  return Object.entries(headers);
}

/** Encodes a text for a URL, each character in one of its equivalent spellings. */
function spell(text: string, choose: () => number): string {
  return [...Buffer.from(text, "utf8")]
    .map((byte) => {
      const hex = byte.toString(16).padStart(2, "0");
      const character = String.fromCharCode(byte);
      if (/[\w.~-]/.test(character) && choose() % 3 > 0) return character;
      return choose() % 2 === 0 ? `%${hex}` : `%${hex.toUpperCase()}`;
    })
    .join("");
}

/** Encodes a request with another order of the parameters and another spelling of the same texts. */
function render(model: Model, fields: Wire["fields"], seed: number): Wire {
  let state = seed;
  const choose = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  };
  const path = `/${model.segments.map((segment) => spell(segment, choose)).join("/")}`;
  const query = model.query
    .map(([name, value]) => ({
      key: choose(),
      text:
        value === "" && choose() % 2 === 0
          ? spell(name, choose)
          : `${spell(name, choose)}=${spell(value, choose)}`,
    }))
    .sort((a, b) => a.key - b.key)
    .map(({ text }) => text)
    .join("&");
  const slash = !path.endsWith("/") && choose() % 4 === 0 ? "/" : "";
  const target = `${path}${slash}${query === "" ? (choose() % 8 === 0 ? "?" : "") : `?${query}`}`;
  return { method: model.method, target, fields, body: model.body };
}

const text = fc.string({ unit: fc.constantFrom(..."abAZ09-._~ +%/&=?;:@!'()*,#é中😀"), maxLength: 4 });
const name = text.filter((value) => value !== "" && value !== "lastEventId" && value !== "__proto__");
const segment = text.filter(
  (value) => !/^\.{1,2}(;|$)/.test(value.split("/").at(-1) ?? "") && !/(^|\/)\.{1,2}(;|\/|$)/.test(value),
);
const model: fc.Arbitrary<Model> = fc
  .record({
    method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"),
    segments: fc.array(
      segment.filter((value) => !value.includes("/")),
      { minLength: 1, maxLength: 3 },
    ),
    query: fc.array(fc.tuple(name, text), { maxLength: 3 }),
    field: fc.string({ unit: fc.constantFrom(..."abc 12,;="), maxLength: 6 }),
    date: fc.constantFrom("20260517T120000Z", "20260517T114501Z", "20260517T121459Z"),
    body: text,
  })
  .map((drawn) => ({ ...drawn, body: BODIES.has(drawn.method) ? drawn.body : "" }));

type Mutation = (model: Model, wire: Wire, other: Model) => Wire;

const edited = (wire: Wire, wanted: string, edit: (value: string) => string): Wire => ({
  ...wire,
  fields: wire.fields.map(([key, value]) => [key, key.toLowerCase() === wanted ? edit(value) : value]),
});

/** Each changes one signed part; a random change may leave it as it was. */
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  method: (_, wire, { method }) => ({ ...wire, method }),
  path: ({ query }, wire, other) => ({ ...wire, target: render({ ...other, query }, [], 1).target }),
  query: ({ segments }, wire, other) => ({ ...wire, target: render({ ...other, segments }, [], 1).target }),
  parameter: (_, wire) => ({ ...wire, target: `${wire.target}${wire.target.includes("?") ? "&" : "?"}x=1` }),
  field: (_, wire, { field }) => edited(wire, "x-field", () => field),
  host: (_, wire) => edited(wire, "host", () => "api.example.com"),
  date: (_, wire, { date }) => edited(wire, "x-sdk-date", () => date),
  body: (_, wire, { body }) => ({ ...wire, body }),
  signature: (_, wire) =>
    edited(wire, "authorization", (value) => value.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"))),
  hex: (_, wire) =>
    edited(wire, "authorization", (value) => value.replace(/[0-9a-f]{64}$/, (hex) => hex.toUpperCase())),
  names: (_, wire) => edited(wire, "authorization", (value) => value.replace("x-field;", "")),
  twice: (_, wire) => ({ ...wire, fields: [...wire.fields, ["x-field", "again"]] }),
};

const CASES_PER_REQUEST = 1 + Object.keys(MUTATIONS).length;

/**
 * Whether two requests have the same signature according to the SDK, which signs the mutated request independently of
 * our code.
 */
function means(before: Model, kind: string, other: Model): boolean {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const signatureOf = (changed: Partial<Model>) =>
    sign({ ...before, ...changed }).find(([key]) => key === "Authorization")?.[1];
  if (kind === "method") return other.method === before.method;
  if (kind === "path") return same(signatureOf({ segments: other.segments }), signatureOf({}));
  if (kind === "query") return same(signatureOf({ query: other.query }), signatureOf({}));
  if (kind === "field") return other.field.trim() === before.field.trim();
  if (kind === "date") return other.date === before.date;
  if (kind === "body") return other.body === before.body;
  return false;
}

test("100,000 requests: a signed request verifies in every spelling, and no other request does", async () => {
  vi.useFakeTimers({ now: NOW, toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  let refused = 0;
  let accepted = 0;
  const property = fc.asyncProperty(model, model, fc.nat(), async (before, other, seed) => {
    const fields = sign(before);
    const wire = render(before, fields, seed);
    expect(await isAccepted(wire), `as signed: ${JSON.stringify(wire)}`).toBe(true);
    for (const [kind, mutate] of Object.entries(MUTATIONS)) {
      const changed = mutate(before, wire, other);
      const expected = means(before, kind, other);
      expect(await isAccepted(changed), `${kind}: ${JSON.stringify(changed)}`).toBe(expected);
      if (expected) accepted++;
      else refused++;
    }
  });
  await fc.assert(property, { numRuns: Math.ceil(100_000 / CASES_PER_REQUEST) });
  // Control: both results occurred often.
  expect(refused).toBeGreaterThan(70_000);
  expect(accepted).toBeGreaterThan(5_000);
}, 600_000);
