# Finds the interpreter of environment $1, in the order in which the images have them; tells `found`, its path, its version and
# how a shell enters it. Else tells what there is, a line each.
want=$1
tell() {
    version=$("$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2> /dev/null) || return 0
    root=${1%/bin/python}
    case $root in
        */envs/*) conda=${root%/envs/*}; name=${root##*/} ;;
        *) conda=$root; name=base ;;
    esac
    if [ -e "$root/conda-meta" ] || [ "$conda" != "$root" ] || [ -x "$root/bin/conda" ]; then
        enter="source activate $name"
        command -v activate > /dev/null || [ ! -e "$conda/bin/activate" ] || enter="source $conda/bin/activate $name"
    elif [ -e "$root/bin/activate" ]; then
        enter="source $root/bin/activate"
    else
        enter=
    fi
    printf 'found\t%s\t%s\t%s\n' "$1" "$version" "$enter"
    exit 0
}
conda=
for at in "$(command -v conda)" /opt/conda/bin/conda "$HOME/anaconda3/bin/conda" "$HOME/miniconda3/bin/conda" /home/ec2-user/anaconda3/bin/conda /home/ubuntu/anaconda3/bin/conda; do
    [ -x "$at" ] && { conda=$at; break; }
done
case $want in
    system) at=$(command -v python3 || command -v python) && tell "$at" ;;
    */*) for at in "$want" "$want/bin/python"; do [ -f "$at" ] && [ -x "$at" ] && tell "$at"; done ;;
    *)
        for at in "/opt/conda/envs/$want/bin/python" "/opt/$want/bin/python" "/home/ec2-user/anaconda3/envs/$want"*/bin/python \
            "/home/ubuntu/anaconda3/envs/$want"*/bin/python "$HOME/anaconda3/envs/$want"*/bin/python "$HOME/miniconda3/envs/$want/bin/python"; do
            [ -x "$at" ] && tell "$at"
        done
        ;;
esac
# name, a star if it is the active one, path
listed=$([ -n "$conda" ] && "$conda" env list 2> /dev/null | awk '$1 !~ /^#/ && NF >= 2 { print $1 "\t" $NF }')
at=$(printf '%s\n' "$listed" | awk -F '\t' -v want="$want" '$1 == want { print $2; exit }')
[ -n "$at" ] && [ -x "$at/bin/python" ] && tell "$at/bin/python"
printf '%s\n' "$listed" | awk -F '\t' 'NF == 2 { print "there\t" $1 "\t" $2 }'
for at in /opt/*/bin/python; do
    [ -x "$at" ] && [ "$at" != /opt/conda/bin/python ] && at=${at%/bin/python} && printf 'there\t%s\t%s\n' "${at##*/}" "$at"
done
at=$(command -v python3) && printf 'there\tsystem\t%s\n' "$at"
exit 0
