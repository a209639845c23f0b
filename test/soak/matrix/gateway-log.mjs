/** The output of a gateway: its log lines on standard output, and its standard error. */

/** The maximum number of lines of a kind that are kept for reports. */
const MOST_KEPT = 5;
const FATAL = 60;
/** Messages of workers that ended or did not start. */
const DEATHS = new Set(["worker died", "worker did not start", "worker restarted"]);

export class GatewayLog {
  isReady = false;
  adminAddress;
  addresses = [];
  /** Request lines since the start, by `route|status`. */
  counts = new Map();
  /** The number of request lines of this round by id. */
  ids = new Map();
  /** The paths of the streams opened in this round, by id. */
  opened = new Map();
  /** The lines of this round that no gateway should write. */
  faults = [];
  faultCount = 0;
  #tail = [];

  /** Reads both outputs of a child process. */
  read(child) {
    byLine(child.stdout, (line) => this.#take(line));
    byLine(child.stderr, (line) => this.#fault(`stderr: ${line}`));
  }

  /** Begins a round. */
  forget() {
    this.ids.clear();
    this.opened.clear();
    this.faults = [];
    this.faultCount = 0;
  }

  /** The last lines. */
  text() {
    return this.#tail.join("\n");
  }

  #take(line) {
    this.#tail.push(line.slice(0, 2_000));
    if (this.#tail.length > 20) this.#tail.shift();
    let parsed;
    try {
      parsed = JSON.parse(line);
    } catch {
      return this.#fault(`no JSON: ${line}`);
    }
    const { msg, level } = parsed;
    if (msg === "request") this.#request(parsed);
    else if (msg === "stream opened") this.opened.set(parsed.reqId, parsed.path);
    else if (msg === "listening") this.addresses.push(parsed.address);
    else if (msg === "admin listening") this.adminAddress = parsed.address;
    else if (msg === "ready") this.isReady = true;
    const isFault = level >= FATAL || line.includes("internal_error") || DEATHS.has(msg);
    if (isFault) this.#fault(line);
  }

  #request({ route = "", status, reqId }) {
    const key = `${route}|${status}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    this.ids.set(reqId, (this.ids.get(reqId) ?? 0) + 1);
  }

  #fault(line) {
    this.faultCount += 1;
    if (this.faults.length < MOST_KEPT) this.faults.push(line.slice(0, 1_500));
  }
}

function byLine(stream, take) {
  let rest = "";
  stream.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) take(line);
  });
}
