import { dataFrame, FLAG, FRAME, fieldBlock, frame, settingsFrame } from "./frames.mjs";

/** Renders the requests of a case as bytes. */

/** An app of the gateways' configuration, with the code for the ticket route. */
export const APP_CODE = "c".repeat(64);
const HANDSHAKE = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/** Returns the target of a request; `ticket` is its ticket. */
export function targetOf({ route, name, stream, isDrained, poll, resume, mock, ticket: kind }, ticket) {
  if (route === "relay") return `/${isDrained ? "drain" : "relay"}/${name}`;
  if (route === "shared") return `/shared/${stream}${resume}`;
  if (route === "polling") return `/shared/${stream}?${poll}`;
  if (route === "mock") return `/mock/${mock}?${name}`;
  if (route !== "ticket") return `/${route}/${name}`;
  if (kind === "code") return `/ticket/${name}`;
  return `/ticket/${name}?ticket=${kind === "bad" ? "none" : ticket}`;
}

/** For HTTP/1: one Buffer per request. */
export function http1Wire(request, { client, transport }, ticket) {
  const { method, upgrade, body, acceptsStream, fields, illegal, route } = request;
  const version = client === "old" ? "1.0" : "1.1";
  const target = method === "CONNECT" ? "a.test:443" : targetOf(request, ticket);
  const lines = [`${method} ${target} HTTP/${version}`];
  // Most HTTP/1.0 clients send no Host; these do, because they would only be refused without it.
  lines.push("Host: a.test");
  if (client === "old" && transport === "tcp") lines.push("Connection: keep-alive");
  if (acceptsStream) lines.push("Accept: text/event-stream");
  if (route === "ticket" && request.ticket === "code") lines.push(`X-Apig-AppCode: ${APP_CODE}`);
  if (upgrade !== undefined) lines.push(...upgradeLines(upgrade));
  lines.push(...fields);
  if (illegal !== undefined) lines.push(illegal);
  const { head, bytes } = bodyOf(body);
  if (head !== "") lines.push(head);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${bytes}`, "latin1");
}

function upgradeLines(upgrade) {
  if (upgrade === "websocket") return ["Connection: Upgrade", "Upgrade: websocket", HANDSHAKE.trimEnd()];
  if (upgrade === "foo") return ["Connection: Upgrade", "Upgrade: foo"];
  return ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
}

function bodyOf(body) {
  if (body === undefined) return { head: "", bytes: "" };
  const { framing, length, trailers } = body;
  const text = "b".repeat(length);
  if (framing === "length") return { head: `Content-Length: ${length}`, bytes: text };
  const half = length >> 1;
  const parts = [text.slice(0, half), text.slice(half)].filter((part) => part !== "");
  const chunks = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("");
  return {
    head: "Transfer-Encoding: chunked",
    bytes: `${chunks}0\r\n${trailers.map((line) => `${line}\r\n`).join("")}\r\n`,
  };
}

/** Converts field lines to HTTP/2; connection fields stay, which is illegal there. */
const pairOf = (line) => {
  const at = line.indexOf(":", 1);
  return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
};

const ALLOWED =
  /^(?:Accept|Cookie|Last-Event-ID|X-Bytes|X-Empty|Range|TE: trailers$|X_App|Forwarded|Accept-Encoding)/;

/** The first bytes of a connection. A window of 0 allows no body. */
export const http2Preface = ({ fault }) =>
  Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    settingsFrame(fault.kind === "frames" && fault.frames === "noWindow" ? 0 : 1 << 20),
  ]);

/** For HTTP/2: one Buffer per request, on streams 1, 3, 5 and so on. */
export function http2Wire(request, at, ticket) {
  const { method, upgrade, body, acceptsStream, fields, illegal, route } = request;
  const stream = at * 2 + 1;
  const lines = fields.filter((line) => illegal !== undefined || ALLOWED.test(line));
  if (illegal !== undefined) lines.push(...illegal.split("\r\n"));
  if (acceptsStream) lines.push("accept: text/event-stream");
  if (route === "ticket" && request.ticket === "code") lines.push(`x-apig-appcode: ${APP_CODE}`);
  const pseudo =
    method === "CONNECT"
      ? [
          [":method", method],
          [":authority", "a.test:443"],
        ]
      : [
          [":method", method],
          [":scheme", "https"],
          [":path", targetOf(request, ticket)],
          [":authority", "a.test"],
        ];
  // Extended CONNECT (RFC 8441), which the gateway does not offer.
  if (upgrade !== undefined) pseudo.push([":protocol", "websocket"]);
  const head = fieldBlock([...pseudo, ...lines.map(pairOf)]);
  if (body === undefined) return frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, stream, head);
  const { length, trailers } = body;
  const parts = [frame(FRAME.headers, FLAG.endHeaders, stream, head)];
  const bytes = Buffer.alloc(Math.min(length, 16_000), "b");
  parts.push(dataFrame(stream, bytes, trailers.length === 0));
  if (trailers.length > 0) {
    const block = fieldBlock(trailers.map(pairOf));
    parts.push(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, stream, block));
  }
  return Buffer.concat(parts);
}
