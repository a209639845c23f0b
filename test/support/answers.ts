import { type Backend, startBackend } from "./backend.ts";

/** Starts a backend that answers every request with 200. */
export const startPlainBackend = (): Promise<Backend> =>
  startBackend((request) => request.respond(200, { "Content-Type": "text/plain" }, "served"));

/** Returns the parts of a refusal without the request id, which always differs. */
export async function refusalOf(response: Response): Promise<{ status: number; body: unknown }> {
  const { request_id, error: _, ...body } = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body: { ...body, hasId: typeof request_id === "string" } };
}

/** The refusal of every wrong credential. */
export const AUTH_FAILED = {
  status: 401,
  body: {
    error_code: "APIG.0303",
    error_msg: "Incorrect app authentication information",
    hasId: true,
  },
};
