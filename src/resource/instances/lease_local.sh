#!/bin/sh
# footplate: this guest of the local region ends itself when its lease does, which the tag footplate:lease says.
mkdir -p "$HOME/.footplate" "$FOOTPLATE_PER_BOOT"
echo END > "$HOME/.footplate/lease"
cat > "$FOOTPLATE_PER_BOOT/lease" <<'SCRIPT'
#!/bin/sh
[ "$1" = watch ] || { nohup "$0" watch >/dev/null 2>&1 </dev/null & exit; }
md=$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest
file=$HOME/.footplate/lease
while :; do
  token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$md/api/token") &&
    said=$(curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" "$md/meta-data/tags/instance/footplate:lease") &&
    told=$(date -u -d "$said" +%s) && echo "$told" > "$file.new" && mv "$file.new" "$file"
  for second in 1 2 3 4 5; do
    [ "$(date +%s)" -ge "$(cat "$file")" ] && exec shutdown -h now
    sleep 1
  done
done
SCRIPT
chmod +x "$FOOTPLATE_PER_BOOT/lease"
exec "$FOOTPLATE_PER_BOOT/lease"
