import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  fieldValue,
  fieldValues,
  listItems,
  removeField,
  setField,
  someValue,
  withoutField,
} from "../../../src/http/fields.ts";
import { requestFields, responseFields } from "../../../src/http/forwarded-fields.ts";
import { requestTrailers, responseTrailers } from "../../../src/http/trailers.ts";

const HOP_BY_HOP = [
  "Connection",
  "HTTP2-Settings",
  "Keep-Alive",
  "Proxy-Authenticate",
  "Proxy-Authentication-Info",
  "Proxy-Authorization",
  "Proxy-Connection",
  "Trailer",
  "Transfer-Encoding",
  "Upgrade",
];
const untrusted = { isTrusted: false };
const trusted = { isTrusted: true };

const namesOf = (raw: readonly string[]): string[] =>
  raw.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());

describe("look-up and change", () => {
  const raw = ["Accept", "a", "X-A", "1", "x-a", "2", "Host", "h"];

  test("values are found by a name in any case, in order", () => {
    expect(fieldValue(raw, "x-a")).toBe("1");
    expect(fieldValues(raw, "x-a")).toEqual(["1", "2"]);
    expect(fieldValue(raw, "x-b")).toBeUndefined();
    expect(fieldValues(raw, "x-b")).toEqual([]);
  });

  test("a value is never read as a name", () => {
    expect(fieldValue(["A", "host", "host", "x"], "host")).toBe("x");
  });

  test("a value passes a test if any field line of that name has it", () => {
    expect(someValue(raw, "x-a", (value) => value === "2")).toBe(true);
    expect(someValue(raw, "x-a", (value) => value === "h")).toBe(false);
    expect(someValue(raw, "x-b", () => true)).toBe(false);
  });

  test("a set field occurs once, in the position of the first", () => {
    const set = (name: string, value: string): string[] => {
      const fields = [...raw];
      setField(fields, name, value);
      return fields;
    };
    expect(set("X-a", "3")).toEqual(["Accept", "a", "X-a", "3", "Host", "h"]);
    expect(set("X-B", "4")).toEqual([...raw, "X-B", "4"]);
    expect(set("host", "i")).toEqual(["Accept", "a", "X-A", "1", "x-a", "2", "host", "i"]);
  });

  test("a field is removed with its duplicates", () => {
    const fields = [...raw, "X-a", "3"];
    removeField(fields, "X-A");
    expect(fields).toEqual(["Accept", "a", "Host", "h"]);
    removeField(fields, "X-A");
    expect(fields).toEqual(["Accept", "a", "Host", "h"]);
  });

  test("a copy lacks a field, and the original list stays unchanged", () => {
    expect(withoutField(raw, "X-A")).toEqual(["Accept", "a", "Host", "h"]);
    expect(raw).toHaveLength(8);
  });

  test("names of Object.prototype are names like any other", () => {
    const odd = ["__proto__", "1", "constructor", "2", "hasOwnProperty", "3"];
    expect(requestFields(odd, untrusted)).toEqual(odd);
    expect(fieldValue(odd, "__proto__")).toBe("1");
    expect(fieldValue([], "constructor")).toBeUndefined();
  });
});

describe("fields that a Connection field lists", () => {
  test("are removed with it, in any case and position", () => {
    const raw = ["X-Hop", "1", "Connection", "close, x-HOP,,  X-Other", "x-other", "2", "Accept", "a"];
    expect(requestFields(raw, untrusted)).toEqual(["Accept", "a"]);
    expect(responseFields(raw).fields).toEqual(["Accept", "a"]);
  });

  test.each([
    "Authorization",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Host",
    "Origin",
    "X-Apig-AppCode",
    "X-Sdk-Content-Sha256",
    "X-Sdk-Date",
  ])("%s stays, because the request was framed, routed or authenticated with it", (name) => {
    const raw = ["Connection", `close, ${name}`, name, "v", "connection", name.toLowerCase()];
    expect(requestFields(raw, untrusted)).toEqual([name, "v"]);
  });

  test("a field that the gateway adds afterwards cannot be removed", () => {
    const kept = requestFields(["Connection", "X-Forwarded-For", "X-Forwarded-For", "6.6.6.6"], untrusted);
    setField(kept, "X-Forwarded-For", "192.0.2.1");
    expect(kept).toEqual(["X-Forwarded-For", "192.0.2.1"]);
  });

  test("a backend cannot remove the type or the cookies of its response", () => {
    const raw = ["Content-Type", "text/event-stream", "Set-Cookie", "a=b"];
    expect(responseFields(["Connection", "Content-Type, Set-Cookie", ...raw]).fields).toEqual(raw);
  });
});

