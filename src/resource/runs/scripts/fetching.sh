# Tells how far the data set in folder $1 is: whether it was there, is ready, busy (bytes, what it does) or failed (why). When
# `first` follows, a failure of before is forgotten, and what gets it ready is started with the arguments behind that.
cd "$HOME/footplate/data/$1" 2> /dev/null || exit 9
if [ -e files ]; then printf 'there\t0\t\n'; exit 0; fi
shift
busy() { ! flock -n lock true 2> /dev/null; }
# Whether what was started is no more; not, where nobody can tell.
gone() {
    pid=$(cat pid 2> /dev/null)
    [ -n "$pid" ] && ! kill -0 "$pid" 2> /dev/null && { ! command -v flock > /dev/null || ! busy; }
}
if [ "$1" = first ]; then
    shift
    if ! command -v flock > /dev/null || ! busy; then
        rm -f failed doing pid
        setsid nohup bash "$PWD/fetch.sh" "$@" < /dev/null > /dev/null 2>&1 &
        { echo $! > pid; } 2> /dev/null
        for _ in $(seq 20); do
            [ -e doing ] || [ -e failed ] || [ -e files ] && break
            sleep 0.05
        done
    fi
fi
# Looked at first: what it leaves behind is there then.
gone && over=yes
if [ -e files ]; then printf 'ready\t0\t\n'
elif [ -e failed ]; then printf 'failed\t0\t%s\n' "$(base64 < failed | tr -d '\n')"
elif [ -n "$over" ]; then
    word=fetch
    [ "$(df -Pk . | awk 'NR == 2 { print $4 }')" -lt 1024 ] && word=disk
    printf 'failed\t0\t%s\n' "$(printf '%s\nwhat fetches it was ended' "$word" | base64 | tr -d '\n')"
else printf 'busy\t%s\t%s\n' "$(du -sbc archive.part archive new 2> /dev/null | tail -n 1 | cut -f 1)" "$(cat doing 2> /dev/null)"; fi
