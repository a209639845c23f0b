/** The sender of a request, according to a verified credential. */
export interface Principal {
  /** The name of the app in apps.yaml; undefined for a credential without an app. */
  readonly app: string | undefined;
  /** Unique for each principal: limits count by it, tickets are bound to it. */
  readonly key: string;
  /** Fields that identify it to the backend, such as X-App-Id. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** When the credential expires, in ms since the epoch; a stream ends then with `auth_expired`. */
  readonly expiresAt: number | undefined;
}

/** The fields and cookie of a request that hold a credential which the backend must not get. */
export interface ConsumedCredential {
  /** Names of fields; a final `*` matches any rest. */
  readonly credentialFields?: readonly string[];
  /** Fields that are forwarded although `credentialFields` match them. */
  readonly forwardedFields?: readonly string[];
  readonly credentialCookie?: string | undefined;
}
