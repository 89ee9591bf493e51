# Whether this instance gets at S3 itself. $1: the interpreter of the run's environment. Tells one line: `aws` and its path,
# `boto3` and the interpreter, or `none` and why, for people.
for aws in "$(command -v aws)" "$(dirname -- "${1:-/}")/aws"; do
    [ -x "$aws" ] || continue
    if timeout 15 "$aws" sts get-caller-identity > /dev/null 2>&1; then printf 'aws\t%s\n' "$aws"; exit 0; fi
    printf 'none\tit has no credentials; launched with an instance profile, it would fetch the data itself\n'
    exit 0
done
if [ -z "$1" ] || ! timeout 30 "$1" -c 'import boto3' > /dev/null 2>&1; then
    printf 'none\tneither aws nor boto3 is there\n'
elif timeout 30 "$1" -c 'import boto3; boto3.Session().get_credentials().get_frozen_credentials()' > /dev/null 2>&1; then
    printf 'boto3\t%s\n' "$1"
else
    printf 'none\tit has no credentials; launched with an instance profile, it would fetch the data itself\n'
fi
