#!/bin/bash
# Healthy when the program answers HTTP with anything below 500. Asked through bash: the base image has no curl.
set -eu

url=${ASPNETCORE_URLS%%;*} # http://+:5000, the first of several
port=${url##*:}
exec 3<>"/dev/tcp/127.0.0.1/${port%%/*}"
printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 4 _ status _ <&3
((status < 500))
