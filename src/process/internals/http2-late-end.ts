import type { ServerHttp2Session } from "node:http2";
import { guarded } from "../../base/guard.ts";

/**
 * Lets a session be destroyed only after Node has read all frames that came together.
 *
 * A session can be destroyed while its frames are read: by Node at a GOAWAY with an error or at an unexpected reply to
 * a PING, and by a listener, because Node emits events between two frames. Node 22.23 then reads on, and creates a
 * stream for a following HEADERS frame that no JavaScript object takes. A DATA frame of that stream aborts the process
 * (`CallJSOnreadMethod: Assertion failed: onread->IsFunction()`): one packet of a client was enough.
 *
 * - Assumed of Node 20, 22 and 24: Node destroys a session by its method `destroy`, which an own property replaces,
 *   and runs immediates only after it has read all frames.
 * - Without it: one packet of a client ends a process on Node 22.
 * - Can go when no supported Node creates streams for a destroyed session.
 */
export function endAfterReading(session: ServerHttp2Session, onFault: (error: unknown) => void): void {
  const destroy = session.destroy.bind(session);
  let isDue = false;
  Object.assign(session, {
    destroy(...reason: Parameters<typeof destroy>): void {
      if (isDue) return;
      isDue = true;
      setImmediate(guarded(onFault, () => destroy(...reason)));
    },
  });
  // Node may hold a closed session for ever; `onFault` would lead to all that its owner holds.
  session.once("close", () => Reflect.deleteProperty(session, "destroy"));
}
