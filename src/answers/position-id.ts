import { randomBytes } from "node:crypto";

/** Returns the random name of an answer in the ids of its events: 48 bits, so that no two answers are mixed up. */
export const newGeneration = (): string => randomBytes(6).toString("base64url");

/**
 * Returns the id of an event without a usable id of the backend: `~`, the name of the answer, and the event's number
 * from 1 on.
 */
export const positionId = (generation: string, number: number): string => `~${generation}-${number}`;

/** Whether sluice has made this id for an event of an answer. */
export const isPositionId = (id: string): boolean => /^~[\w-]{8}-\d{1,15}$/.test(id);
