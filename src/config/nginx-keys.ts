/** For each directive of nginx its key in sluice, or the reason why it needs none. */
const NGINX_KEYS: Readonly<Record<string, string>> = {
  location: "that is match.path",
  server_name: "that is match.host, in the route's file",
  proxy_pass: "that is upstream",
  proxy_buffering: "not needed: sluice never holds a stream back",
  proxy_request_buffering: "not needed: sluice never holds a request body back",
  proxy_http_version: "not needed: sluice speaks HTTP/1.1 to backends",
  proxy_cache: "not needed: sluice has no cache",
  proxy_set_header: "that is headers.request.set",
  proxy_hide_header: "that is headers.response.remove",
  proxy_pass_header: "not needed: sluice forwards the header fields of backends",
  add_header: "that is headers.response.set",
  proxy_connect_timeout: "that is upstream.connectTimeout",
  proxy_read_timeout: "that is upstream.responseHeaderTimeout, and stream.idleTimeout for streams",
  proxy_send_timeout: "that is stream.sendTimeout for clients; backends have none",
  proxy_next_upstream_tries: "that is upstream.retries",
  proxy_ssl_verify: "that is upstream.tls.verify",
  client_max_body_size: "not needed: sluice forwards a body as it comes",
  client_body_timeout: "that is limits.bodyTimeout",
  keepalive_timeout: "that is limits.keepAlive, in sluice.yaml",
  limit_req: "that is limits.rate",
  limit_req_zone: "that is limits.rate, in the route's file",
  limit_conn: "that is limits.streams",
  limit_conn_zone: "that is limits.streams, in the route's file",
  rewrite_log: "not needed",
  allow: "that is access.allow",
  deny: "that is access.deny",
  set_real_ip_from: "that is trustedProxies, in sluice.yaml",
  worker_processes: "that is workers",
  worker_connections: "that is limits.connections",
  worker_rlimit_nofile: "raise the limit of the process: ulimit -n, or LimitNOFILE in systemd",
  access_log: "that is log; sluice logs to standard output",
  error_log: "that is log.level; sluice logs to standard output",
  ssl_certificate: "that is listen.tls.cert, in sluice.yaml",
  ssl_certificate_key: "that is listen.tls.key, in sluice.yaml",
  daemon: "not needed: sluice runs in the foreground",
  user: "not needed: start sluice as that user",
  server: "that is upstream.backends",
  ip_hash: "that is upstream.balance: { method: hash, by: ip }",
  least_conn: "that is upstream.balance: leastConnections",
};

/** For keys of other proxies, such as Caddy and Traefik, the same. */
const OTHER_KEYS: Readonly<Record<string, string>> = {
  add: "did you mean set?",
  servers: "did you mean backends?",
  targets: "did you mean backends?",
  regex: "not there: stripPrefix and addPrefix change a path",
  replacement: "not there: stripPrefix and addPrefix change a path",
};

/** Returns the remedy for a directive of nginx, or a key of another proxy; undefined for any other name. */
export function foreignKey(name: string): string | undefined {
  for (const keys of [NGINX_KEYS, OTHER_KEYS]) if (Object.hasOwn(keys, name)) return keys[name];
  return undefined;
}
