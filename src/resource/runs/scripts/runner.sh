#!/bin/bash
# footplate: keeps one run. It stands in the run's folder with job.sh (the command), and writes there:
#   started/at  seconds since 1970; the folder is made in one step, so that only the first runner goes on
#   pid         the script's process and the runner's, each with its start in clock ticks; and the boot they belong to
#   alive       its time of change is the last that was seen of the script
#   log, times  what the script says, and when the log was how long: milliseconds since 1970, bytes
#   exit        the exit code, when, and `full` where there was no room left on the disk then; its place on the disk is taken beforehand, so that a full disk cannot keep it away
cd "$(dirname "$0")" || exit 1
umask 077
mkdir started 2> /dev/null || exit 0
printf '%-40s\n' - > exit.new
# Handled and not ignored: what is ignored, the script would ignore, too.
trap : HUP INT TERM
ticks() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20; }
setsid bash ./job.sh < /dev/null >> log 2>&1 &
child=$!
printf '%s %s %s %s %s\n' "$child" "$(ticks "$child")" "$$" "$(ticks "$$")" "$(cat /proc/sys/kernel/random/boot_id)" > pid.new
mv pid.new pid
date +%s > started/at.new
mv started/at.new started/at
(
    trap - HUP INT TERM
    seen=0
    rounds=0
    while kill -0 "$child" 2> /dev/null; do
        size=$(stat -c %s log)
        if [ "$size" != "$seen" ]; then
            printf '%s %s\n' "$(date +%s%3N)" "$size"
            seen=$size
        fi
        # Short runs tell more in a second than long ones.
        [ $((rounds % 10)) -ne 0 ] || touch alive
        rounds=$((rounds + 1))
        if [ "$rounds" -lt 150 ]; then sleep 0.1; else sleep 1; fi
    done
    printf '%s %s\n' "$(date +%s%3N)" "$(stat -c %s log)"
) >> times 2> /dev/null < /dev/null &
while :; do
    wait "$child"
    code=$?
    # Above 128 it may be that a signal has only ended the waiting.
    [ "$code" -gt 128 ] && kill -0 "$child" 2> /dev/null || break
done
full=$(df -Pk . | awk 'NR == 2 && $4 < 1024 { print "full" }')
printf '%-40s\n' "$code $(date +%s) $full" 1<> exit.new
mv exit.new exit
