import { readFileSync, writeFileSync } from "node:fs";

/** The certificate of the tests, for 127.0.0.1. It is read as text, because Node 20 imports no TypeScript. */
const text = readFileSync(new URL("../support/certificate.ts", import.meta.url), "utf8");
const pem = (kind) => `${text.match(new RegExp(`-----BEGIN ${kind}-----[^]*?-----END ${kind}-----`))[0]}\n`;

export const certificate = () => pem("CERTIFICATE");
export const key = () => pem("PRIVATE KEY");

/** The environment in which Node, curl and Python trust the certificate, which is written to a file. */
export function trusting(file) {
  writeFileSync(file, certificate());
  return { ...process.env, NODE_EXTRA_CA_CERTS: file, CURL_CA_BUNDLE: file, REQUESTS_CA_BUNDLE: file };
}
