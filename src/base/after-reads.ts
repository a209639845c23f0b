/**
 * Calls back when the process has read all that the kernel has for it now, such as the end of a connection.
 *
 * An immediate runs after the reads of the present turn of the event loop, whose list the kernel may have given before
 * now; so this waits for those of a second turn.
 */
export function afterReads(callback: () => void): void {
  setImmediate(() => setImmediate(callback));
}
