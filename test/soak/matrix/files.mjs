import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Open files of processes as /proc shows them. */

/** How many there are of each kind: pipes, sockets to a named peer, listeners and so on. */
export function openFiles(pids, peers) {
  const sockets = tcpSockets();
  const counts = {};
  for (const pid of pids) {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const kind = kindOf(`/proc/${pid}/fd/${fd}`, sockets, peers);
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
  }
  return counts;
}

/** What a link says: `socket:[1234]`, `pipe:[1234]`, `anon_inode:[eventpoll]`, a path. */
function kindOf(path, sockets, peers) {
  let link = "gone";
  try {
    link = readlinkSync(path);
  } catch {
    // Closed since the directory was read.
  }
  const inode = /^socket:\[(\d+)\]/.exec(link)?.[1];
  if (inode === undefined) return link.replace(/:?\[.*$/, "");
  const socket = sockets.get(inode);
  if (socket === undefined) return "unix socket";
  return `tcp ${peers.get(socket.remote) ?? peers.get(socket.local) ?? "other"}${socket.remote === 0 ? " listener" : ""}`;
}

/** Ports of each TCP socket of this machine, by inode. */
function tcpSockets() {
  const lines = readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1);
  const port = (address) => Number.parseInt(address.split(":")[1], 16);
  return new Map(
    lines.map((line) => {
      const words = line.trim().split(/\s+/);
      return [words[9], { local: port(words[1]), remote: port(words[2]) }];
    }),
  );
}
