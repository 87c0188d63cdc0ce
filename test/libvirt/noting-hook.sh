#!/bin/sh
# Stands in libvirt's hook directory for the installed hook: runs it and notes how the call ended, for the tests to read.
driver=${0%.d/*}
driver=${driver##*/}
output=$(mktemp /run/hook-output.XXXXXX)
"/etc/libvirt/installed-hooks/$driver.d/50-actualnet" "$@" >"$output" 2>"$output.errors"
status=$?
# One short line in one write: calls for two guests do not mix.
echo "$(hostname) $driver $* $status $(wc -c <"$output") $(wc -c <"$output.errors")" >>/var/log/hook-calls
cat "$output"
cat "$output.errors" >&2
rm -f "$output" "$output.errors"
exit "$status"
