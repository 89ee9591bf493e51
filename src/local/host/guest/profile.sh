# ~/.profile of an instance of footplate's local region.
# /etc/profile, which has just been read, is this machine's: it sets PATH anew.
PATH=$FOOTPLATE_PATH
export PATH
if [ -n "$BASH_VERSION" ] && [ -f ~/.bashrc ]; then
    . ~/.bashrc
fi
