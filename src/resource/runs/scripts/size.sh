# The size of what is at address $1, in bytes, by its head; nothing when the server does not tell.
export LC_ALL=C
if command -v curl > /dev/null; then
    curl -sIL --max-time 20 -- "$1" 2> /dev/null | tr -d '\r' | awk 'tolower($1) == "content-length:" { size = $2 } END { print size }'
elif command -v wget > /dev/null; then
    wget --spider --server-response --tries=1 --timeout=20 -- "$1" 2>&1 | awk 'tolower($1) == "content-length:" { size = $2 } END { print size }'
else
    exit 8
fi
