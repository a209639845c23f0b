import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The open files of processes in /proc. */

/** Counts the open files by kind: pipes, sockets to a named peer, listeners and so on. */
export function openFiles(pids, peers) {
  const sockets = tcpSockets();
  const unix = new Set(table("unix").map((words) => words[6]));
  const counts = {};
  for (const pid of pids) {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const kind = kindOf(`/proc/${pid}/fd/${fd}`, { sockets, unix, peers });
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
  }
  return counts;
}

/** Reads a link: `socket:[1234]`, `pipe:[1234]`, `anon_inode:[eventpoll]`, a path. */
function kindOf(path, { sockets, unix, peers }) {
  let link = "gone";
  try {
    link = readlinkSync(path);
  } catch {
    // Closed since the directory was read.
  }
  const inode = /^socket:\[(\d+)\]/.exec(link)?.[1];
  if (inode === undefined) return link.replace(/:?\[.*$/, "");
  const socket = sockets.get(inode);
  if (unix.has(inode)) return "unix socket";
  // After a reset the kernel has dropped the connection; only the file is left.
  if (socket === undefined) return "reset connection";
  const { local, remote, state } = socket;
  return `tcp ${peers.get(remote) ?? peers.get(local) ?? "other"} ${STATES.get(state) ?? state}`;
}

/** Socket states (include/net/tcp_states.h); a connection that the peer has ended is in CLOSE_WAIT. */
const STATES = new Map([
  ["01", "open"],
  ["05", "half closed by us"],
  ["08", "half closed by the peer"],
  ["0A", "listener"],
]);

/** Returns ports and state of each TCP socket of this machine, by inode. */
function tcpSockets() {
  const port = (address) => Number.parseInt(address.split(":")[1], 16);
  return new Map(
    table("tcp").map((words) => [
      words[9],
      { local: port(words[1]), remote: port(words[2]), state: words[3] },
    ]),
  );
}

/** Returns the rows of a table of /proc/net, split into words. */
const table = (name) =>
  readFileSync(`/proc/net/${name}`, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
