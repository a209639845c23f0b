import { nearest } from "../../../config/nearest.ts";
import { directiveTable } from "../../directive-table.ts";

/** The prefixes of the directives of common third-party modules. */
const PREFIXES = [
  "ajp_|api$|app_protect|auth_digest|auth_jwt|auth_ldap|auth_pam|auth_spnego|aws_|brotli|cache_purge|check",
  "dav_ext_|dav_methods|drizzle_|echo|encrypted_session|fancyindex|fastcgi_cache_purge|geoip2|graphite_",
  "f4f|healthcheck|health_check|headers_more|hls|iconv_|immutable|image_filter|init_by_lua|js_|jwt_|keyval|limit_traffic",
  "ldap_|live|lua_|match|memc_|mgmt|modsecurity|mod_?zip|more_|naxsi|MainRule|BasicRule|CheckRule|SecRules|nchan_|ntlm|oidc_|opentelemetry|opentracing|open_file_cache_purge|otel_|pagespeed|passenger_",
  "pinba_|postgres_|proxy_cache_purge|proxy_ssl_fingerprint|push_|report_uploads|quic_|queue|rails_|rds_|redis",
  "rtmp|rewrite_by_lua|scgi_cache_purge|secure_token|security_|session_|set_|slowfs_|spdy_|srcache_|ssl_ct",
  "ssl_dyn_rec|ssl$|status|status_zone|state$|stream_server_traffic_status|sticky|sts_|testcookie|track_uploads|upload|upstream_show",
  "uploadprogress|upstream_fair|upsync|uwsgi_cache_purge|vhost_traffic_status|vod|vts_|wasm|waf|websockify",
  "xss_|xslt_|zone_sync|zstd|zip|fair|ntls|dyups|concat|trim|footer|sysguard|ip2location|ip2proxy|ja3|ja4",
].join("|");
const THIRD_PARTY = new RegExp(`^(?:${PREFIXES})|_by_lua(?:_block|_file)?$|_by_njs$`);

/** Whether a directive's name belongs to a known third-party module. */
export const isThirdParty = (name: string): boolean => THIRD_PARTY.test(name);

/** Longer than any directive's name. */
const MAX_NAME = 60;
/** The maximum number of unknown names that get a suggestion: each is compared with all directives. */
const MAX_NAMES = 1000;

const meant = new Map<string, string | undefined>();

/** Returns the directive with the most similar name; undefined if none is similar. */
export function didYouMean(name: string): string | undefined {
  if (name.length > MAX_NAME || meant.has(name) || meant.size >= MAX_NAMES) return meant.get(name);
  const found = nearest(name, [...directiveTable().keys()]);
  meant.set(name, found);
  return found;
}
