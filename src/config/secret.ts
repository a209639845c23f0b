import * as z from "zod";
import { readTextFile } from "./text-file.ts";

const FILE = "file:";
const EXPECTED = "expected a secret, or file:/path of a file that holds it";

/**
 * A secret: the text itself, or `file:/path` for what a file holds.
 *
 * Of a file, one line break at its end is taken off and nothing else: editors and `echo` add one, and a
 * secret may end in a space. Docker and Kubernetes mount secrets as files.
 */
export const secret = z
  .string(EXPECTED)
  .meta({ minLength: 1 })
  .transform((text, ctx) => {
    // Here, not as `min`: a union, such as that of one secret and two, passes on the words of a transform only.
    if (text === "") {
      ctx.addIssue("expected a secret that is not empty");
      return z.NEVER;
    }
    const read = text.startsWith(FILE) ? readSecret(text.slice(FILE.length)) : { text };
    if ("text" in read) return read.text;
    ctx.addIssue(read.problem);
    return z.NEVER;
  });

function readSecret(path: string): { readonly text: string } | { readonly problem: string } {
  if (!path.startsWith("/")) return { problem: "expected an absolute path after file:" };
  const read = readTextFile(path);
  if ("problem" in read) return { problem: `${path}: ${read.problem.message}` };
  const text = read.text.replace(/\r?\n$/, "");
  if (text === "") return { problem: `${path}: expected a secret that is not empty` };
  if (/[\r\n]/.test(text)) return { problem: `${path}: expected one line` };
  return { text };
}
