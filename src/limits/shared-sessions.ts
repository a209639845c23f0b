import { CounterStoreUnavailable, type Sessions } from "./counter-store.ts";

/** Sessions outside of this process; while they cannot be reached, both methods reject with CounterStoreUnavailable. */
interface RemoteSessions {
  find(session: string): Promise<string | undefined>;
  put(session: string, backend: string): Promise<void>;
}

/**
 * Remembers sessions in `shared` for all processes, and in `own`, which answers while `shared` is unavailable.
 *
 * `own` takes over what it reads from `shared`, so that it also knows the sessions that began elsewhere. `shared` gets
 * back what it has lost, or what began while it was unavailable, when the session is used.
 */
export function withOwnSessions(shared: RemoteSessions, own: Sessions): Sessions {
  const put = async (session: string, backend: string): Promise<void> => {
    await shared.put(session, backend).catch(ignoreUnavailable);
  };
  return {
    async find(session) {
      let isReached = true;
      const found = await shared.find(session).catch((error: unknown) => {
        isReached = false;
        return ignoreUnavailable(error);
      });
      if (found !== undefined) {
        await own.put(session, found);
        return found;
      }
      const kept = await own.find(session);
      if (kept !== undefined && isReached) await put(session, kept);
      return kept;
    },
    async put(session, backend) {
      await Promise.all([own.put(session, backend), put(session, backend)]);
    },
    close: () => own.close(),
  };
}

function ignoreUnavailable(error: unknown): undefined {
  if (!(error instanceof CounterStoreUnavailable)) throw error;
}
