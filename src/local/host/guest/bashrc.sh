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
# Also typed by its full path, shutdown is the instance's.
for _command in shutdown poweroff halt reboot; do
    for _folder in /sbin /usr/sbin; do
        eval "$_folder/$_command() { command $_command \"\$@\"; }"
    done
done
unset _command _folder
