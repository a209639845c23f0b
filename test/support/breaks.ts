import { onTestFinished, vi } from "vitest";

export const FAULT = "a fault that nobody expected";

/** Makes a method throw once, like a bug in it. */
export function breaks<T extends object>(prototype: T, method: keyof T & string): void {
  const before: unknown = Reflect.get(prototype, method);
  const restore = () => void Reflect.set(prototype, method, before);
  onTestFinished(restore);
  Reflect.set(
    prototype,
    method,
    vi.fn(() => {
      restore();
      throw new Error(FAULT);
    }),
  );
}
