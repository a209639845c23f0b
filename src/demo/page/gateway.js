const port = document.querySelector("meta[name=gateway-port]").content;

/** Where the streams are: on the host that the reader opened, be it 127.0.0.1, localhost or a machine's name. */
export const gateway = port === "" ? location.origin : `${location.protocol}//${location.hostname}:${port}`;
