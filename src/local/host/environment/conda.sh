#!/bin/bash
# footplate's stand-in for conda(1): it lists environments, and says what it is.
root=@CONDA@

row() {
    local active=' '
    [ "$2" = "${CONDA_PREFIX:-$root}" ] && active='*'
    printf '%-20s  %s  %s\n' "$1" "$active" "$2"
}
list() {
    printf '# conda environments:\n#\n'
    row base "$root"
    for environment in "$root"/envs/*; do
        [ -x "$environment/bin/python" ] && row "${environment##*/}" "$environment"
    done
    echo
}

case "$1 $2" in
    'env list' | 'info --envs' | 'info -e') list ;;
    'activate '* | 'deactivate '*)
        printf "CommandNotFoundError: Your shell has not been properly configured to use 'conda %s'.\n\n" "$1" >&2
        echo "This is footplate's stand-in for conda. Use instead: source activate ${2:-pytorch}" >&2
        exit 1
        ;;
    '--version ' | '-V ') echo "conda 0 (footplate's stand-in, not conda)" ;;
    'run -n')
        prefix=$root/envs/$3
        [ "$3" = base ] && prefix=$root
        [ -x "$prefix/bin/python" ] || { echo "EnvironmentLocationNotFound: Not a conda environment: $prefix" >&2; exit 1; }
        PATH=$prefix/bin:$PATH CONDA_PREFIX=$prefix CONDA_DEFAULT_ENV=$3 exec "${@:4}"
        ;;
    *)
        echo "conda: this is footplate's stand-in for conda. It has: conda env list, conda info --envs, conda run -n NAME COMMAND." >&2
        echo "Environments are entered with: source activate NAME; packages are installed with: python -m pip install PACKAGE" >&2
        exit 1
        ;;
esac
