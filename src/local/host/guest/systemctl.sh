#!/bin/bash
# footplate's stand-in for systemd's commands: services of the machine below must not be touched from here.
if [ "${0##*/}" = systemctl ]; then
    for word in "$@"; do
        case $word in
            poweroff | halt) exec @BIN@/shutdown -h now ;;
            reboot) exec @BIN@/shutdown -r now ;;
        esac
    done
fi
echo "System has not been booted with systemd as init system (PID 1). Can't operate." >&2
echo "(${0##*/}: this is an instance of footplate's local region)" >&2
exit 1
