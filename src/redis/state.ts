import * as z from "zod";
import { type ErrorCode, isErrorCode, ProxyError } from "../base/errors.ts";
import { fieldValue, token } from "../config/scalars.ts";
import type { BackendState } from "../shared/store.ts";
import { jsonOf } from "./schemas.ts";

/** Stands for a code of a newer version: the backend has refused, for a reason unknown to this version. */
const UNKNOWN_CODE: ErrorCode = "backend_refused";

/** The fields that are forwarded with a refusal; others, from a newer version, may not be safe to forward. */
const SHOWN_FIELD = /^(?:allow|location|retry-after|www-authenticate)$/i;

const MAX_FIELDS = 16;

/** The longest credible wait before a backend is asked again: the longest that a configuration can set. */
const MAX_RETRY_MS = 24 * 24 * 60 * 60_000;

const DEFAULT_RETRY_MS = 1_000;

/** As in a backend's stream: at most 15 digits. */
const retryMs = z.int().min(0).max(999_999_999_999_999);

const shownField = z.tuple([z.string().regex(SHOWN_FIELD), fieldValue]);

const failed = z.object({
  is: z.literal("failed"),
  status: z.int().min(300).max(599),
  code: z.string().refine(isErrorCode),
  fields: z.array(shownField).max(MAX_FIELDS),
  retryAt: z.number(),
});

const hash = z.string().regex(/^[\w-]{1,64}$/);

/** The facts of a named answer; its fields are sent in response heads, so each must be exactly one field. */
const answer = z
  .object({
    scope: hash,
    bodyHash: hash.optional(),
    fields: z
      .array(z.string())
      .max(1_000)
      .refine((flat) => flat.every((text, at) => (at % 2 === 0 ? token : fieldValue).safeParse(text).success))
      .optional(),
  })
  .optional();

/** The states that this version writes. */
const stateSchema = z.discriminatedUnion("is", [
  z.object({ is: z.literal("connecting"), answer }),
  z.object({ is: z.literal("open"), retryMs: retryMs.optional(), answer }),
  z.object({ is: z.literal("ended"), answer }),
  z.object({ is: z.literal("broken"), code: z.string().refine(isErrorCode).catch(UNKNOWN_CODE), answer }),
  failed,
]);

/** The valid parts of a state that does not fit the schema. */
const partsSchema = z.object({
  is: z.enum(["connecting", "open", "ended", "failed"]),
  retryMs: retryMs.optional().catch(undefined),
  status: failed.shape.status.optional().catch(undefined),
  code: failed.shape.code.catch(UNKNOWN_CODE),
  fields: z.array(z.unknown()).max(MAX_FIELDS).catch([]),
  retryAt: z.number().optional().catch(undefined),
});

/** Returns the text of a backend's state that a record keeps. */
export const writeState = (state: BackendState): string => JSON.stringify(state);

/**
 * Reads the state of a backend, written by a leader of any version. If it is invalid, calls `onInvalid` and returns
 * its valid parts, or undefined if the kind of state is unknown.
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
