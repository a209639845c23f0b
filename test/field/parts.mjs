import { TOKENS } from "./script.mjs";

/** One promise for each token of the present round, fulfilled when the round gives it. */
export function partsOf({ round }) {
  const resolves = [];
  const parts = TOKENS.map(() => new Promise((resolve) => resolves.push(resolve)));
  const fulfil = async () => {
    for await (const token of round.tokens()) resolves.shift()(token);
  };
  void fulfil();
  return parts;
}
