#!/bin/sh
# footplate: this guest of the local region ends itself when its lease does, also after it has booted again.
mkdir -p "$HOME/.footplate" "$FOOTPLATE_PER_BOOT"
echo END > "$HOME/.footplate/lease"
cat > "$FOOTPLATE_PER_BOOT/lease" <<'SCRIPT'
#!/bin/sh
nohup sh -c 'while sleep 1; do [ "$(date +%s)" -ge "$(cat "$HOME/.footplate/lease")" ] && exec shutdown -h now; done' >/dev/null 2>&1 </dev/null &
SCRIPT
chmod +x "$FOOTPLATE_PER_BOOT/lease"
exec "$FOOTPLATE_PER_BOOT/lease"
