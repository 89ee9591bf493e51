#!/bin/bash
# footplate: gets one data set ready in the folder it stands in. $1: address, or nothing when the archive lies here already;
# $2: zip, tar, plain or folder; $3: name of a plain file or of the folder; $4: an interpreter, for where unzip is missing.
# Writes: archive.part, archive (complete), new/ (being unpacked), files/ (complete), doing, failed (word and reason).
cd "$(dirname "$0")" || exit 1
umask 077
export LC_ALL=C
exec 9> lock
if command -v flock > /dev/null; then flock -n 9 || exit 0; fi
[ -e files ] && exit 0
fail() {
    printf '%s\n%s\n' "$1" "$(printf '%s' "$2" | tail -c 600)" > failed.new
    mv failed.new failed
    exit 1
}
doing() { echo "$1" > doing.new && mv doing.new doing; }
free() { df -Pk . | awk 'NR == 2 { print $4 }'; }
# Gives the disk back before it tells: nothing else works on a full one.
full() {
    left=$(free)
    rm -rf new archive archive.part
    fail disk "$1; $left kB were free"
}
is_full() { [ "$(free)" -lt 1024 ] || grep -qi 'no space left' said 2> /dev/null; }
get() {
    doing fetching
    total=$(cat total 2> /dev/null)
    have=$(stat -c %s archive.part 2> /dev/null || echo 0)
    if [ -n "$total" ] && [ $(((total - have) / 1024)) -gt "$(free)" ]; then full "the data set has $((total / 1024)) kB"; fi
    if command -v wget > /dev/null; then
        wget -c -nv --tries=3 --timeout=60 -O archive.part -- "$1" 2> said && return
        is_full && full "while it was fetched"
        # Where it cannot be continued, from the start.
        if [ "$have" -gt 0 ]; then rm -f archive.part; wget -nv --tries=3 --timeout=60 -O archive.part -- "$1" 2> said && return; fi
    elif command -v curl > /dev/null; then
        curl -fsSL --retry 3 --connect-timeout 60 -C - -o archive.part -- "$1" 2> said && return
        is_full && full "while it was fetched"
        if [ "$have" -gt 0 ]; then rm -f archive.part; curl -fsSL --retry 3 --connect-timeout 60 -o archive.part -- "$1" 2> said && return; fi
    else
        fail tools "neither wget nor curl is there"
    fi
    is_full && full "while it was fetched"
    [ -s archive.part ] || rm -f archive.part
    fail fetch "$(tail -n 2 said)"
}
unpack() {
    doing unpacking
    rm -rf new
    mkdir new
    case $1 in
        zip)
            if command -v unzip > /dev/null; then
                needs=$(unzip -l archive 2> /dev/null | awk 'END { print $1 }')
                case $needs in '' | *[!0-9]*) ;; *) [ $((needs / 1024)) -gt "$(free)" ] && full "unpacked it has $((needs / 1024)) kB" ;; esac
                unzip -qq -o archive -d new > said 2>&1 < /dev/null
                # 1 is a warning, e.g. of names that it had to change.
                [ $? -le 1 ] && return
            elif [ -n "$2" ]; then
                "$2" -m zipfile -e archive new > said 2>&1 && return
            else
                fail tools "neither unzip nor Python is there"
            fi
            ;;
        tar)
            command -v tar > /dev/null || fail tools "tar is not there"
            tar --no-same-owner -xf archive -C new > said 2>&1 && return
            ;;
    esac
    is_full && full "while it was unpacked"
    rm -rf new archive
    fail archive "$(tail -n 2 said)"
}
case $2 in
    folder)
        doing fetching
        mkdir -p "new/$3"
        aws s3 sync --only-show-errors "$1" "new/$3" > said 2>&1 || { is_full && full "while it was fetched"; fail fetch "$(tail -n 2 said)"; }
        ;;
    *)
        if [ ! -e archive ]; then
            case $1 in
                s3://*) doing fetching; aws s3 cp --only-show-errors "$1" archive.part > said 2>&1 || { is_full && full "while it was fetched"; fail fetch "$(tail -n 2 said)"; } ;;
                *) get "$1" ;;
            esac
            mv archive.part archive
        fi
        if [ "$2" = plain ]; then
            mkdir -p new && mv archive "new/$3"
        else
            unpack "$2" "$4"
        fi
        ;;
esac
[ -n "$(ls -A new)" ] || { rm -rf new archive; fail archive "there is nothing in it"; }
mv new files
rm -rf archive said doing
