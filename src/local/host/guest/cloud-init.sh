#!/bin/bash
# footplate's stand-in for cloud-init(1): how far the instance's user data is.
note=@RUN@/cloud-init
[ "$1" = status ] || { echo "cloud-init: this is footplate's local region: only 'status [--wait]' is there" >&2; exit 1; }
status=$(cat "$note")
while [ "$2" = --wait ] && [ "$status" = running ]; do
    sleep 0.2
    status=$(cat "$note")
done
echo "status: $status"
[ "$status" != error ]
