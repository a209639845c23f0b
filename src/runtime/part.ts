/**
 * What a route holds on to, such as its pool of backends. It outlives reloads that leave its own configuration
 * as it is, whatever else of the route they change.
 */
export interface Part {
  /** Nothing new will use it: it ends when what uses it has ended, and never before. */
  retire(): void;
  /** Ends it, and what uses it. */
  close(): void;
}
