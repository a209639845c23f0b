import { Matrix } from "./matrix.mjs";

/** Searches the fewest cases that cause a violation by themselves. */

/** The kind of a violation: the words before its colon, and its gateway. */
const kindOf = ({ gateway, what }) => `${gateway} ${what.split(":")[0]}`;
/** The number of tries, because timing may matter. */
const RUNS = 3;

export async function narrow(violations, setup) {
  const found = [];
  const kinds = new Map();
  for (const violation of violations) {
    const kind = kindOf(violation);
    if ((kinds.get(kind) ?? 0) >= 2) continue;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    const smallest = await smallestOf(violation, setup);
    console.log(`narrowed ${kind}: ${smallest === undefined ? "not seen again" : smallest.join(",")}`);
    found.push({ kind, what: violation.what.slice(0, 300), cases: smallest });
  }
  return found;
}

async function smallestOf(violation, setup) {
  const own = { ...setup, gateways: [violation.gateway] };
  const fails = async (cases) => {
    for (let run = 0; run < RUNS; run++) if (await failsOnce(cases, violation, own)) return true;
    return false;
  };
  let cases = violation.cases.length > 0 ? violation.cases : violation.indices;
  if (!(await fails(cases))) return undefined;
  while (cases.length > 1) {
    const half = cases.length >> 1;
    const part = [cases.slice(0, half), cases.slice(half)];
    if (await fails(part[0])) cases = part[0];
    else if (await fails(part[1])) cases = part[1];
    else break;
  }
  return cases;
}

async function failsOnce(cases, violation, setup) {
  const matrix = new Matrix(setup);
  await matrix.start();
  try {
    const broken = await matrix.round(cases, true);
    return broken.some((other) => kindOf(other) === kindOf(violation));
  } finally {
    await matrix.stop();
  }
}
