import * as z from "zod";
import { address, EXPECTED_ADDRESS, type ListenAddress } from "./address-schema.ts";
import { type Certificate, readCertificate } from "./certificate-file.ts";
import { duration } from "./scalars.ts";

/** The `listen` of sluice.yaml: the gateway's addresses and their protocols. */

/** A bound, because a TLS handshake may compare its SNI name with the names of every certificate. */
const MAX_CERTIFICATES = 100;

const EXPECTED_LISTEN = `${EXPECTED_ADDRESS}, or an object with address`;

const http2Object = z.strictObject({
  maxConcurrentStreams: z
    .int()
    .min(1)
    .max(1000)
    .prefault(100)
    .describe("Open requests and streams on one connection; a browser delays further requests."),
  maxResets: z
    .int()
    .min(1)
    .max(100_000)
    .prefault(100)
    .describe(
      "Requests that a client may reset on one connection in 10 s, each within a second of sending it; beyond that the connection is closed.",
    ),
  pingInterval: duration
    .prefault("15s")
    .describe(
      "The time between PING frames to a client; without an answer by the next one, the connection is closed.",
    ),
});

/** The bounds of HTTP/2 on a listener. */
export type Http2Config = z.output<typeof http2Object>;

/** One address to listen on, with its protocols. */
export interface ListenConfig {
  readonly address: ListenAddress;
  /** Permissions of a unix socket's file; undefined to leave them to the process's umask. */
  readonly mode: number | undefined;
  /** The first certificate also serves clients without an SNI name or with an unknown one; undefined without TLS. */
  readonly tls: readonly Certificate[] | undefined;
  readonly http2: Http2Config | undefined;
  readonly proxyProtocol: boolean;
}

/** Returns the schema of `listen`; its files are named relative to `directory`. */
export function listenIn(directory: string) {
  const certificate = z
    .strictObject({
      cert: z.string("expected the path of a PEM file").describe("The certificate and its chain, PEM."),
      key: z
        .string("expected the path of a PEM file")
        .describe("Its private key, PEM, without a passphrase."),
    })
    .transform((files, ctx): Certificate => {
      const read = readCertificate(files, directory);
      if ("certificate" in read) return read.certificate;
      ctx.addIssue({ code: "custom", path: [read.key], message: read.problem });
      return z.NEVER;
    });
  const listener = z
    .strictObject({
      address: address.describe("A port, host:port or unix:/path."),
      mode: z
        .string("expected permissions such as '660', in quotes")
        .regex(/^0?[0-7]{3}$/, "expected permissions such as '660'")
        .optional()
        .describe("Permissions of a unix socket's file, in octal digits."),
      tls: z
        .union(
          [certificate, z.array(certificate).min(1).max(MAX_CERTIFICATES)],
          "expected { cert, key }, or a list of them",
        )
        .optional()
        .describe(
          "{ cert, key }: PEM files, relative to the configuration; or a list, from which the client's SNI name selects.",
        ),
      http2: z
        .union([z.boolean(), http2Object], "expected true, false or an object")
        .optional()
        .describe("HTTP/2 for clients that choose it, with its bounds; true by default with tls."),
      proxyProtocol: z
        .boolean()
        .prefault(false)
        .describe(
          "Whether each connection begins with a PROXY protocol header (version 1 or 2) with the client's address.",
        ),
    })
    .transform((given, ctx): ListenConfig => {
      const issue = (key: string, message: string) => ctx.addIssue({ code: "custom", path: [key], message });
      const { address: where, mode, tls, http2, proxyProtocol } = given;
      if (mode !== undefined && !("path" in where)) issue("mode", "expected a unix:/path as address");
      if (tls === undefined && http2 !== undefined && http2 !== false)
        issue("http2", "expected tls as well, because HTTP/2 needs it");
      return {
        address: where,
        mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
        tls: tls === undefined || Array.isArray(tls) ? tls : [tls],
        http2: tls === undefined ? undefined : boundsOf(http2),
        proxyProtocol,
      };
    });
  const short = address.transform(plain);
  const item = z.union([short, listener], EXPECTED_LISTEN);
  return z
    .union([short, listener, z.array(item).min(1)], EXPECTED_LISTEN)
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .prefault(8000)
    .describe(
      "A port, host:port, unix:/path, { address, tls, http2, proxyProtocol, mode }, or a list of them.",
    );
}

function boundsOf(http2: boolean | Http2Config | undefined): Http2Config | undefined {
  if (http2 === false) return undefined;
  return typeof http2 === "object" ? http2 : http2Object.parse({});
}

function plain(where: ListenAddress): ListenConfig {
  return { address: where, mode: undefined, tls: undefined, http2: undefined, proxyProtocol: false };
}
