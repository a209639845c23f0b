import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { certificatesIn } from "./pem.ts";
import { readTextFile } from "./text-file.ts";

/** A certificate with its chain, and its private key, both in PEM form; the pair has been checked. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** The path of the certificate, as the configuration spells it. */
  readonly file: string;
  /** When it expires, in ms since 1970; the rest of the chain may live longer or shorter. */
  readonly expiresAt: number;
}

/** A problem, and the key that names its file. */
interface CertificateProblem {
  readonly key: "cert" | "key";
  readonly problem: string;
}

/**
 * Reads a certificate and its key, each a PEM file named relative to `directory`; returns a problem if TLS cannot use
 * them. It finds every problem that would otherwise show only in a handshake.
 */
export function readCertificate(
  files: { readonly cert: string; readonly key: string },
  directory: string,
): { readonly certificate: Certificate } | CertificateProblem {
  const cert = readTextFile(resolve(directory, files.cert));
  if ("problem" in cert) return { key: "cert", problem: `${files.cert}: ${cert.problem.message}` };
  const key = readTextFile(resolve(directory, files.key));
  if ("problem" in key) return { key: "key", problem: `${files.key}: ${key.problem.message}` };
  const problem = certificateProblem(cert.text) ?? keyProblem(key.text) ?? pairProblem(cert.text, key.text);
  if (problem !== undefined)
    return { key: problem.key, problem: `${files[problem.key]}: ${problem.problem}` };
  const expiresAt = Date.parse(new X509Certificate(cert.text).validTo);
  return { certificate: { cert: cert.text, key: key.text, file: files.cert, expiresAt } };
}

/** Reads the certificates of authorities to trust from a PEM file. */
export function readAuthorities(path: string): { certificates: string } | { problem: string } {
  const read = readTextFile(path);
  if ("problem" in read) return { problem: `${path}: ${read.problem.message}` };
  const blocks = certificatesIn(read.text);
  if (blocks.length === 0) return { problem: `${path}: expected certificates in PEM form` };
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch {
    return { problem: `${path}: expected valid certificates` };
  }
  return { certificates: blocks.join("\n") };
}

function certificateProblem(text: string): CertificateProblem | undefined {
  const key = "cert";
  const blocks = certificatesIn(text);
  if (blocks.length === 0) return { key, problem: "expected a certificate in PEM form" };
  let own: X509Certificate | undefined;
  try {
    for (const block of blocks.toReversed()) own = new X509Certificate(block);
  } catch {
    return { key, problem: "expected valid certificates" };
  }
  const { validFrom = "", validTo = "" } = own ?? {};
  if (Date.parse(validTo) < Date.now())
    return { key, problem: `the certificate expired on ${dayOf(validTo)}` };
  if (Date.parse(validFrom) > Date.now())
    return { key, problem: `the certificate is not valid before ${dayOf(validFrom)}` };
  return undefined;
}

function keyProblem(text: string): CertificateProblem | undefined {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text))
    return { key: "key", problem: "expected a key without a passphrase" };
  return privateKey(text) === undefined
    ? { key: "key", problem: "expected a private key in PEM form" }
    : undefined;
}

function pairProblem(cert: string, key: string): CertificateProblem | undefined {
  const own = privateKey(key);
  if (own === undefined || !new X509Certificate(cert).checkPrivateKey(own))
    return { key: "key", problem: "the key does not belong to the certificate" };
  try {
    // OpenSSL has further rules, for example against short keys.
    createSecureContext({ cert, key });
  } catch (error) {
    return { key: "cert", problem: `TLS cannot use it (${(error as NodeJS.ErrnoException).code ?? ""})` };
  }
  return undefined;
}

function privateKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}

function dayOf(date: string): string {
  return new Date(date).toISOString().slice(0, 10);
}
