import { printable } from "./printable.ts";
import type { Target } from "./target.ts";

/** The reason why a URL sent no response, and the remedy. */
export interface Fault {
  /** `dns`, `connect`, `tls`, `protocol` or `timeout`. */
  readonly kind: "dns" | "connect" | "tls" | "protocol" | "timeout";
  readonly sentence: string;
  readonly remedy: string;
}

type Explain = (target: Target) => readonly [kind: Fault["kind"], sentence: string, remedy: string];

const place = ({ host, port }: Target): string => `${host.includes(":") ? `[${host}]` : host}:${port}`;

const untrusted: Explain = ({ host }) => [
  "tls",
  `the certificate of ${host} is not signed by an authority that this machine trusts`,
  "set NODE_EXTRA_CA_CERTS to the authority's file, or pass --insecure",
];

const notTls: Explain = (target) => [
  "tls",
  `${place(target)} does not use TLS`,
  `try ${target.url.replace("https:", "http:")}`,
];

const EXPLAINED: Readonly<Record<string, Explain>> = {
  ENOTFOUND: ({ host }) => ["dns", `the host ${host} does not exist`, "check the name in the URL"],
  EAI_AGAIN: ({ host }) => [
    "dns",
    `the name ${host} cannot be resolved now`,
    "check the machine's DNS, or use an address in the URL and --header 'Host: NAME'",
  ],
  ECONNREFUSED: (target) => [
    "connect",
    `nothing listens on ${place(target)}`,
    "start the server, or correct the port in the URL",
  ],
  EHOSTUNREACH: ({ host }) => ["connect", `no route to ${host}`, "check the network and its firewall"],
  ENETUNREACH: ({ host }) => ["connect", `no route to ${host}`, "check the network and its firewall"],
  ETIMEDOUT: (target) => [
    "connect",
    `${place(target)} does not answer the connection attempt`,
    "check the address and the firewall in front of it",
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: ({ host }) => [
    "tls",
    `the certificate is not for ${host}`,
    "use the name that the certificate has, or pass --insecure",
  ],
  CERT_HAS_EXPIRED: ({ host }) => [
    "tls",
    `the certificate of ${host} has expired`,
    "renew it, or pass --insecure",
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
  ERR_SSL_RECORD_LAYER_FAILURE: notTls,
};

/** Explains a connection error; `isSecuring` when TCP is connected and TLS is not. */
export function faultOf(error: Error, target: Target, isSecuring: boolean): Fault {
  const first = error instanceof AggregateError ? (error.errors[0] as Error | undefined) : error;
  const code = (first as NodeJS.ErrnoException | undefined)?.code ?? "";
  const explain = EXPLAINED[code];
  if (explain !== undefined) {
    const [kind, sentence, remedy] = explain(target);
    return { kind, sentence: printable(sentence), remedy: printable(remedy) };
  }
  if (isSecuring) {
    return {
      kind: "tls",
      sentence: `TLS with ${place(target)} fails: ${printable(first?.message ?? code)}`,
      remedy: "check that the port supports TLS 1.2 or later",
    };
  }
  return {
    kind: "connect",
    sentence: `${place(target)} cannot be reached: ${printable(first?.message ?? code)}`,
    remedy: "check the URL and that the server runs",
  };
}

/** The fault of a connection without a readable response. */
export function noAnswer(target: Target, detail: string): Fault {
  const remedy = target.isTls
    ? "check the server's log; a device on the way may not forward HTTP"
    : "check the server's log; a port with TLS needs an https URL";
  return { kind: "protocol", sentence: `${place(target)} ${printable(detail)}`, remedy };
}

/** The fault of a step that did not complete within `ms`. */
export function tooLate(target: Target, what: string, ms: number): Fault {
  return {
    kind: "timeout",
    sentence: `${place(target)} ${what} within ${ms / 1000} s`,
    remedy: "check the address and the firewall in front of it",
  };
}
