import { expect, onTestFinished } from "vitest";
import { launchChromium } from "./chromium.ts";

/** One report of a client in the page: the event's type and the client's state at that moment. */
export interface PageRecord {
  readonly name: string;
  readonly type: string;
  readonly data?: string;
  readonly id?: string;
  readonly status?: number | null;
  readonly body?: string | null;
  readonly requestId?: string | null;
  /** The client's error, if it reports any; null if the stream ended regularly. */
  readonly failure?: string | null;
  /** 0 connecting, 1 open, 2 closed. */
  readonly readyState?: number | null;
}

/** One client inside the page. */
export interface PageClient {
  /** Takes the oldest record; waits for it, and fails after ten seconds. */
  next(): Promise<PageRecord>;
  /** The records that no call has taken. */
  readonly waiting: readonly PageRecord[];
  close(): Promise<void>;
}

export type ClientKind = "openNative" | "openWithTicket" | "openPolyfill" | "openFetch";

export interface ClientPage {
  open(kind: ClientKind, name: string, url: string, options?: object): Promise<PageClient>;
  setCookie(cookie: string): Promise<void>;
}

interface Inbox {
  readonly waiting: PageRecord[];
  wake: () => void;
}

async function takeFrom(name: string, inbox: Inbox): Promise<PageRecord> {
  if (inbox.waiting.length === 0) {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${name} reported nothing for ten seconds`)), 10_000);
      inbox.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  const record = inbox.waiting.shift();
  if (record === undefined) throw new Error(`${name}: two callers wait for the same record`);
  return record;
}

/** Opens the page with the browser clients at `url` in Chromium, for one test. */
export async function openClientPage(url: string): Promise<ClientPage> {
  const browser = await launchChromium();
  const page = await browser.newPage();
  const inboxes = new Map<string, Inbox>();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  onTestFinished(() => expect(faults, "uncaught errors of the page").toEqual([]));
  await page.exposeFunction("record", (record: PageRecord) => {
    const inbox = inboxes.get(record.name);
    inbox?.waiting.push(record);
    inbox?.wake();
  });
  await page.goto(url);
  await page.waitForFunction("window.isReady");
  return {
    async open(kind, name, streamUrl, options = {}) {
      const inbox: Inbox = { waiting: [], wake: () => undefined };
      inboxes.set(name, inbox);
      const args = [name, streamUrl, options].map((value) => JSON.stringify(value)).join();
      await page.evaluate(`window.${kind}(${args})`);
      return {
        next: () => takeFrom(name, inbox),
        waiting: inbox.waiting,
        close: async () => {
          await page.evaluate(`window.closeSource(${JSON.stringify(name)})`);
        },
      };
    },
    async setCookie(cookie) {
      await page.evaluate(`document.cookie = ${JSON.stringify(cookie)}`);
    },
  };
}
