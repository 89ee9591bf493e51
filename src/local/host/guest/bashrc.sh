# ~/.bashrc of an instance of footplate's local region.
case $- in
    *i*) ;;
    *) return ;;
esac
PS1='@PROMPT@'
PROMPT_COMMAND=
HISTCONTROL=ignoreboth
shopt -s histappend checkwinsize
alias ls='ls --color=auto' ll='ls -alF' grep='grep --color=auto'
