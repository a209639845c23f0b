/** Who a request is from, as a verified credential says. */
export interface Principal {
  /** The name of the app in apps.yaml; undefined for a credential that belongs to none. */
  readonly app: string | undefined;
  /** What tells this principal from all others: limits count by it, tickets are bound to it. */
  readonly key: string;
  /** Fields that tell the backend who it is, such as X-App-Id. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** When the credential expires, in ms since the epoch; a stream ends then with `auth_expired`. */
  readonly expiresAt: number | undefined;
}

/** Where credentials stand in a request that are not for the backend. */
export interface ConsumedCredential {
  /** Names of fields; a final `*` stands for any rest. */
  readonly credentialFields?: readonly string[];
  /** Fields that go on to the backend, whichever of `credentialFields` they fit as well. */
  readonly forwardedFields?: readonly string[];
  readonly credentialCookie?: string | undefined;
}
