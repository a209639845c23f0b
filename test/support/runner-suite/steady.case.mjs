import { expect, test } from "vitest";

// Two tests of one name.
test.each([1, 2])("steady", (number) => expect(number).toBeGreaterThan(0));
