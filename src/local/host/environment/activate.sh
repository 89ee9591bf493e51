# footplate's stand-in for conda's activate, to be sourced: source activate NAME
# Its environments are Python virtual environments in conda's layout.
_footplate_name=${1:-base}
case $_footplate_name in
    base | root) _footplate_prefix=@CONDA@ ;;
    */*) _footplate_prefix=$_footplate_name ;;
    *) _footplate_prefix=@CONDA@/envs/$_footplate_name ;;
esac
if [ ! -x "$_footplate_prefix/bin/python" ]; then
    printf 'Could not find conda environment: %s\nYou can list all discoverable environments with `conda info --envs`.\n' "$_footplate_name" >&2
    unset _footplate_name _footplate_prefix
    return 1 2>/dev/null || exit 1
fi
if [ -n "$CONDA_PREFIX" ] && [ "$CONDA_PREFIX" != @CONDA@ ]; then
    PATH=${PATH//"$CONDA_PREFIX/bin:"/}
fi
if [ "$_footplate_prefix" != @CONDA@ ]; then
    PATH=$_footplate_prefix/bin:$PATH
fi
if [ -n "$PS1" ]; then
    PS1="($_footplate_name) ${PS1#"$CONDA_PROMPT_MODIFIER"}"
fi
CONDA_PREFIX=$_footplate_prefix
CONDA_DEFAULT_ENV=$_footplate_name
CONDA_PROMPT_MODIFIER="($_footplate_name) "
CONDA_SHLVL=1
export PATH CONDA_PREFIX CONDA_DEFAULT_ENV CONDA_PROMPT_MODIFIER CONDA_SHLVL
unset _footplate_name _footplate_prefix
hash -r
