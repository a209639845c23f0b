import { createHash, timingSafeEqual } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { AppConfig } from "../config/apps-schema.ts";
import { fieldValue, fieldValues } from "../http/fields.ts";
import { authFailed, type Verifier } from "./auth.ts";

const FIELD = "x-apig-appcode";

interface Code {
  readonly hash: Buffer;
  readonly app: string;
}

/**
 * Creates the verifier of `auth.appCode`: a fixed text that identifies an app.
 *
 * It knows the codes of every app, so that an app that may not use the route gets 403, not 401. It compares hashes,
 * and always all of them, so that the time reveals neither how much of a code is right nor whose code it is.
 */
export function createAppCodeVerifier(
  apps: readonly AppConfig[],
  allowed: readonly string[] | undefined,
): Verifier {
  const codes = apps.flatMap(({ name, appCodes }): Code[] =>
    appCodes.map((code) => ({ hash: hashOf(code), app: name })),
  );
  return {
    name: "appCode",
    credentialFields: [FIELD],
    identityFields: ["X-App-Id"],
    isPresented: ({ request }) => fieldValue(request.rawHeaders, FIELD) !== undefined,
    async verify({ request }) {
      const [value = "", ...more] = fieldValues(request.rawHeaders, FIELD);
      if (more.length > 0) throw authFailed("X-Apig-AppCode occurs twice");
      const app = appOf(value, codes);
      if (app === undefined) throw authFailed("unknown AppCode");
      if (allowed !== undefined && !allowed.includes(app)) {
        throw new ProxyError("app_not_authorized", `AppCode of ${app}`);
      }
      return { app, key: `app:${app}`, fields: [["X-App-Id", app]], expiresAt: undefined };
    },
  };
}

function appOf(value: string, codes: readonly Code[]): string | undefined {
  const hash = hashOf(value);
  let app: string | undefined;
  for (const code of codes) if (timingSafeEqual(code.hash, hash)) app = code.app;
  return app;
}

// latin1, as Node reads the value from the connection.
function hashOf(code: string): Buffer {
  return createHash("sha256").update(code, "latin1").digest();
}
