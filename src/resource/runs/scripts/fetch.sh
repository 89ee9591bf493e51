#!/bin/bash
# footplate: gets one data set ready in the folder it stands in. $1: address, or nothing when the archive lies here already;
# $2: zip, tar, plain or folder; $3: name of a plain file or of the folder; $4: an interpreter, for where unzip is missing;
# $5: for s3://, the path of aws, or nothing, where the interpreter has boto3.
# Writes: archive.part, archive (complete), new/ (being filled), files/ (complete), doing, failed (word and reason).
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
# Runs a tool; what it says is kept in memory, since a full disk takes no more.
run() { said=$("$@" 2>&1 < /dev/null); }
words() { printf '%s' "$said" | tail -n 2; }
# Tells that the disk is full. What is whole, and the head of what is not, is kept for the next time; of a disk that is full to
# the brim so much is given back that other programs can go on, and this can be told.
full() {
    left=$(free)
    [ -e archive ] && rm -rf new
    [ "$(free)" -lt 4096 ] && [ -e archive.part ] && { truncate -s -16M archive.part 2> /dev/null || rm -f archive.part; }
    # Of many files, the last few that came.
    while [ "$(free)" -lt 1024 ] && find new -type f -printf x 2> /dev/null | grep -q x; do
        find new -type f -printf '%C@\t%p\0' | sort -zn | tail -zn 5 | cut -zf 2- | xargs -0 rm -f -- || break
    done
    [ "$(free)" -lt 1024 ] && rm -rf new archive
    # Names can run out, too.
    { : > failed.new; } 2> /dev/null || rm -rf new
    fail disk "$1; $left kB were free"
}
is_full() { [ "$(free)" -lt 1024 ] || printf '%s' "$said" | grep -qiE 'no space left|disk quota exceeded|file too large'; }
# Whether so much as is missing finds room. $1: bytes that are there.
fits() {
    total=$(cat total 2> /dev/null)
    if [ -n "$total" ] && [ $(((total - ${1:-0}) / 1024)) -gt "$(free)" ]; then full "the data set has $((total / 1024)) kB"; fi
}
get() {
    have=$(stat -c %s archive.part 2> /dev/null || echo 0)
    fits "$have"
    if command -v wget > /dev/null; then
        run wget -c -nv --tries=3 --timeout=60 -O archive.part -- "$1" && return
        is_full && full "while it was fetched"
        # Where it cannot be continued, from the start.
        if [ "$have" -gt 0 ]; then rm -f archive.part; run wget -nv --tries=3 --timeout=60 -O archive.part -- "$1" && return; fi
    elif command -v curl > /dev/null; then
        run curl -fsSL --retry 3 --connect-timeout 60 -C - -o archive.part -- "$1" && return
        is_full && full "while it was fetched"
        if [ "$have" -gt 0 ]; then rm -f archive.part; run curl -fsSL --retry 3 --connect-timeout 60 -o archive.part -- "$1" && return; fi
    else
        fail tools "neither wget nor curl is there"
    fi
    is_full && full "while it was fetched"
    [ -s archive.part ] || rm -f archive.part
    fail fetch "$(words)"
}
# From S3: $1 what, $2 where to, $3 an interpreter with boto3, or aws (`sync` or `cp`) when $4 is its path. What is there with
# its size is not fetched again; files come under another name until they are whole.
s3() {
    fits "$(du -sb new 2> /dev/null | cut -f 1)"
    if [ -n "$4" ]; then
        case $1 in */) run "$4" s3 sync --only-show-errors "$1" "$2" ;; *) run "$4" s3 cp --only-show-errors "$1" "$2" ;; esac
    else
        run "$3" -c "$BOTO3" "$1" "$2"
    fi && return
    is_full && full "while it was fetched"
    fail fetch "$(words)"
}
BOTO3='
import os, sys
import boto3
address, to = sys.argv[1:]
bucket, _, prefix = address[len("s3://"):].partition("/")
s3 = boto3.client("s3")
def fetch(key, path):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    s3.download_file(bucket, key, path)
try:
    if not address.endswith("/"):
        fetch(prefix, to)
        sys.exit()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for it in page.get("Contents", []):
            path = os.path.normpath(os.path.join(to, it["Key"][len(prefix):].lstrip("/")))
            if not path.startswith(os.path.normpath(to) + os.sep):
                sys.exit("the name " + it["Key"] + " leads out of its folder")
            if not it["Key"].endswith("/") and not (os.path.isfile(path) and os.path.getsize(path) == it["Size"]):
                fetch(it["Key"], path)
except Exception as error:
    sys.exit(" ".join(str(error).split()) or type(error).__name__)
'
unpack() {
    doing unpacking
    rm -rf new
    mkdir new || { is_full && full "before it was unpacked"; fail fetch "no folder can be made"; }
    case $1 in
        zip)
            if command -v unzip > /dev/null; then
                needs=$(unzip -l archive 2> /dev/null | awk 'END { print $1 }')
                case $needs in '' | *[!0-9]*) ;; *) [ $((needs / 1024)) -gt "$(free)" ] && full "unpacked it has $((needs / 1024)) kB" ;; esac
                run unzip -qq -o archive -d new
                # 1 is a warning, e.g. of names that it had to change.
                [ $? -le 1 ] && return
            elif [ -n "$2" ]; then
                run "$2" -m zipfile -e archive new && return
            else
                fail tools "neither unzip nor Python is there"
            fi
            ;;
        tar)
            command -v tar > /dev/null || fail tools "tar is not there"
            run tar --no-same-owner -xf archive -C new && return
            ;;
    esac
    is_full && full "while it was unpacked"
    rm -rf new archive
    fail archive "$(words)"
}
case $2 in
    folder)
        doing fetching
        mkdir -p "new/$3"
        s3 "$1" "new/$3" "$4" "$5"
        ;;
    *)
        if [ ! -e archive ]; then
            doing fetching
            case $1 in
                s3://*) s3 "$1" archive.part "$4" "$5" ;;
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
rm -rf archive doing
