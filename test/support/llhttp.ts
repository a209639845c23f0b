import { createRequire } from "node:module";

/** A response as Node's own parser reads it, to compare with our parser. */
export interface LlhttpReading {
  /** The statuses of the final response and of the interim responses before it. */
  readonly heads: { status: number; reason: string; rawHeaders: string[] }[];
  readonly body: string;
  readonly trailers: readonly string[];
  /** Whether the first final response was complete. */
  readonly isEnded: boolean;
}

type Callbacks = Record<number, (...values: never[]) => unknown>;
interface Parser extends Callbacks {
  initialize(type: number, resource: object, maxHeaderSize: number, leniency: number): void;
  execute(bytes: Buffer): unknown;
  finish(): unknown;
  /** Releases the parser; otherwise it would keep its callbacks and their objects alive. */
  close(): void;
}
interface ParserClass {
  new (): Parser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kLenientHeaders: number;
  readonly kLenientVersion: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

const { HTTPParser } = createRequire(import.meta.url)("_http_common") as { HTTPParser: ParserClass };

/** llhttp's number for GET. */
const GET = 1;

/**
 * Parses a response as strictly as Node's client, in one piece and up to the connection's end; but with control
 * characters in field values and any minor version, as in nginx.
 */
export function readWithLlhttp(bytes: Buffer, isHead: boolean): LlhttpReading {
  const heads: LlhttpReading["heads"] = [];
  const body: string[] = [];
  const fields: string[] = [];
  let isEnded = false;
  const parser = new HTTPParser();
  const leniency = HTTPParser.kLenientHeaders | HTTPParser.kLenientVersion;
  parser.initialize(HTTPParser.RESPONSE, {}, 16 * 1024, leniency);
  const on = (event: number, callback: (...values: never[]) => unknown) => {
    parser[event] = callback;
  };
  on(HTTPParser.kOnHeaders, (more: string[]) => void (isEnded || fields.push(...more)));
  on(
    HTTPParser.kOnHeadersComplete,
    (
      _major: number,
      _minor: number,
      more: string[] | undefined,
      _method: unknown,
      _url: unknown,
      status: number,
      reason: string,
    ) => {
      if (isEnded) return 0;
      heads.push({ status, reason, rawHeaders: [...fields.splice(0), ...(more ?? [])] });
      return isHead || status < 200 ? 1 : 0;
    },
  );
  on(HTTPParser.kOnBody, (part: Buffer) => void (isEnded || body.push(part.toString("latin1"))));
  on(HTTPParser.kOnMessageComplete, () => {
    if ((heads.at(-1)?.status ?? 0) >= 200) isEnded = true;
  });
  const read = parser.execute(bytes);
  if (!(read instanceof Error)) parser.finish();
  parser.close();
  return { heads, body: body.join(""), trailers: isEnded ? fields : [], isEnded };
}

/** A request as Node's own parser reads it. */
export interface LlhttpRequest {
  readonly isGet: boolean;
  readonly url: string;
  readonly version: string;
  readonly rawHeaders: readonly string[];
  readonly isUpgrade: boolean;
  readonly keepsAlive: boolean;
  bodyBytes: number;
  isComplete: boolean;
}

/** Parses a client's bytes as strictly as Node's server; undefined if it refuses them. */
export function readRequestsWithLlhttp(bytes: Buffer, headerBytes = 16 * 1024): LlhttpRequest[] | undefined {
  const requests: LlhttpRequest[] = [];
  const fields: string[] = [];
  let target = "";
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {}, headerBytes, 0);
  const on = (event: number, callback: (...values: never[]) => unknown) => {
    parser[event] = callback;
  };
  on(HTTPParser.kOnHeaders, (more: string[], url: string) => {
    fields.push(...more);
    target += url;
  });
  on(
    HTTPParser.kOnHeadersComplete,
    (
      major: number,
      minor: number,
      more: string[] | undefined,
      method: number,
      url: string | undefined,
      _status: unknown,
      _reason: unknown,
      isUpgrade: boolean,
      keepsAlive: boolean,
    ) => {
      requests.push({
        isGet: method === GET,
        url: target + (url ?? ""),
        version: `${major}.${minor}`,
        rawHeaders: [...fields.splice(0), ...(more ?? [])],
        isUpgrade,
        keepsAlive,
        bodyBytes: 0,
        isComplete: false,
      });
      target = "";
      return isUpgrade ? 2 : 0;
    },
  );
  on(HTTPParser.kOnBody, (part: Buffer) => {
    const last = requests.at(-1);
    if (last !== undefined) last.bodyBytes += part.length;
  });
  on(HTTPParser.kOnMessageComplete, () => {
    const last = requests.at(-1);
    if (last !== undefined) last.isComplete = true;
  });
  const isRefused = parser.execute(bytes) instanceof Error;
  parser.close();
  return isRefused ? undefined : requests;
}
