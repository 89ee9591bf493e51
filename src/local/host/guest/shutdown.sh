#!/bin/bash
# footplate's stand-in for shutdown(8): it ends this instance of the local region, never the machine below.
run=@RUN@ speed=@SPEED@
pending=$run/shutdown

usage() {
    echo "shutdown [OPTIONS...] [TIME] [WALL...]: -H --halt, -P --poweroff, -h, -r --reboot, -k, -c, --show, --no-wall" >&2
}
tell() { printf '%s\n' "$1" >"$run/power"; }
# The timer is a process group of its own: it outlives the session and can be ended as a whole.
forget() {
    [ -f "$pending" ] || return 1
    kill -- "-$(cut -d' ' -f1 "$pending")" 2>/dev/null
    rm -f "$pending"
}

action=halt wall=yes really=yes mode=plan words=()
while (($#)); do
    case $1 in
        -h | -P | -H | --halt | --poweroff) action=halt ;;
        -r | --reboot) action=reboot ;;
        -c) mode=cancel ;;
        -k) really=no ;;
        --show) mode=show ;;
        --no-wall) wall=no ;;
        --help) usage; exit 0 ;;
        --) shift; words+=("$@"); break ;;
        -*) echo "shutdown: unrecognized option '$1'" >&2; usage; exit 1 ;;
        *) words+=("$1") ;;
    esac
    shift
done

if [ $mode = cancel ]; then
    forget && tell "wall The system shutdown has been cancelled"
    exit 0
fi
if [ $mode = show ]; then
    [ -f "$pending" ] || { echo "No scheduled shutdown." >&2; exit 1; }
    read -r _ at what <"$pending"
    echo "Shutdown scheduled for $(date -d "@$at"), use 'shutdown -c' to cancel. ($what)"
    exit 0
fi

when=${words[0]:-+1} note=${words[*]:1}
if [ "$when" = now ]; then
    seconds=0
elif [[ $when =~ ^\+?([0-9]{1,9})$ ]]; then
    seconds=$((10#${BASH_REMATCH[1]} * 60))
elif [[ $when =~ ^([01]?[0-9]|2[0-3]):([0-5][0-9])$ ]]; then
    seconds=$(($(date -d "$when" +%s) - $(date +%s)))
    ((seconds > 0)) || seconds=$((seconds + 86400))
else
    echo "Failed to parse time specification: $when" >&2
    exit 1
fi

verb='power off'
[ $action = reboot ] && verb=reboot
if ((seconds == 0)); then
    forget
    [ $wall = no ] || tell "wall ${note:+$note - }The system will $verb now!"
    [ $really = no ] || tell $action
    exit 0
fi
# A region at speed 2 is over with a minute in half of one.
millis=$((seconds * 1000000 / speed))
at=$(($(date +%s) + millis / 1000))
[ $wall = no ] || tell "wall ${note:+$note - }The system will $verb at $(date -d "@$at")!"
[ $really = no ] && exit 0
forget
setsid /bin/bash -c 'sleep "$1"; rm -f "$2"; echo "$3" >"$4"' footplate-shutdown \
    "$((millis / 1000)).$(printf %03d $((millis % 1000)))" "$pending" $action "$run/power" \
    </dev/null >/dev/null 2>&1 &
echo "$! $at $verb" >"$pending"
echo "Shutdown scheduled for $(date -d "@$at"), use 'shutdown -c' to cancel." >&2
