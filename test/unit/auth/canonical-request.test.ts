import { createSecretKey } from "node:crypto";
import { expect, test } from "vitest";
import { canonicalQuery, readParameters, signedQueries } from "../../../src/auth/canonical-query.ts";
import { canonicalRequest, payloadHash, signatureOf } from "../../../src/auth/canonical-request.ts";

// The worked example of the published description of the algorithm.
const VECTOR = {
  secret: "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc",
  date: "20191115T033655Z",
  query: "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
  parts: {
    method: "GET",
    path: "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs",
    headers: [
      ["content-type", "application/json"],
      ["host", "service.region.example.com"],
      ["x-sdk-date", "20191115T033655Z"],
    ] as const,
    payload: payloadHash(""),
  },
};

const parametersOf = (query: string) => readParameters(query, 100) ?? [];
const formsOf = (query: string) => signedQueries(parametersOf(query)).map(({ text }) => text);

test("the published example is reproduced exactly", () => {
  const canonical = canonicalRequest(VECTOR.parts, canonicalQuery(parametersOf(VECTOR.query)));
  expect(canonical).toBe(
    [
      "GET",
      "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/",
      "limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
      "content-type:application/json",
      "host:service.region.example.com",
      "x-sdk-date:20191115T033655Z",
      "",
      "content-type;host;x-sdk-date",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ].join("\n"),
  );
  expect(payloadHash(canonical)).toBe("b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a");
  const signature = signatureOf(canonical, VECTOR.date, createSecretKey(VECTOR.secret, "utf8"));
  expect(signature.toString("hex")).toBe("7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe");
});

test.each([
  ["an empty value", "k", "k=", "k"],
  ["a name that begins another name", "a=1&a-b=2", "a=1&a-b=2", "a-b=2&a=1"],
  ["a letter beyond ASCII", "z=1&%C3%A9=2", "z=1&%C3%A9=2", "%C3%A9=2&z=1"],
  ["repeated names", "a=2&b=3&a=1", "a=1&a=2&b=3", "a=1&a=2&b=3"],
  ["a plus, which is not a space", "q=a+b", "q=a%2Bb", "q=a%2Bb"],
  ["needless and small percent-encoding", "q=%7e%61%2f", "q=~a%2F", "q=~a%2F"],
  [
    "a bare percent sign, which is literal",
    "q=100%&%zz=%u00e9",
    "%25zz=%25u00e9&q=100%25",
    "%25zz=%25u00e9&q=100%25",
  ],
  ["empty pairs", "&&a=1&", "a=1", "a=1"],
  ["a value with =", "a=b=c", "a=b%3Dc", "a=b%3Dc"],
  ["no query", "", "", ""],
])("the canonical queries of today and of 2018: %s", (_, query, today, old) => {
  expect(canonicalQuery(parametersOf(query))).toBe(today);
  expect(formsOf(query)).toEqual([...new Set([today, old])]);
});

test("an emoji is sorted in the order of each signer's language", () => {
  const emoji = "%F0%9F%98%80=1";
  const privateUse = "%EE%80%80=2";
  const [bytes, javascript] = formsOf(`${emoji}&${privateUse}`);
  expect(bytes).toBe(`${privateUse}&${emoji}`);
  expect(javascript).toBe(`${emoji}&${privateUse}`);
});

test("a parameter that a polyfill appended may be left out, without sorting again", () => {
  const parameters = parametersOf("b=&%F0%9F%98%80=1&a-b=2&a=1&%EE%80%80=2&lastEventId=7");
  const appended = parameters.at(-1);
  const forms = signedQueries(parameters, appended);
  const without = signedQueries(parameters.slice(0, -1)).map(({ text }) => text);
  expect(forms.filter(({ isResumed }) => isResumed).map(({ text }) => text)).toEqual(without);
  expect(forms.filter(({ isResumed }) => !isResumed)).toEqual(signedQueries(parameters));
  expect(without).toHaveLength(3);
});

test("empty parameters are not counted, and parameters beyond the limit are not read", () => {
  expect(readParameters("&&a&b=&&", 2)).toHaveLength(2);
  expect(readParameters("a&b&c", 2)).toBeUndefined();
});

test.each([
  ["/stream", "/stream/"],
  ["/stream/", "/stream/"],
  ["/", "/"],
  ["/a%2fb", "/a%2Fb/"],
  ["/a%252fb", "/a%252fb/"],
  ["/%61;x=1", "/a%3Bx%3D1/"],
  ["//a", "//a/"],
])("the canonical path of %s is %s", (path, canonical) => {
  expect(canonicalRequest({ ...VECTOR.parts, path }, "").split("\n")[1]).toBe(canonical);
});

test("only spaces and tabs are trimmed: the last byte of a letter may equal a no-break space", () => {
  const headers = [["x-name", " \tvoil\u00c3\u00a0 \t"]] as const;
  const line = canonicalRequest({ ...VECTOR.parts, headers }, "").split("\n")[3];
  expect(line).toBe("x-name:voil\u00c3\u00a0");
});
