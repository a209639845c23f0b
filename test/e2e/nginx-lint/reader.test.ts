import { describe, expect, test } from "vitest";
import { levelsOf } from "../../../src/nginx/configuration.ts";
import { DumpFiles } from "../../../src/nginx/dump.ts";
import { chooseLocation, normalizePath } from "../../../src/nginx/locations.ts";
import { parse } from "../../../src/nginx/parse.ts";
import { readConfiguration } from "../../../src/nginx/reader.ts";
import { SourceFile } from "../../../src/nginx/source-file.ts";
import { BUILDS, startLab, testConfiguration } from "../../support/nginx-lab.ts";
import { type Random, randomFrom } from "../../support/random-bytes.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const WORDS = Number(process.env["FUZZ_CASES"] ?? 150);

/** The number of words; each starts nginx once. */
const TIMEOUT_MS = Math.max(120_000, WORDS * 200);

/** Characters with a meaning for nginx's parser, and some without. */
const LETTERS = [
  '"',
  "'",
  "\\",
  "#",
  "{",
  "}",
  ";",
  " ",
  "\t",
  "\n",
  "\r\n",
  ")",
  "(",
  "a",
  "b",
  "n",
  "t",
  "r",
  "é",
  "/",
  "=",
];

function randomWord({ upTo, one, chance }: Random): string {
  const quote = one(["", "", '"', "'"]);
  let text = quote;
  for (let left = 1 + upTo(6); left > 0; left -= 1) text += one(LETTERS);
  return text + (chance(0.8) ? quote : "");
}

const site = (word: string) => `server { listen 127.0.0.1:8080; location /w { return 200 ${word}; } }\n`;

/** Reads a word with our parser: its text, or undefined if nginx would not start or has no such word. */
function readWord(word: string): string | undefined {
  const { directives, fault } = parse(new SourceFile("nginx.conf", site(word)));
  const location = directives[0]?.block?.[1];
  const answer = location?.block?.[0];
  const isOne =
    directives.length === 1 && directives[0]?.block?.length === 2 && location?.block?.length === 1;
  if (fault !== undefined || !isOne || (answer?.words.length ?? 9) > 3 || answer?.block !== undefined)
    return undefined;
  // With a comment or only blanks the response has no text.
  return answer?.arg(1);
}

describe.each(BUILDS)("nginx $version", (build) => {
  test(`reads ${WORDS} random words of seed ${SEED} like our parser`, { timeout: TIMEOUT_MS }, async () => {
    const random = randomFrom(SEED);
    const words = Array.from({ length: WORDS }, () => randomWord(random));
    const taken = words.filter((word) => testConfiguration(site(word), build).isTaken);
    expect(words.filter((word) => readWord(word) !== undefined)).toEqual(taken);
    // One server returns all of them.
    const locations = taken.map((word, at) => `location /w${at}/ { return 200 ${word}; }`);
    const lab = await startLab(`server { listen 127.0.0.1:8080;\n${locations.join("\n")}\n}`, {
      build,
      patienceMs: 0,
    });
    for (const [at, word] of taken.entries()) {
      const client = await lab.ask(`/w${at}/`, ["Connection: close"]);
      await client.ended();
      const body = client.bytes.subarray(client.bytes.indexOf("\r\n\r\n") + 4).toString("utf8");
      expect([word, body]).toEqual([word, readWord(word)]);
    }
  });

  test("chooses the same locations as our code", async () => {
    const names = [
      "= /exact",
      "/",
      "/api",
      "/api/v1/",
      "^~ /static/",
      "~ \\.json$",
      "~* \\.PNG$",
      '~ "^/(a|b){2}/"',
    ];
    const inner =
      "location /api/v1/inner { return 200 [inner]; } location ~ \\.nested$ { return 200 [nested]; }";
    const locations = names.map((name, at) =>
      name === "/api/v1/"
        ? `location ${name} { ${inner} location /api/v1/ { return 200 ${at}; } }`
        : `location ${name} { return 200 ${at}; }`,
    );
    const text = `server { listen 127.0.0.1:8080;\n${locations.join("\n")}\nlocation /slash/ { proxy_pass http://127.0.0.1:9000; }\n}`;
    const paths = [
      "/",
      "/exact",
      "/exact/",
      "/api",
      "/apix",
      "/api/v1/x",
      "/api/v1/inner/x",
      "/api/v1/x.nested",
    ];
    paths.push(
      "/api/v1/x.json",
      "/static/x.json",
      "/x.json",
      "/x.JSON",
      "/x.png",
      "/ab/x",
      "/abc/x",
      "/a%2Fb.json",
    );
    paths.push("/api/../x.json", "//api//v1//x", "/slash", "/static", "/api/v1", "/api/v1/inner.json");
    const lab = await startLab(text, { build, patienceMs: 0, answer: (request) => request.respond() });
    const [server] = levelsOf(
      readConfiguration("/n.conf", new DumpFiles(new Map([["/n.conf", text]]))),
      "server",
    );
    for (const path of paths) {
      const client = await lab.ask(path, ["Connection: close"]);
      await client.ended();
      const choice = server && chooseLocation(server, normalizePath(path));
      if (client.status === 301) expect([path, choice?.isRedirect]).toEqual([path, true]);
      else {
        const answer = choice?.location.last("return")?.arg(1);
        expect([path, client.text.split("\r\n\r\n")[1]]).toEqual([path, answer]);
      }
    }
  });
});
