#!/bin/sh
# Stands in the place of a program that actualnet runs. The call with the number in FAULT_AT, counted in the file COUNT,
# goes as FAULT says: `fail`s, or whoever runs it is killed `before` or `after` it, or `meanwhile`: it goes on alone.
name=$(basename "$0")
count=$(($(cat "$COUNT" 2>/dev/null || echo 0) + 1))
echo "$count" >"$COUNT"
real=$(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v "$name")
[ "$count" = "$FAULT_AT" ] || exec "$real" "$@"
echo "$name $*" >"$COUNT.met"
case $FAULT in
  fail) echo "error: $name is made to fail" >&2; exit 1 ;;
  before) kill -KILL "$PPID"; exit 1 ;;
  after) "$real" "$@"; kill -KILL "$PPID" ;;
  # A request to the daemon may take its time, and nobody may think that it will not be made any more.
  meanwhile) kill -KILL "$PPID"; [ "$name" != virsh ] || sleep 3; "$real" "$@" ;;
esac
echo "$?" >"$COUNT.ended"
