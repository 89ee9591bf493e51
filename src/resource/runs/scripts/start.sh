# Starts the runner of the run in folder $1, detached, and says how: whatever way comes first, the runner's own mkdir lets
# only one go on.
cd "$HOME/footplate/runs/$1" || exit 9
[ -e started ] && { echo already; exit 0; }
came() {
    for _ in $(seq 50); do
        [ -e started/at ] && return 0
        sleep 0.1
    done
    return 1
}
# A unit of the user's own manager outlives the login only where lingering is switched on.
if [ -n "${XDG_RUNTIME_DIR-}" ] && command -v systemd-run > /dev/null && [ "$(loginctl show-user "$(id -un)" -p Linger --value 2> /dev/null)" = yes ]; then
    systemd-run --user --collect --quiet bash "$PWD/runner.sh" < /dev/null > /dev/null 2>&1 && came && { echo systemd-run; exit 0; }
fi
# Its socket is in the run's folder: a server of the user's own would tie the run to their windows.
if command -v tmux > /dev/null; then
    tmux -S "$PWD/tmux" new-session -d bash "$PWD/runner.sh" < /dev/null > /dev/null 2>&1 && came && { echo tmux; exit 0; }
fi
setsid nohup bash "$PWD/runner.sh" < /dev/null > /dev/null 2>&1 &
came && { echo setsid; exit 0; }
exit 10
