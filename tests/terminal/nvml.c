/* A stand-in for libnvidia-ml.so.1 with two GPUs, so that the real nvtop can be recorded on a machine without any: record.py builds it.
   What a call gets follows from how many of its kind came before, so a recording can be made again. Names, types and constants
   are those of NVML's public reference (docs.nvidia.com/deploy/nvml-api). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct card { unsigned index, steps; const char *name; unsigned long long memory; } *nvmlDevice_t;
typedef struct { char old[16]; unsigned domain, bus, device, id, subsystem; char address[32]; } nvmlPciInfo_t;
typedef struct { unsigned gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned pid; unsigned long long memory; } nvmlProcessInfo_t;
enum { SUCCESS, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

static struct card cards[] = {{0, 0, "NVIDIA A10G", 23028ull << 20}, {1, 0, "Tesla T4", 15360ull << 20}};

/* A wave between low and high; the second card idles. */
static unsigned wave(nvmlDevice_t card, unsigned low, unsigned high) {
    static const unsigned shape[] = {0, 35, 80, 100, 95, 98, 60, 97, 100, 90, 30, 70};
    return card->index ? low : low + (high - low) * shape[card->steps % 12] / 100;
}

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == SUCCESS ? "Success" : code == NOT_SUPPORTED ? "Not Supported" : "Unknown Error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *card) {
    if (index > 1) return NOT_FOUND;
    *card = &cards[index];
    return SUCCESS;
}
int nvmlDeviceGetName(nvmlDevice_t card, char *name, unsigned length) { snprintf(name, length, "%s", card->name); return SUCCESS; }
int nvmlDeviceGetPciInfo_v3(nvmlDevice_t card, nvmlPciInfo_t *pci) {
    memset(pci, 0, sizeof *pci);
    pci->device = 0x1e + card->index;
    snprintf(pci->old, sizeof pci->old, "0000:00:%02X.0", pci->device);
    snprintf(pci->address, sizeof pci->address, "00000000:00:%02X.0", pci->device);
    return SUCCESS;
}
int nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t card, unsigned *is) { *is = 4 - card->index; return SUCCESS; }
int nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t card, unsigned *is) { *is = card->index ? 1 : 4; return SUCCESS; }
int nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t card, unsigned *is) { (void)card; *is = 16; return SUCCESS; }
int nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t card, unsigned *is) { *is = card->index ? 8 : 16; return SUCCESS; }
int nvmlDeviceGetPcieThroughput(nvmlDevice_t card, int way, unsigned *kilobytes) { *kilobytes = wave(card, 12, way ? 900000 : 40000); return SUCCESS; }
int nvmlDeviceGetTemperatureThreshold(nvmlDevice_t card, int which, unsigned *is) { (void)card; *is = which ? 95 : 98; return SUCCESS; }
int nvmlDeviceGetTemperature(nvmlDevice_t card, int which, unsigned *is) { (void)which; *is = wave(card, 34, 67); return SUCCESS; }
int nvmlDeviceGetClockInfo(nvmlDevice_t card, int which, unsigned *is) { *is = which == 2 ? (card->index ? 405 : 6251) : wave(card, 210, 1710); return SUCCESS; }
int nvmlDeviceGetMaxClockInfo(nvmlDevice_t card, int which, unsigned *is) { (void)card; *is = which == 2 ? 6251 : 1710; return SUCCESS; }
int nvmlDeviceGetUtilizationRates(nvmlDevice_t card, nvmlUtilization_t *is) {
    card->steps++;
    *is = (nvmlUtilization_t){wave(card, 0, 100), wave(card, 0, 62)};
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(nvmlDevice_t card, nvmlMemory_t *is) {
    unsigned long long used = card->memory * wave(card, 2, 71) / 100;
    *is = (nvmlMemory_t){card->memory, card->memory - used, used};
    return SUCCESS;
}
/* Neither card has a fan of its own. */
int nvmlDeviceGetFanSpeed(nvmlDevice_t card, unsigned *is) { (void)card; (void)is; return NOT_SUPPORTED; }
int nvmlDeviceGetPowerUsage(nvmlDevice_t card, unsigned *milliwatts) { *milliwatts = wave(card, 9150, 287900); return SUCCESS; }
int nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t card, unsigned *milliwatts) { *milliwatts = card->index ? 70000 : 300000; return SUCCESS; }
int nvmlDeviceGetEncoderUtilization(nvmlDevice_t card, unsigned *is, unsigned *period) { (void)card; *is = 0; *period = 167000; return SUCCESS; }
int nvmlDeviceGetDecoderUtilization(nvmlDevice_t card, unsigned *is, unsigned *period) { return nvmlDeviceGetEncoderUtilization(card, is, period); }
int nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t card, unsigned *count, nvmlProcessInfo_t *all) { (void)card; (void)all; *count = 0; return SUCCESS; }
/* The process that FOOTPLATE_TRAINS names trains on the first card. */
int nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t card, unsigned *count, nvmlProcessInfo_t *all) {
    const char *pid = getenv("FOOTPLATE_TRAINS");
    unsigned room = *count;
    *count = pid && !card->index ? 1 : 0;
    if (room < *count) return INSUFFICIENT_SIZE;
    if (*count) all[0] = (nvmlProcessInfo_t){(unsigned)atoi(pid), card->memory * wave(card, 2, 69) / 100};
    return SUCCESS;
}
int nvmlDeviceGetProcessUtilization(nvmlDevice_t card, void *all, unsigned *count, unsigned long long since) {
    (void)card; (void)all; (void)since;
    *count = 0;
    return NOT_SUPPORTED;
}
