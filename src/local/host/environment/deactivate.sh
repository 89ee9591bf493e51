# footplate's stand-in for conda's deactivate, to be sourced: source deactivate
if [ -n "$CONDA_PREFIX" ]; then
    if [ "$CONDA_PREFIX" != @CONDA@ ]; then
        PATH=${PATH//"$CONDA_PREFIX/bin:"/}
    fi
    if [ -n "$PS1" ]; then
        PS1=${PS1#"$CONDA_PROMPT_MODIFIER"}
    fi
    unset CONDA_PREFIX CONDA_DEFAULT_ENV CONDA_PROMPT_MODIFIER
    export CONDA_SHLVL=0
    hash -r
fi
