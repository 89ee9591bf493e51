#!/bin/bash
# footplate's stand-in for sudo(8): there is one user here, so it runs the rest as that user.
login=no as=root
while (($#)); do
    case $1 in
        -v) echo "sudo: this is footplate's local region: commands run as @USER@, as without sudo" >&2; exit 0 ;;
        -l) echo "User @USER@ may run the following commands here: what @USER@ may run without sudo"; exit 0 ;;
        -i | -s | --login | --shell) login=yes ;;
        -u | --user) as=$2; shift ;;
        -g | -C | -p | -h) shift ;;
        --) shift; break ;;
        -*) ;;
        *) break ;;
    esac
    shift
done
if [ "$as" != root ] && [ "$as" != "@USER@" ]; then
    echo "sudo: unknown user $as" >&2
    exit 1
fi
while [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*= ]]; do
    export "$1"
    shift
done
if (($# == 0)); then
    [ $login = yes ] && exec /bin/bash -l
    echo "usage: sudo [-n] [-E] [-u user] [VAR=value] command" >&2
    exit 1
fi
# By their full paths, too, shutdown and its kin are the instance's own.
case $1 in
    /sbin/* | /usr/sbin/* | /bin/* | /usr/bin/*) [ -x @BIN@/"${1##*/}" ] && set -- @BIN@/"${1##*/}" "${@:2}" ;;
esac
[ $login = yes ] && exec /bin/bash -lc '"$@"' bash "$@"
if [ "$(type -t -- "$1")" != file ]; then
    echo "sudo: $1: command not found" >&2
    exit 1
fi
exec "$@"
