import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";
import { stopProcess } from "./server-process.ts";

/** Prints each message as a line of JSON. systemd-notify waits until the file that it sends with BARRIER=1 is closed. */
const LISTENER = `
import json, os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print(json.dumps(["listening"]), flush=True)
while True:
    message, ancillary, _, _ = listener.recvmsg(4096, 256)
    for _, _, files in ancillary:
        for at in range(0, len(files), 4):
            os.close(int.from_bytes(files[at : at + 4], sys.byteorder))
    print(json.dumps(message.decode().splitlines()), flush=True)
`;

/** A message of sd_notify(3): its assignments by name. */
export type Notification = Readonly<Record<string, string>>;

/** The receiving end of systemd's notification socket. */
export interface NotifySocket {
  /** For `NOTIFY_SOCKET`. */
  readonly path: string;
  /** The messages so far, without barriers. */
  messages(): readonly Notification[];
}

/** Listens on a real unix datagram socket, as systemd does; Python has them, Node has not. */
export async function startNotifySocket(): Promise<NotifySocket> {
  const directory = mkdtempSync(join(tmpdir(), "sluice-notify-"));
  const path = join(directory, "notify");
  const child = spawn("/usr/bin/python3", ["-c", LISTENER, path], { stdio: ["ignore", "pipe", "inherit"] });
  afterTest(async () => {
    child.kill("SIGTERM");
    await stopProcess(child);
    rmSync(directory, { recursive: true });
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const received = () =>
    printed
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as readonly string[]);
  await eventually(() => received().length > 0, "the notification socket");
  const messages = () =>
    received()
      .slice(1)
      .filter(([first]) => first !== "BARRIER=1")
      .map((lines) => Object.fromEntries(lines.map((line) => splitOnce(line))));
  return { path, messages };
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf("=");
  return [line.slice(0, at), line.slice(at + 1)];
}
