# Ends run $1: SIGTERM to all of the script's process group, SIGKILL after $2 seconds.
cd "$HOME/footplate/runs/$1" 2> /dev/null || exit 9
[ -e exit ] && { echo over; exit 0; }
[ -e started ] || { echo idle; exit 0; }
read -r child began _ _ booted < pid || { echo idle; exit 0; }
alive() {
    # Others of the group may outlive its leader.
    kill -0 -- "-$child" 2> /dev/null
}
same() {
    [ "$booted" = "$(cat /proc/sys/kernel/random/boot_id)" ] || return 1
    # The leader's number is not given anew while its group lives.
    [ ! -e "/proc/$child" ] || [ "$(sed 's/.*) //' "/proc/$child/stat" | cut -d' ' -f20)" = "$began" ]
}
same && alive || { echo over; exit 0; }
: > stopped
kill -TERM -- "-$child"
for _ in $(seq $(($2 * 10))); do
    alive || { echo ended; exit 0; }
    sleep 0.1
done
kill -KILL -- "-$child" 2> /dev/null
for _ in $(seq 50); do
    alive || { echo killed; exit 0; }
    sleep 0.1
done
exit 10
