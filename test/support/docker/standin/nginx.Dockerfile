# Stands in for the official nginx image: Debian's nginx, with its way of rendering templates.
ARG BASE
FROM ${BASE}
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends nginx-light gettext-base \
    && rm -rf /etc/nginx/sites-enabled /var/lib/apt/lists/* \
    && useradd --system --no-create-home nginx \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log
COPY --chmod=755 nginx-entrypoint.sh /entrypoint.sh
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
