#!/bin/sh
# footplate: this guest of the local region ends itself when its lease does.
mkdir -p "$HOME/.footplate"
echo END > "$HOME/.footplate/lease"
nohup sh -c 'while sleep 1; do [ "$(date +%s)" -ge "$(cat "$HOME/.footplate/lease")" ] && exec shutdown -h now; done' >/dev/null 2>&1 </dev/null &
