import type { Block, Entry, Line } from "./text.ts";

/** The load balancers in front of nginx, as addresses or CIDR ranges; empty if nginx is the edge. */
export type Behind = readonly string[];

/** Returns the blocks that tell the load balancers from other clients. */
export function behindMaps(behind: Behind): Block[] {
  if (behind.length === 0) return [];
  return [
    {
      opening: "geo $realip_remote_addr $sluice_is_behind",
      why: "Whether the connection comes from a load balancer: any other client can send whatever fields it likes.",
      body: [{ text: "default 0" }, ...behind.map((range) => ({ text: `${range} 1` }))],
    },
    {
      opening: "map $sluice_is_behind:$http_x_forwarded_proto $sluice_proto",
      why: "If the load balancer ends TLS, only it knows the client's scheme.",
      body: [{ text: "default $scheme" }, { text: "1:https https" }, { text: "1:http http" }],
    },
  ];
}

/** Returns the lines that set the source of the client's address. */
export function realIp(behind: Behind): Line[] {
  if (behind.length === 0) return [];
  const [first, ...more] = behind.map((range) => ({ text: `set_real_ip_from ${range}` }));
  return [
    {
      text: first?.text ?? "",
      why: "The load balancers in front: nginx trusts only them, and uses the last address that is not theirs as the client's.",
    },
    ...more,
    { text: "real_ip_header X-Forwarded-For" },
    { text: "real_ip_recursive on" },
  ];
}

/** Returns the request fields that describe the client to sluice. */
export function clientFields(behind: Behind): Entry[] {
  const isEdge = behind.length === 0;
  return [
    {
      text: "proxy_set_header Host $http_host",
      why: "The client's own Host, with its port: routes match on it, and same-origin checks compare it.",
    },
    {
      text: "proxy_set_header X-Forwarded-For $remote_addr",
      why: isEdge
        ? "nginx is the edge, so this replaces the client's own field: $proxy_add_x_forwarded_for would keep it, and sluice would trust it. Add nginx's address to trustedProxies; otherwise sluice ignores these fields."
        : "The client's address from the load balancers, without the client's own field. Add nginx's address to trustedProxies; otherwise sluice ignores these fields.",
    },
    { text: "proxy_set_header X-Real-IP $remote_addr" },
    { text: `proxy_set_header X-Forwarded-Proto ${isEdge ? "$scheme" : "$sluice_proto"}` },
    { text: "proxy_set_header X-Forwarded-Host $http_host" },
    {
      text: 'proxy_set_header Forwarded ""',
      why: "nginx does not set the field of RFC 7239, so the client's own must not reach a backend that reads it.",
    },
    {
      text: 'proxy_set_header X-Forwarded-Port ""',
      why: "The client's own port and prefix must not reach sluice either, which trusts nginx. sluice finds the port in X-Forwarded-Host.",
    },
    { text: 'proxy_set_header X-Forwarded-Prefix ""' },
    { text: "proxy_set_header X-Request-Id $request_id", why: "The same request id in both logs." },
  ];
}
