const port = document.querySelector("meta[name=gateway-port]").content;

/** The gateway's origin, on the host of the page's URL: 127.0.0.1, localhost or a machine's name. */
export const gateway = port === "" ? location.origin : `${location.protocol}//${location.hostname}:${port}`;
