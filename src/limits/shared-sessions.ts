import { CounterStoreUnavailable, type Sessions } from "./counter-store.ts";

/** Sessions outside of this process; while they cannot be reached, both methods reject with CounterStoreUnavailable. */
interface RemoteSessions {
  find(session: string): Promise<string | undefined>;
  put(session: string, backend: string): Promise<void>;
}

/**
 * Remembers sessions in `shared` for all processes, and in `own`, which answers while `shared` is unavailable or has lost
 * a session. `own` takes over what it reads from `shared`, so that it also knows the sessions that began elsewhere.
 */
export function withOwnSessions(shared: RemoteSessions, own: Sessions): Sessions {
  return {
    async find(session) {
      const found = await unlessUnavailable(shared.find(session));
      if (found === undefined) return own.find(session);
      await own.put(session, found);
      return found;
    },
    async put(session, backend) {
      await Promise.all([own.put(session, backend), unlessUnavailable(shared.put(session, backend))]);
    },
    close: () => own.close(),
  };
}

async function unlessUnavailable<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof CounterStoreUnavailable) return undefined;
    throw error;
  }
}
