"""The images: FOLDER/train, FOLDER/valid and FOLDER/test, each with a folder per breed (torchvision's ImageFolder)."""
import os
import signal
import sys

from PIL import ImageFile
from torch.utils.data import DataLoader, Subset
from torch.utils.data.distributed import DistributedSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder

PARTS = ("train", "valid", "test")
# ImageNet's mean and deviation: what the published weights were trained with.
NORMALISE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def varied(size):
    """A random part of the image, perhaps mirrored: no epoch shows the same picture twice."""
    return transforms.Compose([transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), transforms.ToTensor(), NORMALISE])


def steady(size):
    """The middle of the image, the same each time."""
    return transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor(), NORMALISE])


def load(options, team):
    """A loader for each part, and the names of the breeds. Ends with a remedy when there is nothing to learn from."""
    # The published data set has a file that is cut off.
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    sets = {part: read(options, part) for part in PARTS}
    breeds = sets["train"].classes
    for part in PARTS:
        if sets[part].classes != breeds:
            different = sorted(set(sets[part].classes) ^ set(breeds))
            sys.exit(f"error: {part}/ and train/ must have the same folders; only one of them has {', '.join(different[:5])}")
    return {part: loader(part, sets[part], options, team) for part in PARTS}, breeds


def read(options, part):
    folder = os.path.join(options.data_dir, part)
    layout = f"{options.data_dir} must hold train/, valid/ and test/, each with a folder of images per breed."
    if not os.path.isdir(folder):
        sys.exit(f"error: there is no folder {folder}. {layout}")
    try:
        return ImageFolder(folder, transform=varied(options.image_size) if part == "train" else steady(options.image_size))
    except (FileNotFoundError, RuntimeError) as error:
        sys.exit(f"error: {error}. {layout}")


def loader(part, images, options, team):
    """Each host reads its own share. The batch size is that of all hosts together, so that more hosts change the speed only."""
    batch = max(options.batch_size // team.size, 1)
    sampler = None
    if team.size > 1 and part == "train":
        # Pads the shares to equal length: each host must make the same number of steps.
        sampler = DistributedSampler(images, team.size, team.rank, seed=options.seed)
    elif team.size > 1:
        images = Subset(images, range(team.rank, len(images), team.size))
    return DataLoader(
        images,
        batch_size=batch,
        shuffle=part == "train" and sampler is None,
        sampler=sampler,
        num_workers=options.workers,
        worker_init_fn=leave_stopping_to_the_script,
        pin_memory=team.device.type == "cuda",
    )


def leave_stopping_to_the_script(number):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
