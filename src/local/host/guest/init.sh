#!/bin/bash
# footplate's stand-in for init(8): of its commands only those that end the instance mean something here.
case $1 in
    0) exec @BIN@/shutdown -h now ;;
    6) exec @BIN@/shutdown -r now ;;
esac
echo "init: this is an instance of footplate's local region: only 0 (power off) and 6 (reboot) are there" >&2
exit 1
