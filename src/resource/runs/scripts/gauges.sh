# One sample of what the machine is doing.
echo 'runs'
for run in "$HOME"/footplate/runs/*/; do
    [ -e "$run/pid" ] && [ ! -e "$run/exit" ] && read -r _ _ runner _ < "$run/pid" && [ -e "/proc/$runner" ] && echo "$run"
done
echo 'cpu'
head -n 1 /proc/stat
grep -c '^processor' /proc/cpuinfo
echo 'memory'
grep -E '^(MemTotal|MemAvailable):' /proc/meminfo
echo 'disk'
df -Pk "$HOME" | tail -n 1
echo 'gpu'
command -v nvidia-smi > /dev/null && timeout 10 nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw --format=csv,noheader,nounits
exit 0
