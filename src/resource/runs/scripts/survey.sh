# Tells of every run that there is, a line each, fields between tabs. $1 has the names of ended runs that are known already,
# between spaces: of these no log is read. $2, if given, is the only run to tell of. $3: bytes of the log's end.
cd "$HOME/footplate/runs" 2> /dev/null || exit 0
boot=$(cat /proc/sys/kernel/random/boot_id)
pack() { base64 | tr -d '\n'; }
ticks() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d' ' -f20; }
printf 'now\t%s\n' "$(date +%s)"
for name in ${2:-*}; do
    [ -f "$name/run.json" ] || continue
    # Read before the pid is looked at: a run that ends between is told as ended.
    pid=- alive=no code=- ended=- full=
    if read -r pid began runner runs booted 2> /dev/null < "$name/pid"; then
        [ "$booted" = "$boot" ] && [ "$(ticks "$runner")" = "$runs" ] && alive=yes
    fi
    read -r code ended full 2> /dev/null < "$name/exit"
    begun=-
    [ -e "$name/started" ] && begun=$(cat "$name/started/at" 2> /dev/null || stat -c %Y "$name/started")
    tail=
    case " $1 " in *" $name "*) ;; *) tail=$(tail -c "$3" "$name/log" 2> /dev/null | pack) ;; esac
    # Of one that has left no exit code: the last sign of its life.
    seen=
    [ "$code" = - ] && seen=$(stat -c %Y "$name/alive" "$name/log" "$name/times" 2> /dev/null | sort -n | tail -n 1)
    stopped=no
    [ -e "$name/stopped" ] && stopped=yes
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "${pid:--}" "$alive" "${code:--}" "${ended:--}" "${full:--}" "$begun" "${seen:--}" "$stopped" \
        "$(stat -c %s "$name/log" 2> /dev/null || echo 0)" "$(pack < "$name/run.json")" "$(tail -n 60 "$name/steps" 2> /dev/null | pack)" "$tail"
done
