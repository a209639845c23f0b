import * as z from "zod";
import { readTextFile } from "./text-file.ts";

const FILE = "file:";
const EXPECTED = "expected a secret, or file:/path of a file that holds it";

/**
 * A secret: the text itself, or `file:/path` of a file that contains it, as Docker and Kubernetes mount secrets.
 *
 * From a file, only one line break at its end is removed: editors and `echo` add one, and a secret may end with a space.
 */
export const secret = z
  .string(EXPECTED)
  .meta({ minLength: 1 })
  .transform((text, ctx) => {
    // Not as `min`: a union, such as one secret or two, shows only the messages of transforms.
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
