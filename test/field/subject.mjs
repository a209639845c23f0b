import { once } from "node:events";
import { inspect } from "node:util";
import { ERROR_TEXT, Script, TEXT } from "./script.mjs";
import { openWays, SETTINGS, WAYS } from "./ways.mjs";

/**
 * Takes one client or application through all ways, in a process of its own, and sends the results to its parent: setting -> way -> check -> "yes", "late" or the reason why not.
 */
const CHECK_MS = 15_000;

/** The checks of a client: complete and prompt, the text of an error, its leaving, and a response that breaks off. */
const clientChecks = (read) => ({
  async tokens(url, begin) {
    const round = begin("tokens");
    await read(url, round);
    if (round.text !== TEXT) throw new Error(`the client read ${JSON.stringify(round.text)}`);
    return round.isHeld ? "late" : "yes";
  },
  async error(url, begin) {
    const shown = await read(url, begin("error")).then(
      () => "no error",
      (error) => inspect(error, { depth: 4 }),
    );
    if (shown === "no error") throw new Error("the client takes an error for a response");
    return shown.includes(ERROR_TEXT) ? "yes" : "hidden";
  },
  async abort(url, begin) {
    const round = begin("abort");
    const reading = read(url, round).catch(() => undefined);
    if (round.signal.aborted === false) await Promise.race([once(round.signal, "abort"), reading]);
    if (!(await round.isLost())) throw new Error("the backend does not notice that the client left");
    return "yes";
  },
  async break(url, begin) {
    const isShown = await read(url, begin("break")).then(
      () => false,
      () => true,
    );
    return isShown ? "yes" : "hidden";
  },
});

/** The outcome of one check, within its time. */
async function outcomeOf(check, url, begin) {
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no end")), CHECK_MS);
  });
  try {
    return await Promise.race([check(url, begin), tooLong]);
  } catch (error) {
    return String(error?.message ?? error).slice(0, 400);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether each check goes as without any proxy: some clients show no text of an error at all. */
const isWorking = (outcomes = {}, direct) =>
  Object.entries(outcomes).every(([check, outcome]) => outcome === direct[check]);

async function tryWays({ checks, port, begin, setting, names }) {
  const { urls, close } = await openWays(port, setting);
  const results = {};
  try {
    for (const name of names) {
      results[name] = {};
      for (const [check, run] of Object.entries(checks))
        results[name][check] = await outcomeOf(run, urls[name], begin);
    }
  } finally {
    await close();
  }
  return results;
}

/** Makes a backend listen, unless it is a process of its own, which has a port. */
async function portOf(server, script) {
  if (server.port !== undefined) return server.port;
  script.watch(server).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

async function main(path) {
  // A library may reject a promise of its own when its client leaves.
  process.on("unhandledRejection", (error) => console.error(error));
  const subject = await import(`./${path}.mjs`);
  const script = new Script();
  const port = await portOf(await subject.backend(script), script);
  const begin = (mode) => script.begin(mode);
  const checks = subject.checks ?? clientChecks(subject.read);

  const results = {};
  let direct;
  let names = WAYS.map(({ name }) => name);
  // A subject that needs a setting by design is not tried with the others.
  const tried = SETTINGS.filter(({ name }) => name === "defaults" || name === (subject.needs ?? name));
  for (const setting of tried) {
    results[setting.name] = await tryWays({ checks, port, begin, setting, names });
    direct ??= results[setting.name].direct;
    const through = WAYS.filter(({ without }) => without !== undefined).map(({ name }) => name);
    names = through.filter((name) => names.includes(name) && !isWorking(results[setting.name][name], direct));
    if (names.length === 0) break;
  }
  const id = path.split("/").at(-1);
  const { packages = [id], label = `\`${packages[0]}\``, needs } = subject;
  process.send({ label, packages, needs, settings: results }, () => process.exit(0));
}

await main(process.argv[2]);
