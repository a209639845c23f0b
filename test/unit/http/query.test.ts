import { expect, test } from "vitest";
import { takeParameter } from "../../../src/http/query.ts";

test("a parameter is taken out in any encoding of its name, and the rest stays byte for byte", () => {
  const cases: [string, string[], string][] = [
    ["", [], ""],
    ["?", [], "?"],
    ["?a=1&&b", [], "?a=1&&b"],
    ["?ticket=x", ["x"], ""],
    ["?ticket", [""], ""],
    ["?a=%2b+1&ticket=x&b=%zz", ["x"], "?a=%2b+1&b=%zz"],
    ["?%74icke%74=x", ["x"], ""],
    ["?ticket=x&ticket=y", ["x", "y"], ""],
    ["?ticket=a%26b=c", ["a&b=c"], ""],
    ["?ticket%3Dx", [], "?ticket%3Dx"],
    ["?Ticket=x&tickets=y&xticket=z", [], "?Ticket=x&tickets=y&xticket=z"],
    ["?ticket=%ff", ["%ff"], ""],
    ["?ticket=%+%41%e4%b8%ad%", ["% A\u4e2d%"], ""],
    ["?%ticket=x&%74%icket=y&%u0074icket=z", [], "?%ticket=x&%74%icket=y&%u0074icket=z"],
    ["?&ticket=x&", ["x"], "?&"],
  ];
  for (const [query, values, rest] of cases) {
    expect(takeParameter(query, "ticket"), query).toEqual({ values, query: rest });
  }
});
