import { createRequire } from "node:module";

/** Third-party signers, whose signatures the gateway has to verify. */

/** An app for apps.yaml, with its client's credentials. */
export const WEB_CLIENT: AppKey = { key: "web-key", secret: "web-secret-of-the-tests" };

export interface AppKey {
  readonly key: string;
  readonly secret: string;
}

/** A request before signing, with all parts decoded. */
export interface Unsigned {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, readonly string[]>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A request as the SDK sends it. */
export interface Signed {
  readonly method: string;
  /** The path with the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface ApigModule {
  readonly HttpRequest: new () => Record<string, unknown>;
  readonly Signer: new () => { Key: string; Secret: string; Sign(request: unknown): Signed };
}

interface CloudModule {
  readonly AKSKSigner: {
    sign(request: unknown, credential: unknown): Record<string, string>;
  };
}

const require = createRequire(import.meta.url);
const apig = require("apigateway-sdk-nodejs") as ApigModule;
const cloud = require("@huaweicloud/huaweicloud-sdk-core/auth/AKSKSigner") as CloudModule;

/** Signs with apigateway-sdk-nodejs, in the form that takes decoded parts. */
export function signWithApigSdk(request: Unsigned, { key, secret }: AppKey): Signed {
  const signer = new apig.Signer();
  signer.Key = key;
  signer.Secret = secret;
  const { query = {}, headers = {}, body = "" } = request;
  const copy = Object.fromEntries(Object.entries(query).map(([name, values]) => [name, [...values]]));
  const sdkRequest = Object.assign(new apig.HttpRequest(), {
    method: request.method,
    host: request.host,
    uri: request.path,
    query: copy,
    headers: { ...headers },
    body,
  });
  return signer.Sign(sdkRequest);
}

/** Signs with @huaweicloud/huaweicloud-sdk-core; `body` is JSON. */
export function signWithCloudSdk(request: Unsigned, { key, secret }: AppKey): Signed {
  const { method, host, path, query = {}, headers = {}, body } = request;
  const queryParams = Object.fromEntries(Object.entries(query).map(([name, values]) => [name, [...values]]));
  const signed = cloud.AKSKSigner.sign(
    {
      method,
      endpoint: `http://${host}${path}`,
      headers: { ...headers },
      queryParams,
      data: body === undefined ? undefined : JSON.parse(body),
    },
    { getAk: () => key, getSk: () => secret },
  );
  const text = Object.entries(query)
    .flatMap(([name, values]) =>
      values.map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
    )
    .join("&");
  return { method, path: text === "" ? path : `${path}?${text}`, headers: signed };
}

/** Returns the bytes of a signed request with its fields in order; `edit` changes them after signing. */
export function rawSigned(
  request: Unsigned,
  {
    app = WEB_CLIENT,
    target,
    edit = (lines) => lines,
  }: {
    readonly app?: AppKey;
    /** Replaces the signed target in the request line. */
    readonly target?: string;
    readonly edit?: (lines: readonly string[]) => readonly string[];
  } = {},
): Buffer {
  const { method, path, headers } = signWithApigSdk(request, app);
  const { body } = request;
  const fields = {
    ...headers,
    ...(body !== undefined && { "content-length": String(Buffer.byteLength(body)) }),
  };
  const lines = edit([
    `${method} ${target ?? path} HTTP/1.1`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
  ]);
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), Buffer.from(body ?? "")]);
}