describe("hop-by-hop fields", () => {
  test.each(HOP_BY_HOP)("%s is removed in both directions", (name) => {
    const raw = ["A", "1", name, "x", name.toLowerCase(), "y", "B", "2"];
    expect(requestFields(raw, trusted)).toEqual(["A", "1", "B", "2"]);
    expect(responseFields(raw).fields).toEqual(["A", "1", "B", "2"]);
  });

  test("Transfer_Encoding is removed too, because a CGI backend reads it as Transfer-Encoding", () => {
    expect(requestFields(["Transfer_Encoding", "chunked"], trusted)).toEqual([]);
  });

  test.each(["Transfer~Encoding", "Proxy.Authorization", "Content_Length", "Content'Length", "Keep!Alive"])(
    "%s is removed too: a CGI backend writes every such character as _",
    (name) => {
      expect(requestFields(["A", "1", name, "x"], trusted)).toEqual(["A", "1"]);
    },
  );

  test("Content-Length stays, and so do unusual names that are not twins", () => {
    const raw = [
      "Content-Length",
      "3",
      "content-length",
      "3",
      "X~Fine",
      "1",
      "Content_Type",
      "a",
      "X_A.B",
      "2",
    ];
    expect(requestFields(raw, untrusted)).toEqual(raw);
  });

  test("of TE only trailers is forwarded, once", () => {
    expect(requestFields(["TE", "gzip;q=0.5, Trailers", "te", "trailers"], untrusted)).toEqual([
      "TE",
      "trailers",
    ]);
    expect(requestFields(["TE", "gzip, deflate"], untrusted)).toEqual([]);
  });

  test("Expect is removed, because this hop has responded to it", () => {
    expect(requestFields(["Expect", "100-continue"], trusted)).toEqual([]);
  });

  test("order, case and duplicates of the other fields are kept", () => {
    const raw = ["Set-Cookie", "a", "SET-COOKIE", "b", "x-Z", "", "Accept", "c"];
    expect(requestFields(raw, untrusted)).toEqual(raw);
    expect(responseFields(raw).fields).toEqual(raw);
  });

  test("for any fields the output holds no hop-by-hop field, no listed field, and nothing new", () => {
    const name = fc.constantFrom(...HOP_BY_HOP, "TE", "Accept", "X-A", "X-B", "Host", "Content-Length");
    const cased = name.chain((text) => fc.constantFrom(text, text.toLowerCase(), text.toUpperCase()));
    const value = fc.oneof(
      cased,
      fc.array(cased, { maxLength: 4 }).map((names) => names.join(" ,")),
      fc.string(),
    );
    const fields = fc.array(fc.tuple(cased, value), { maxLength: 12 });
    const hop = new Set(HOP_BY_HOP.map((text) => text.toLowerCase()));
    fc.assert(
      fc.property(fields, fc.boolean(), (pairs, isTrusted) => {
        const listed = pairs
          .filter(([text]) => text.toLowerCase() === "connection")
          .flatMap(([, text]) => text.split(","))
          .map((text) => text.trim().toLowerCase());
        const gone = new Set([...hop, ...listed]);
        for (const kept of ["host", "content-length"]) gone.delete(kept);
        const expected = pairs.filter(
          ([text]) => !gone.has(text.toLowerCase()) && text.toLowerCase() !== "te",
        );
        const sent = requestFields(pairs.flat(), { isTrusted });
        const welcome = namesOf(sent).indexOf("te");
        if (welcome >= 0) expect(sent.splice(2 * welcome, 2)).toEqual(["TE", "trailers"]);
        expect(sent).toEqual(expected.flat());
        expect(responseFields(pairs.flat()).fields).toEqual(expected.flat());
      }),
      { numRuns: 5000 },
    );
  });
});

describe("fields with which a client could pose as the gateway", () => {
  test.each([
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Request-Id",
    "X_Forwarded_For",
    "x-forwarded_proto",
    "X.Real.IP",
    "X_Request_ID",
    "Proxy",
    "X~Forwarded~For",
    "X|Real!IP",
    "X+Request`Id",
  ])("%s is removed, also from a trusted peer: the gateway sends its own", (name) => {
    expect(requestFields([name, "6.6.6.6"], untrusted)).toEqual([]);
    expect(requestFields([name, "6.6.6.6"], trusted)).toEqual([]);
  });

  test.each(["X-Forwarded-Prefix", "X-Forwarded-Server"])(
    "%s is forwarded from a trusted peer only, its twin never",
    (name) => {
      expect(requestFields([name, "v"], trusted)).toEqual([name, "v"]);
      expect(requestFields([name, "v"], untrusted)).toEqual([]);
      expect(requestFields([name.replaceAll("-", "_"), "v"], trusted)).toEqual([]);
    },
  );
});

describe("trailers", () => {
  test.each([
    "Access-Control-Allow-Origin",
    "Authorization",
    "Content-Length",
    "Host",
    "Set-Cookie",
    "Transfer-Encoding",
    "X-Accel-Redirect",
    "X-Forwarded-For",
    "X-Sdk-Date",
  ])("%s is not forwarded as a trailer", (name) => {
    expect(responseTrailers(["Grpc-Status", "0", name, "x"])).toEqual(["Grpc-Status", "0"]);
  });

  test.each([
    "X_Forwarded_For",
    "X~Real~IP",
    "X.Request.Id",
    "Content_Length",
    "Transfer!Encoding",
    "X_Sdk_Date",
    "X'Apig'AppCode",
    "Cookie",
    "TE",
    "If_None_Match",
  ])("%s is not forwarded as a trailer of a request, in any spelling", (name) => {
    const raw = ["X-Fine", "0", name, "x", name.toLowerCase(), "y"];
    expect(requestTrailers(raw, () => false)).toEqual(["X-Fine", "0"]);
  });

  test("trailers of a request that the route takes, and invalid ones, are dropped", () => {
    const raw = ["X-A", "1", "a b", "2", "X-B", "3\r\nX-C: 4", "X-Role", "5", "X-C", "\u010a", "x_d", "6"];
    expect(requestTrailers(raw, ({ lower }) => lower === "x-role")).toEqual(["X-A", "1", "x_d", "6"]);
  });

  test("only trailers that are forwarded are announced", () => {
    const raw = ["Trailer", "Grpc-Status, Host", "Trailer", "Server-Timing,", "A", "1"];
    expect(responseFields(raw)).toEqual({ fields: ["A", "1"], trailer: "Grpc-Status, Server-Timing" });
    expect(responseFields(["Trailer", "Authorization"]).trailer).toBeUndefined();
    expect(responseFields([]).trailer).toBeUndefined();
  });
});

test("a list is read over all lines of its field, and its empty items do not count", () => {
  expect(listItems([" a ,\tb", "", ",c,,"])).toEqual(["a", "b", "c"]);
  expect(listItems([])).toEqual([]);
});
