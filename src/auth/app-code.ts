import { hash, randomBytes } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { AppConfig } from "../config/apps-schema.ts";
import { fieldValue, fieldValues } from "../http/fields.ts";
import { authFailed, type Verifier } from "./auth.ts";

const FIELD = "x-apig-appcode";

/**
 * Creates the verifier of `auth.appCode`: a fixed text that identifies an app.
 *
 * It knows the codes of every app, so that an app that may not use the route gets 403, not 401. It looks for a hash
 * with a secret salt, which a client cannot compute, so that the time reveals nothing about a code.
 */
export function createAppCodeVerifier(
  apps: readonly AppConfig[],
  allowed: readonly string[] | undefined,
): Verifier {
  const codes = new Map(
    apps.flatMap(({ name, appCodes }) => appCodes.map((code): [string, string] => [saltedHash(code), name])),
  );
  const mayUse = allowed && new Set(allowed);
  return {
    name: "appCode",
    credentialFields: [FIELD],
    identityFields: ["X-App-Id"],
    isPresented: ({ request }) => fieldValue(request.rawHeaders, FIELD) !== undefined,
    async verify({ request }) {
      const [value = "", ...more] = fieldValues(request.rawHeaders, FIELD);
      if (more.length > 0) throw authFailed("X-Apig-AppCode occurs twice");
      const app = codes.get(saltedHash(value));
      if (app === undefined) throw authFailed("unknown AppCode");
      if (mayUse !== undefined && !mayUse.has(app)) {
        throw new ProxyError("app_not_authorized", `AppCode of ${app}`);
      }
      return { app, key: `app:${app}`, fields: [["X-App-Id", app]], expiresAt: undefined };
    },
  };
}

const SALT = randomBytes(32).toString("hex");

const saltedHash = (code: string): string => hash("sha256", SALT + code, "base64");
