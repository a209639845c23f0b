import { createHash, createHmac, createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createContext, runInContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalQuery, readParameters } from "../../../src/auth/canonical-query.ts";
import { canonicalRequest, payloadHash, signatureOf } from "../../../src/auth/canonical-request.ts";

/** The code that the article's page runs in a browser: the unmodified signer, on our part of CryptoJS. */

interface CryptoJs {
  SHA256(text: string): string;
  HmacSHA256(text: string, key: string): string;
}

interface SignedRequest {
  readonly headers: Readonly<Record<string, string>>;
}

interface SignerModule {
  readonly HttpRequest: new (method: string, url: string, headers?: Record<string, string>) => object;
  readonly Signer: new () => { Key: string; Secret: string; Sign(request: object): SignedRequest };
}

const context = createContext({ TextEncoder }) as { CryptoJS: CryptoJs; signer: SignerModule };
const page = new URL("../../../src/demo/page/", import.meta.url);
const sdk = createRequire(import.meta.url)
  .resolve("apigateway-sdk-nodejs")
  .replace("index.js", "signer.js");
runInContext(readFileSync(new URL("crypto-js.js", page), "utf8"), context);
runInContext(readFileSync(sdk, "utf8"), context);
const { CryptoJS, signer } = context;

const hash = (text: string) => createHash("sha256").update(text).digest("hex");
const hmac = (text: string, key: string) => createHmac("sha256", key).update(text).digest("hex");

test("hashes of texts of every length around a block are equal to node:crypto's", () => {
  for (let length = 0; length <= 200; length += 1) {
    const text = "aé".repeat(length).slice(0, length);
    expect(CryptoJS.SHA256(text)).toBe(hash(text));
    if (length > 0) expect(CryptoJS.HmacSHA256("message", text)).toBe(hmac("message", text));
  }
});

test("hashes of any text with any key are equal to node:crypto's", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 300 });
  fc.assert(
    fc.property(text, text, (message, key) => {
      expect(CryptoJS.SHA256(message)).toBe(hash(message));
      expect(CryptoJS.HmacSHA256(message, key)).toBe(hmac(message, key));
    }),
    { numRuns: 500 },
  );
});

function sign(url: string, key: string, secret: string, headers?: Record<string, string>) {
  const sig = new signer.Signer();
  sig.Key = key;
  sig.Secret = secret;
  return sig.Sign(new signer.HttpRequest("GET", url, headers)).headers;
}

test("the published example gives the published signature", () => {
  const { Authorization } = sign(
    "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
    "QTWAOYTTINDUT2QVKYUC",
    "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc",
    { "content-type": "application/json", "X-Sdk-Date": "20191115T033655Z" },
  );
  expect(Authorization).toBe(
    "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, " +
      "Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe",
  );
});

test("the gateway computes the same signature as the page", () => {
  // Not `__proto__` and the like: the signer keeps a query in a plain object, and throws on these names.
  const name = fc.stringMatching(/^q[a-z0-9~._-]{1,12}$/);
  const secret = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(fc.array(name), fc.array(fc.tuple(name, name)), secret, (segments, pairs, text) => {
      const path = `/${segments.join("/")}`;
      const query = pairs.map(([one, other]) => `${one}=${other}`).join("&");
      const signed = sign(`http://127.0.0.1:8000${path}${query && `?${query}`}`, "KEY", text);
      const date = signed["X-Sdk-Date"] ?? "";
      const canonical = canonicalRequest(
        {
          ...{ method: "GET", path, payload: payloadHash("") },
          headers: [
            ["host", "127.0.0.1:8000"],
            ["x-sdk-date", date],
          ],
        },
        canonicalQuery(readParameters(query, 100) ?? []),
      );
      const expected = signatureOf(canonical, date, createSecretKey(text, "utf8")).toString("hex");
      expect(signed["Authorization"]).toBe(
        `SDK-HMAC-SHA256 Access=KEY, SignedHeaders=host;x-sdk-date, Signature=${expected}`,
      );
    }),
    { numRuns: 300 },
  );
});
