import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { certificate } from "../../support/certificate.ts";
import { expired, valid } from "../../support/signed-certificates.ts";

const FILES: Readonly<Record<string, string>> = {
  "routes/main.yaml": "match: { path: /* }\nupstream: http://127.0.0.1:1\n",
  "tls/cert.pem": certificate.cert,
  "tls/key.pem": certificate.key,
  "tls/other-cert.pem": valid.cert,
  "tls/other-key.pem": valid.key,
  "tls/expired.pem": expired.cert,
  "tls/garbled.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  "tls/locked.pem": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
};

function load(yaml: string) {
  const root = mkdtempSync(join(tmpdir(), "sluice-listen-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const folder of ["routes", "tls"]) mkdirSync(join(root, folder));
  for (const [name, text] of Object.entries({ ...FILES, "sluice.yaml": yaml }))
    writeFileSync(join(root, name), text);
  const loaded = loadConfig(root, {});
  const problems = "problems" in loaded ? loaded.problems : [];
  return {
    listen: "config" in loaded ? loaded.config.server.listen : [],
    problems: problems.map((problem) => formatProblem(problem).replace(`${root}/sluice.yaml:`, "")),
  };
}

const address = { host: undefined, port: 8000 };
const plain = { address, mode: undefined, tls: undefined, http2: undefined, proxyProtocol: false };
const bounds = { maxConcurrentStreams: 100, maxResets: 100, pingInterval: 15_000 };

/** A certificate as it is loaded from a file. */
const from = (file: string, { cert, key }: { readonly cert: string; readonly key: string }) => ({
  ...{ cert, key, file },
  expiresAt: Date.parse(new X509Certificate(cert).validTo),
});

test("the short forms are a listener with the defaults", () => {
  expect(load("listen: 8000").listen).toEqual([plain]);
  expect(load("listen: [8000, 'unix:/run/s.sock']").listen).toEqual([
    plain,
    { ...plain, address: { path: "/run/s.sock" } },
  ]);
  expect(load("listen: { address: 8000 }").listen).toEqual([plain]);
});

test("files are named relative to the configuration, and HTTP/2 comes with TLS", () => {
  const { listen, problems } = load(
    "listen: { address: 8000, tls: { cert: tls/cert.pem, key: tls/key.pem } }",
  );
  expect(problems).toEqual([]);
  expect(listen).toEqual([{ ...plain, tls: [from("tls/cert.pem", certificate)], http2: bounds }]);
});

test("several certificates keep their order, and a variable may name a folder", () => {
  const { listen } = load(
    "listen:\n  - 8000\n  - address: 8443\n    proxyProtocol: true\n    http2: { maxConcurrentStreams: 7 }\n    tls:\n      - { cert: tls/cert.pem, key: '${NONE:-tls}/key.pem' }\n      - { cert: tls/other-cert.pem, key: tls/other-key.pem }\n",
  );
  expect(listen[1]).toEqual({
    address: { host: undefined, port: 8443 },
    mode: undefined,
    tls: [from("tls/cert.pem", certificate), from("tls/other-cert.pem", valid)],
    http2: { ...bounds, maxConcurrentStreams: 7 },
    proxyProtocol: true,
  });
});

test("with http2: false, TLS offers only HTTP/1", () => {
  const { listen } = load(
    "listen: { address: 8000, http2: false, tls: { cert: tls/cert.pem, key: tls/key.pem } }",
  );
  expect(listen[0]?.http2).toBeUndefined();
});

test.each([
  ["cert: tls/none.pem, key: tls/key.pem", "1:36 listen.tls.cert: tls/none.pem: does not exist"],
  ["cert: tls, key: tls/key.pem", "1:36 listen.tls.cert: tls: expected a file, but it is a directory"],
  ["cert: tls/cert.pem, key: tls/none.pem", "1:55 listen.tls.key: tls/none.pem: does not exist"],
  [
    "cert: tls/key.pem, key: tls/key.pem",
    "1:36 listen.tls.cert: tls/key.pem: expected a certificate in PEM form",
  ],
  [
    "cert: tls/garbled.pem, key: tls/key.pem",
    "1:36 listen.tls.cert: tls/garbled.pem: expected valid certificates",
  ],
  [
    "cert: tls/cert.pem, key: tls/cert.pem",
    "1:55 listen.tls.key: tls/cert.pem: expected a private key in PEM form",
  ],
  [
    "cert: tls/cert.pem, key: tls/locked.pem",
    "1:55 listen.tls.key: tls/locked.pem: expected a key without a passphrase",
  ],
  [
    "cert: tls/cert.pem, key: tls/other-key.pem",
    "1:55 listen.tls.key: tls/other-key.pem: the key does not belong to the certificate",
  ],
  [
    "cert: tls/expired.pem, key: tls/other-key.pem",
    "1:36 listen.tls.cert: tls/expired.pem: the certificate expired on 2026-11-22",
  ],
  ["cert: tls/cert.pem", "1:23 listen.tls.key: missing; expected the path of a PEM file"],
])("tls: { %s } is a problem with its place", (tls, problem) => {
  expect(load(`listen: { address: 1, tls: { ${tls} } }`).problems).toEqual([problem]);
});

test("of several certificates, the problem names the invalid one", () => {
  const yaml =
    "listen:\n  - address: 1\n    tls:\n      - { cert: tls/cert.pem, key: tls/key.pem }\n      - { cert: tls/cert.pem, key: tls/other-key.pem }\n";
  expect(load(yaml).problems).toEqual([
    "5:36 listen[0].tls[1].key: tls/other-key.pem: the key does not belong to the certificate",
  ]);
});

test.each([
  ["{ address: 1, http2: true }", "1:30 listen.http2: expected tls as well, because HTTP/2 needs it"],
  ["{ address: 1, mode: '660' }", "1:29 listen.mode: expected a unix:/path as address"],
  ["{ address: 'unix:/s', mode: 660 }", "1:37 listen.mode: expected permissions such as '660', in quotes"],
  [
    "{ address: 1, proxyprotocol: true }",
    "1:23 listen.proxyprotocol: unknown key; did you mean proxyProtocol?",
  ],
  ["{ address: 70000 }", "1:20 listen.address: expected at most 65535"],
  ["[]", "1:9 listen: expected at least 1 of them"],
])("listen: %s is a problem with its place", (listen, problem) => {
  const { problems } = load(`listen: ${listen}`);
  expect(problems).toEqual([problem]);
});
