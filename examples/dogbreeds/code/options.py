"""The arguments of the scripts. SageMaker passes hyperparameters as arguments and folders in SM_* variables."""
import argparse
import os


def parse_arguments(description, epochs=1, data_dir=None, model_dir="model", output_data_dir=None):
    """The defaults are those of the script that asks; on SageMaker its variables come before them."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learning_rate", "--learning-rate", type=positive(float), default=0.001)
    parser.add_argument("--batch_size", "--batch-size", type=positive(int), default=32, help="images per step, over all hosts together")
    parser.add_argument("--epochs", type=positive(int), default=epochs, help="passes over the training images")
    parser.add_argument("--arch", choices=["resnet18", "resnet50"], default="resnet50")
    parser.add_argument("--pretrained-weights", default="none", metavar="PATH", help="a state_dict to start from, of the same arch; 'none' starts from random weights. Nothing is ever downloaded")
    parser.add_argument("--image-size", type=size, default=224, help="side of the square that images are brought to, at least 64")
    parser.add_argument("--workers", type=int, default=default_workers(), help="processes that read images; 0 reads them in the training process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data-dir", default=os.environ.get("SM_CHANNEL_TRAINING", data_dir), help="the folder that holds train/, valid/ and test/")
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", model_dir))
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR", output_data_dir), help="where metrics.csv goes, if anywhere")
    options = parser.parse_args()
    if options.workers < 0:
        parser.error("argument --workers: must be 0 or more")
    if not options.data_dir:
        parser.error("no images: give the job a channel named 'training', or the script --data-dir FOLDER")
    return options


def default_workers():
    """One vCPU is left for the training itself; more than eight readers wait for each other."""
    cpus = int(os.environ.get("SM_NUM_CPUS") or os.cpu_count() or 1)
    return max(min(cpus - 1, 8), 0)


def positive(kind):
    def read(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} must be greater than 0")
        return value

    read.__name__ = f"number above 0 ({kind.__name__})"
    return read


def size(text):
    value = int(text)
    if value < 64:
        raise argparse.ArgumentTypeError(f"{text} is too small: a ResNet halves an image five times; take 64 or more")
    return value
