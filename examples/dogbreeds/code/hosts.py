"""The hosts of a training job, and how they train one model together.

SageMaker starts the same script on each of them and names them in SM_HOSTS. They meet at MASTER_ADDR:MASTER_PORT, which its
PyTorch container sets, and so does footplate's local region, where all hosts are processes of one machine. Each host runs one
process with one GPU. Launchers that start processes themselves (torchrun, MPI) set RANK and WORLD_SIZE, and those win.
"""
import datetime
import json
import os
import signal

import torch
import torch.distributed as dist


class Team:
    """All processes that train together: `size` of them, this one being number `rank`, from 0."""

    def __init__(self):
        self.hosts = json.loads(os.environ.get("SM_HOSTS") or "[]") or ["algo-1"]
        self.host = os.environ.get("SM_CURRENT_HOST", self.hosts[0])
        self.size = int(os.environ.get("WORLD_SIZE") or len(self.hosts))
        self.rank = int(os.environ.get("RANK") or self.hosts.index(self.host))
        self.device = pick_device()
        if self.size > 1:
            self.meet()

    def meet(self):
        os.environ.setdefault("MASTER_ADDR", self.hosts[0])
        os.environ.setdefault("MASTER_PORT", "7777")
        interface = os.environ.get("SM_NETWORK_INTERFACE_NAME")
        if interface:
            for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
                os.environ.setdefault(name, interface)
        if os.environ["MASTER_ADDR"] == "127.0.0.1":
            # The hosts are processes of one machine, as on the local region, and share its cores.
            torch.set_num_threads(max((os.cpu_count() or 1) // self.size, 1))
        backend = "nccl" if self.device.type == "cuda" else "gloo"
        print(f"{self.host}: waiting for {self.size} hosts to meet over {backend}", flush=True)
        dist.init_process_group(backend, rank=self.rank, world_size=self.size, timeout=datetime.timedelta(minutes=10))

    @property
    def leads(self):
        """One host prints the metrics and saves the model: all of them have the same."""
        return self.rank == 0

    def join(self, model):
        """The model on this host's device, its gradients averaged over all hosts."""
        model = model.to(self.device)
        if self.size == 1:
            return model
        on_gpu = [self.device.index] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(model, device_ids=on_gpu)

    def total(self, values):
        """The sums of some numbers over all hosts."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return sums.tolist()

    def leave(self):
        if self.size > 1:
            dist.destroy_process_group()


def pick_device():
    if not torch.cuda.is_available():
        return torch.device("cpu")
    count = torch.cuda.device_count()
    number = int(os.environ.get("LOCAL_RANK") or 0) % count
    if count > 1 and "LOCAL_RANK" not in os.environ:
        print(f"hint: this host has {count} GPUs and one process uses one of them: start one per GPU with torchrun, or take a smaller instance", flush=True)
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


class StopRequest:
    """SageMaker stops a job with SIGTERM and waits two minutes: time to save what was learnt."""

    def __init__(self, team):
        self.team, self.asked = team, False
        signal.signal(signal.SIGTERM, self.ask)

    def ask(self, number, frame):
        self.asked = True

    def agreed(self):
        """Whether any host was asked to stop. All must ask this the same number of times, so that none waits for another."""
        return self.team.total([self.asked])[0] > 0
