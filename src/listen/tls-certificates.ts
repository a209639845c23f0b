import { constants, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { Certificate } from "../config/certificate-file.ts";

/** A certificate as Node's TLS takes it. A client that negotiates again costs us much and itself little. */
export function contextOptions({ cert, key }: Certificate): SecureContextOptions {
  return { cert, key, secureOptions: constants.SSL_OP_NO_RENEGOTIATION };
}

interface Entry {
  readonly certificate: Certificate;
  readonly x509: X509Certificate;
  readonly context: SecureContext;
}

/** The certificates of one listener, ready for handshakes; a handshake gets one, and keeps it. */
export class TlsCertificates {
  readonly #entries: readonly [Entry, ...Entry[]];

  /** Takes over what did not change of `previous`, so that its clients can resume their sessions. */
  constructor(certificates: readonly Certificate[], previous?: TlsCertificates) {
    const [first, ...rest] = certificates.map(
      (certificate) => previous?.find(certificate) ?? entryOf(certificate),
    );
    if (first === undefined) throw new TypeError("a validated listener with TLS has a certificate");
    this.#entries = [first, ...rest];
  }

  /** For clients that ask for no name, or for an unknown one. */
  get first(): SecureContext {
    return this.#entries[0].context;
  }

  /** The certificate for a name as a client asked for it, whatever it is. */
  choose(serverName: string): SecureContext {
    // A name that is none is nobody's: OpenSSL takes one with a NUL for what stands before it.
    const isName = /^[\w.-]{1,255}$/.test(serverName);
    const found = isName
      ? this.#entries.find(({ x509 }) => x509.checkHost(serverName) !== undefined)
      : undefined;
    return (found ?? this.#entries[0]).context;
  }

  find({ cert, key }: Certificate): Entry | undefined {
    return this.#entries.find(({ certificate }) => certificate.cert === cert && certificate.key === key);
  }
}

function entryOf(certificate: Certificate): Entry {
  const x509 = new X509Certificate(certificate.cert);
  return { certificate, x509, context: createSecureContext(contextOptions(certificate)) };
}
