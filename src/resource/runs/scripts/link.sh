# Links what is in data set $1 into folder $2 below the home folder, and tells the names. What the script brings itself under
# such a name stays.
cd "$HOME/footplate/data/$1/files" || exit 9
into=$HOME/$2
mkdir -p "$into" || exit 9
shopt -s dotglob nullglob
for name in *; do
    [ "$name" = __MACOSX ] && continue
    if [ -e "$into/$name" ] && [ ! -L "$into/$name" ]; then
        printf '%s (kept as it came with the code) ' "$name"
        continue
    fi
    ln -sfn "$PWD/$name" "$into/$name" || exit 9
    printf '%s ' "$name"
done
echo
