import { effective } from "../../effective.ts";
import type { Level } from "../../level.ts";
import { parseSize } from "../../units.ts";
import type { Lint } from "../lint.ts";
import { configurationRule, type Rule } from "../rule.ts";

const FAMILIES_WITH_BUFFERS = ["proxy", "fastcgi", "uwsgi", "scgi"];
const SUFFIXES = ["buffer_size", "buffers", "busy_buffers_size"];
const PAGE = 4096;

const bufferSizes = configurationRule(
  "buffer-sizes",
  "P15",
  "nginx does not start: the buffer sizes contradict one another.",
  (lint) => {
    for (const level of lint.configuration.main.inward()) {
      if (!["http", "server", "location"].includes(level.kind)) continue;
      for (const family of FAMILIES_WITH_BUFFERS) checkFamily(family, level, lint);
    }
  },
);

function checkFamily(family: string, level: Level, lint: Lint): void {
  const own = SUFFIXES.flatMap((suffix) => level.own(`${family}_${suffix}`));
  const at = own.at(-1);
  if (at === undefined || own.some(({ hasPlaceholder }) => hasPlaceholder)) return;
  const fault = faultOf(family, level, lint);
  if (fault === undefined) return;
  lint.report(bufferSizes, {
    severity: "error",
    at,
    message: `nginx does not start: ${fault}`,
    remedy: `set ${family}_buffers and ${family}_busy_buffers_size that fit, or remove all three`,
  });
}

/** Checks what `ngx_http_proxy_merge_loc_conf` checks; returns nginx's own message. */
function faultOf(family: string, level: Level, lint: Lint): string | undefined {
  const settingOf = (suffix: string) => effective(level, `${family}_${suffix}`, lint.version);
  const sizeOf = (suffix: string) => {
    const { directive, value } = settingOf(suffix);
    return directive === undefined ? undefined : parseSize(value);
  };
  const buffers = settingOf("buffers");
  const count = buffers.directive === undefined ? 8 : Number(buffers.args[0]);
  const each = buffers.directive === undefined ? PAGE : (parseSize(buffers.args[1] ?? "") ?? PAGE);
  if (count < 2) return `there must be at least 2 "${family}_buffers"`;
  const largest = Math.max(sizeOf("buffer_size") ?? PAGE, each);
  const busy = sizeOf("busy_buffers_size") ?? 2 * largest;
  if (busy < largest) {
    return `"${family}_busy_buffers_size" must be equal to or greater than the maximum of the value of "${family}_buffer_size" and one of the "${family}_buffers"`;
  }
  if (busy > (count - 1) * each) {
    return `"${family}_busy_buffers_size" must be less than the size of all "${family}_buffers" minus one buffer`;
  }
  return undefined;
}

export const BUFFER_SIZE_RULES: readonly Rule[] = [bufferSizes];
