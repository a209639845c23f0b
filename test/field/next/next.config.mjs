// As the documentation of Next.js asks of pages that stream behind nginx.
const unbuffered = [{ key: "X-Accel-Buffering", value: "no" }];

export default {
  headers: async () => [{ source: "/:path*", headers: unbuffered }],
  redirects: async () => [{ source: "/old", destination: "/me", permanent: false }],
};
