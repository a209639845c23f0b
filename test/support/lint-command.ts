import { type CommandLineSetup, runSluice } from "./command-line.ts";

/** Runs `sluice nginx lint` with a fixed version, so that the findings do not depend on the machine's nginx. */
export const lint = (args: readonly string[], setup?: CommandLineSetup) =>
  runSluice(["nginx", "lint", "--nginx", "1.22", ...args], setup);

/** An nginx that breaks the streams of /events. */
export const SITE = `server {
    listen 80;

    location /events {
        proxy_pass http://127.0.0.1:9000;
    }
}
`;
/** An nginx that lets them pass. */
export const CLEAN = `server {
    listen 80;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;

    location /events {
        proxy_pass http://127.0.0.1:9000;
        proxy_buffering off;
        proxy_read_timeout 1h;
    }
}
`;
