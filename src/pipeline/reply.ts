/** A response that sluice composes itself. */
export interface Reply {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}
