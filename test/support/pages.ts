import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = new URL("../..", import.meta.url).pathname;

/** The documents for users and developers, relative to the root. */
export const PAGES: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** A fenced block of a page. */
export interface Block {
  readonly page: string;
  /** The line of the fence, counted from 1. */
  readonly line: number;
  /** The nearest `##` heading above the block; empty without one. */
  readonly section: string;
  readonly language: string;
  readonly text: string;
}

/** The text of a page. */
export const pageText = (page: string): string => readFileSync(join(ROOT, page), "utf8");

/** The fenced blocks of a page, in order. */
export function blocksOf(page: string): readonly Block[] {
  const text = pageText(page);
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(
    ({ 1: language = "", 2: content = "", index }) => {
      const before = text.slice(0, index);
      const section = [...before.matchAll(/^## (.*)$/gm)].at(-1)?.[1] ?? "";
      return { page, line: before.split("\n").length, section, language, text: content };
    },
  );
}

/** The blocks of all pages. */
export const allBlocks = (): readonly Block[] => PAGES.flatMap(blocksOf);

/** The text of a page without its fenced blocks: in a block, `#` begins a comment and not a heading. */
export const proseOf = (page: string): string => pageText(page).replaceAll(/^```\w*\n[\s\S]*?^```$/gm, "");

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

/** Headings of one level, such as `##`, in order. */
export const headingsOf = (page: string, level: string): readonly string[] =>
  [...proseOf(page).matchAll(/^(#+) (.*)$/gm)]
    .filter(([, marks]) => marks === level)
    .map(([, , heading = ""]) => heading);

/** All anchors of a page: headings and `<a id="…">`. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const prose = proseOf(page);
  const headings = [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading));
  const named = [...prose.matchAll(/<a id="([^"]+)">/g)].map(([, id = ""]) => id);
  return new Set([...headings, ...named]);
}

/** The anchors in the list of contents of a page, which comes before the first `##`. */
export function contentsOf(page: string): readonly string[] {
  const top = proseOf(page).split(/^## /m)[0] ?? "";
  return [...top.matchAll(/^- \[([^\]]+)\]\(#([^)]+)\)$/gm)].map(([, , anchor = ""]) => anchor);
}

/** The anchors of the `##` headings of a page. */
export const sectionAnchors = (page: string): readonly string[] => headingsOf(page, "##").map(anchorOf);

/** A link to a file of the repository. */
export interface Link {
  readonly page: string;
  /** The path of the file, relative to the root. */
  readonly target: string;
  readonly anchor: string | undefined;
}

/** The links and pictures of a page, without those to other hosts. */
export function linksOf(page: string): readonly Link[] {
  const found = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, href = ""]) => href);
  return found
    .filter((href) => !/^[a-z]+:/.test(href))
    .map((href) => {
      const [path = "", anchor] = href.split("#");
      const target = path === "" ? page : join(page, "..", path);
      return { page, target, anchor };
    });
}

/**
 * Returns the generated part of a page, between `<!-- NAME -->` and `<!-- end -->`, and the text that it should be.
 * With WRITE_DOCS=true, as `npm run docs` sets it, first writes that text into the page.
 */
export function generated(page: string, name: string, content: string): { is: string; shouldBe: string } {
  const text = pageText(page);
  const block = new RegExp(`(<!-- ${name} -->\\n)([\\s\\S]*?)(<!-- end -->)`);
  const shouldBe = `${content}\n`;
  if (process.env["WRITE_DOCS"] === "true") {
    const written = text.replace(
      block,
      (_, open: string, _old: string, end: string) => open + shouldBe + end,
    );
    if (written !== text) writeFileSync(join(ROOT, page), written);
  }
  return { is: block.exec(pageText(page))?.[2] ?? `no <!-- ${name} --> in ${page}`, shouldBe };
}
