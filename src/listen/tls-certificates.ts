import { constants, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { Certificate } from "../config/certificate-file.ts";

/** Returns a certificate as options of Node's TLS, without renegotiation: it costs the server much and a client little. */
export function contextOptions({ cert, key }: Certificate): SecureContextOptions {
  return { cert, key, secureOptions: constants.SSL_OP_NO_RENEGOTIATION };
}

interface Entry {
  readonly certificate: Certificate;
  readonly x509: X509Certificate;
  readonly context: SecureContext;
}

/** The certificates of one listener, compiled for handshakes. */
export class TlsCertificates {
  readonly #entries: readonly [Entry, ...Entry[]];

  /** Keeps the unchanged entries of `previous`, so that its clients can resume their sessions. */
  constructor(certificates: readonly Certificate[], previous?: TlsCertificates) {
    const [first, ...rest] = certificates.map(
      (certificate) => previous?.find(certificate) ?? entryOf(certificate),
    );
    if (first === undefined) throw new TypeError("a validated listener with TLS has a certificate");
    this.#entries = [first, ...rest];
  }

  /** The certificate for clients that send no SNI name, or an unknown one. */
  get first(): SecureContext {
    return this.#entries[0].context;
  }

  /** Returns the certificate for an SNI name; accepts any text. */
  choose(serverName: string): SecureContext {
    // An invalid SNI name matches no certificate: OpenSSL would cut a name at a NUL.
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
