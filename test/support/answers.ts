import { type Backend, startBackend } from "./backend.ts";

/** A backend that answers every request with 200. */
export const startPlainBackend = (): Promise<Backend> =>
  startBackend((request) => request.respond(200, { "Content-Type": "text/plain" }, "served"));

/** What a refusal says besides the id of the request, which differs each time. */
export async function refusalOf(response: Response): Promise<{ status: number; body: unknown }> {
  const { request_id, ...body } = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body: { ...body, hasId: typeof request_id === "string" } };
}

/** The one answer to every credential that is wrong. */
export const AUTH_FAILED = {
  status: 401,
  body: {
    error_code: "APIG.0303",
    error_msg: "Incorrect app authentication information",
    hasId: true,
  },
};
