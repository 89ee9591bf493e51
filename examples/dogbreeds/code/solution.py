#!/usr/bin/env python3
"""The same training as a plain script, for an EC2 instance or any other machine with PyTorch:

    python solution.py                     reads dogImages/, writes TrainedModels/model.pth
    python solution.py --epochs 20 --batch-size 64 --pretrained-weights resnet50.pth

The folder for the model is made when it is not there, and a GPU is used when there is one."""
from learning import learn
from options import parse_arguments

if __name__ == "__main__":
    learn(parse_arguments(__doc__, epochs=5, data_dir="dogImages", model_dir="TrainedModels", output_data_dir="TrainedModels"), keep_best=True)
