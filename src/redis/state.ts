import * as z from "zod";
import { type ErrorCode, isErrorCode, ProxyError } from "../base/errors.ts";
import { fieldValue } from "../config/scalars.ts";
import type { BackendState } from "../shared/store.ts";
import { jsonOf } from "./schemas.ts";

/** Shown for a code of a newer version: a backend has refused, and why is not known here. */
const UNKNOWN_CODE: ErrorCode = "backend_refused";

/** Names that go out with a refusal; a newer instance's others say nothing that this version could answer for. */
const SHOWN_FIELD = /^(?:allow|location|retry-after|www-authenticate)$/i;

const MAX_FIELDS = 16;

/** The longest wait before a backend is asked again that is believed: the longest that a configuration can name. */
const MAX_RETRY_MS = 24 * 24 * 60 * 60_000;

const DEFAULT_RETRY_MS = 1_000;

/** As the intake of a backend's stream takes them: 15 digits. */
const retryMs = z.int().min(0).max(999_999_999_999_999);

const shownField = z.tuple([z.string().regex(SHOWN_FIELD), fieldValue]);

const failed = z.object({
  is: z.literal("failed"),
  status: z.int().min(300).max(599),
  code: z.string().refine(isErrorCode),
  fields: z.array(shownField).max(MAX_FIELDS),
  retryAt: z.number(),
});

/** What this version writes. */
const stateSchema = z.discriminatedUnion("is", [
  z.object({ is: z.literal("connecting") }),
  z.object({ is: z.literal("open"), retryMs: retryMs.optional() }),
  z.object({ is: z.literal("ended") }),
  failed,
]);

/** Of a word that does not fit, the parts that do. */
const partsSchema = z.object({
  is: z.enum(["connecting", "open", "ended", "failed"]),
  retryMs: retryMs.optional().catch(undefined),
  status: failed.shape.status.optional().catch(undefined),
  code: failed.shape.code.catch(UNKNOWN_CODE),
  fields: z.array(z.unknown()).max(MAX_FIELDS).catch([]),
  retryAt: z.number().optional().catch(undefined),
});

/** How a backend stands, as a record keeps it. */
export const writeState = (state: BackendState): string => JSON.stringify(state);

/**
 * Reads what a leader, perhaps of another version, says of its backend. `onInvalid` is called when it does not fit;
 * what is returned then has its sound parts, and is undefined when not even the kind of state is known.
 */
export function readState(text: string, onInvalid: () => void): BackendState | undefined {
  const value = jsonOf(text);
  const { data } = stateSchema.safeParse(value);
  if (data === undefined) onInvalid();
  const state = (data as BackendState | undefined) ?? soundPartsOf(value);
  if (state?.is !== "failed") return state;
  return { ...state, retryAt: Math.min(state.retryAt, Date.now() + MAX_RETRY_MS) };
}

function soundPartsOf(value: unknown): BackendState | undefined {
  const { data } = partsSchema.safeParse(value);
  if (data === undefined) return undefined;
  if (data.is === "open") return { is: "open", ...(data.retryMs !== undefined && { retryMs: data.retryMs }) };
  if (data.is !== "failed") return { is: data.is };
  const code = data.code as ErrorCode;
  const { status = new ProxyError(code, "").status, retryAt = Date.now() + DEFAULT_RETRY_MS } = data;
  const fields = data.fields.map((field) => shownField.safeParse(field).data);
  return { is: "failed", status, code, fields: fields.filter((field) => field !== undefined), retryAt };
}
