import type { Block, Entry, Line } from "./text.ts";

/** The balancers in front of nginx, as addresses or CIDR ranges; empty where nginx is the edge. */
export type Behind = readonly string[];

/** The blocks around the servers that tell the balancers from others. */
export function behindMaps(behind: Behind): Block[] {
  if (behind.length === 0) return [];
  return [
    {
      opening: "geo $realip_remote_addr $sluice_is_behind",
      why: "Whether the connection is one of the balancers': others may say of themselves what they like.",
      body: [{ text: "default 0" }, ...behind.map((range) => ({ text: `${range} 1` }))],
    },
    {
      opening: "map $sluice_is_behind:$http_x_forwarded_proto $sluice_proto",
      why: "Where the balancer takes the TLS off, only it knows what the client spoke.",
      body: [{ text: "default $scheme" }, { text: "1:https https" }, { text: "1:http http" }],
    },
  ];
}

/** Where nginx takes the client's address from. */
export function realIp(behind: Behind): Line[] {
  if (behind.length === 0) return [];
  const [first, ...more] = behind.map((range) => ({ text: `set_real_ip_from ${range}` }));
  return [
    {
      text: first?.text ?? "",
      why: "The balancers in front. They alone are believed about the client, from the last address that is none of theirs.",
    },
    ...more,
    { text: "real_ip_header X-Forwarded-For" },
    { text: "real_ip_recursive on" },
  ];
}

/** What sluice is told of the client. */
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
        ? "nginx is the edge here, so what clients claim of themselves is replaced: $proxy_add_x_forwarded_for would keep it, and sluice would believe it. Name nginx's address in trustedProxies, or sluice believes none of this."
        : "The client's address as the balancers tell it; what the client itself claims is not in it. Name nginx's address in trustedProxies, or sluice believes none of this.",
    },
    { text: "proxy_set_header X-Real-IP $remote_addr" },
    { text: `proxy_set_header X-Forwarded-Proto ${isEdge ? "$scheme" : "$sluice_proto"}` },
    { text: "proxy_set_header X-Forwarded-Host $http_host" },
    {
      text: 'proxy_set_header Forwarded ""',
      why: "nginx does not fill in RFC 7239's field, so a client's must not get through to a backend that reads it.",
    },
    { text: "proxy_set_header X-Request-Id $request_id", why: "One id for the request in both logs." },
  ];
}
