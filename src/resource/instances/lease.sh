#!/bin/sh
# footplate: this instance ends itself when its lease does, which the tag footplate:lease says.
umask 022
mkdir -p /var/lib/footplate /usr/local/sbin
echo END > /var/lib/footplate/lease
cat > /usr/local/sbin/footplate-lease <<'PROGRAM'
#!/bin/sh
md=http://169.254.169.254/latest
file=/var/lib/footplate/lease
told=
token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $md/api/token) &&
  said=$(curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" $md/meta-data/tags/instance/footplate:lease) &&
  told=$(date -u -d "$said" +%s) && echo "$told" > $file.new && mv $file.new $file
# Just started, the tag may say more than the file does, and not be readable yet.
[ -n "$told" ] || [ "$(cut -d. -f1 /proc/uptime)" -gt 600 ] || exit 0
[ "$(date +%s)" -ge "$(cat $file)" ] && shutdown -h now 'the lease has ended'
exit 0
PROGRAM
chmod 755 /usr/local/sbin/footplate-lease
cat > /etc/systemd/system/footplate-lease.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/footplate-lease
UNIT
cat > /etc/systemd/system/footplate-lease.timer <<'UNIT'
[Timer]
OnBootSec=60
OnUnitActiveSec=30
AccuracySec=5
[Install]
WantedBy=timers.target
UNIT
systemctl daemon-reload
systemctl enable --now footplate-lease.timer
