import { createServer } from "node:http";

/**
 * A backend that the checks control.
 *
 * `/e2e/stream?name=N` opens a stream; `/control/emit?name=N&data=D`, requested directly, sends an event. It does not
 * send X-Accel-Buffering, so prompt events prove that sluice does.
 */
const streams = new Map();
const seen = [];

const parts = (url) => {
  const { pathname, searchParams } = new URL(url, "http://scripted");
  return { pathname, name: searchParams.get("name"), data: searchParams.get("data") };
};

const readBody = async (req) => {
  let body = "";
  for await (const piece of req.setEncoding("utf8")) body += piece;
  return body;
};

const openStream = (res, name) => {
  res.writeHead(200, { "Content-Type": "text/event-stream", "Access-Control-Allow-Origin": "*" });
  res.flushHeaders();
  const stream = { res, isOpen: true };
  streams.set(name, stream);
  res.once("close", () => {
    stream.isOpen = false;
  });
};

const control = {
  seen: () => seen,
  state: (name) => ({ isOpen: streams.get(name)?.isOpen ?? false, isKnown: streams.has(name) }),
  emit: (name, data) => streams.get(name)?.res.write(`data: ${data}\n\n`) ?? false,
  end: (name) => streams.get(name)?.res.end() !== undefined,
  // In the middle of an event and of a chunk, like a backend that crashes.
  cut: (name) => streams.get(name)?.res.write("data: half", () => streams.get(name).res.destroy()) ?? false,
};

const server = createServer(async (req, res) => {
  const { pathname, name, data } = parts(req.url);
  if (pathname.startsWith("/control/")) {
    res.end(JSON.stringify(control[pathname.slice("/control/".length)]?.(name, data) ?? null));
    return;
  }
  const body = await readBody(req);
  seen.push({ method: req.method, target: req.url, headers: req.headers, body });
  if (pathname === "/e2e/stream") openStream(res, name);
  else if (pathname === "/e2e/json") res.setHeader("Content-Type", "application/json").end('{"answer":42}');
  else res.writeHead(404).end();
});

server.listen(9000);
process.once("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
});
