#!/bin/sh
# Only variables that are set are replaced, so nginx's own $names stay; the official image does the same.
set -eu
defined=$(env | cut -d= -f1 | sed 's/.*/${&}/' | tr '\n' ' ')
for template in /etc/nginx/templates/*.template; do
    [ -e "$template" ] || continue
    name=${template##*/}
    envsubst "$defined" <"$template" >"/etc/nginx/conf.d/${name%.template}"
done
exec "$@"
