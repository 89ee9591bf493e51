# Waits until the log of run $1 is longer than $2 bytes or the run is over; then tells, in one line, the time in milliseconds,
# the log's size, whether the run is over, and when that part was written; and then at most $3 bytes of it.
cd "$HOME/footplate/runs/$1" 2> /dev/null || exit 9
boot=$(cat /proc/sys/kernel/random/boot_id)
over() {
    [ -e exit ] && return 0
    [ -e pid ] || return 1
    read -r _ _ runner runs booted < pid
    [ "$booted" = "$boot" ] && [ "$(sed 's/.*) //' "/proc/$runner/stat" 2> /dev/null | cut -d' ' -f20)" = "$runs" ] && return 1
    return 0
}
for _ in $(seq "${4:-50}"); do
    # In this order: what is over writes no more.
    state=running
    over && state=over
    [ -e started ] || state=waiting
    size=$(stat -c %s log 2> /dev/null || echo 0)
    [ "$size" -gt "$2" ] || [ "$state" = over ] && break
    sleep 0.2
done
printf '%s\t%s\t%s\t%s\n' "$(date +%s%3N)" "$size" "$state" \
    "$(awk -v from="$2" -v to="$(($2 + $3))" '$2 > from { printf "%s %s,", $1, $2; if ($2 >= to) exit }' times 2> /dev/null)"
[ "$size" -gt "$2" ] && tail -c "+$(($2 + 1))" log | head -c "$(($size - $2 < $3 ? $size - $2 : $3))"
exit 0
