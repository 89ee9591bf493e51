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
# NVIDIA's display and 3D controllers (sysfs of PCI), which are there without a driver, too.
cards=0
for card in /sys/bus/pci/devices/*/; do
    read -r vendor 2> /dev/null < "$card/vendor" && read -r class < "$card/class" && [ "$vendor ${class%????}" = '0x10de 0x03' ] && cards=$((cards + 1))
done
echo "cards $cards"
if command -v nvidia-smi > /dev/null; then
    timeout -k 2 10 nvidia-smi --query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw --format=csv,noheader,nounits 2>&1
    echo "nvidia-smi ended $?"
fi
exit 0
