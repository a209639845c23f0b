import type { FaultOwner } from "./guard.ts";

/** Waits for the end of a turn of the event loop. */
export interface TurnEndUser extends FaultOwner {
  turnEnded(): void;
}

let users: TurnEndUser[] = [];

/**
 * Calls `user.turnEnded` once, after the reads of the event loop's present turn. An error in it is a fault of the user.
 *
 * Writes that may wait so long leave together. Written one by one between the reads, each one wakes its receiver, which
 * sleeps again before the next: with 64 requests under way, a request took a tenth more CPU. An event must not wait.
 */
export function atTurnEnd(user: TurnEndUser): void {
  // One immediate for all: each takes as long as a whole pass through this list.
  if (users.length === 0) setImmediate(endTurn);
  users.push(user);
}

function endTurn(): void {
  const present = users;
  users = [];
  for (const user of present) {
    try {
      user.turnEnded();
    } catch (error) {
      user.fault(error);
    }
  }
}
