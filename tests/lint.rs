//! The lint of training scripts: each rule with scripts that it must find something in, and scripts that it must leave alone.

use std::path::Path;

use footplate::aws::script_mode::lint::{
    Context, Finding, RULES, Source, lint, lint_package, missing_modules, missing_modules_of,
};
use footplate::model::MetricRule;
use proptest::prelude::*;

/// A tuning script with the mistakes of the notebook project that this lint was made after: no GPU, losses divided by batches
/// and rounded down, one epoch, weights from the internet, nothing distributed.
const SEED_HPO: &str = r#"
import argparse, logging, os, sys
import torch
import torch.nn as nn
from torchvision import datasets, models, transforms

logger = logging.getLogger(__name__)

def test(model, test_loader, criterion):
    model.eval()
    running_loss = 0
    hits = 0
    for inputs, labels in test_loader:
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        _, preds = torch.max(outputs, 1)
        running_loss += loss.item() * inputs.size(0)
        hits += torch.sum(preds == labels.data)
    total_loss = running_loss // len(test_loader)
    total_acc = hits.double() // len(test_loader)
    logger.info(f"Testing Loss: {total_loss}")

def train(model, loaders, criterion, optimizer):
    for epoch in range(50):
        for phase in ["train", "valid"]:
            running_loss = 0.0
            for inputs, labels in loaders[phase]:
                loss = criterion(model(inputs), labels)
                if phase == "train":
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                running_loss += loss.item() * inputs.size(0)
            epoch_loss = running_loss // len(loaders[phase])
            logger.info("{} loss: {:.4f}".format(phase, epoch_loss))
        if epoch == 0:
            break
    return model

def net():
    model = models.resnet50(pretrained=True)
    model.fc = nn.Linear(2048, 133)
    return model

def main(args):
    folder = lambda part: datasets.ImageFolder(os.path.join(args.data, part), transform=transforms.ToTensor())
    loaders = {part: torch.utils.data.DataLoader(folder(part), batch_size=args.batch_size) for part in ("train", "valid", "test")}
    model = net()
    criterion = nn.CrossEntropyLoss()
    model = train(model, loaders, criterion, torch.optim.Adam(model.fc.parameters(), lr=args.learning_rate))
    test(model, loaders["test"], criterion)
    torch.save(model.cpu().state_dict(), os.path.join(args.model_dir, "model.pth"))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--batch_size", type=int)
    parser.add_argument("--data", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--model_dir", type=str, default=os.environ["SM_MODEL_DIR"])
    main(parser.parse_args())
"#;

/// The same project's script for EC2: no arguments, trained on the test folder, written into a folder that nobody made.
const SEED_EC2: &str = r#"
import os
import torch
import torchvision

def loaders(data, batch_size):
    train_data_path = os.path.join(data, "train")
    test_data_path = os.path.join(data, "test")
    train_data = torchvision.datasets.ImageFolder(root=test_data_path, transform=None)
    test_data = torchvision.datasets.ImageFolder(root=test_data_path, transform=None)
    return [torch.utils.data.DataLoader(each, batch_size=batch_size) for each in (train_data, test_data)]

def train(model, loader, criterion, optimizer):
    for epoch in range(5):
        running_loss = 0.0
        for pos, (inputs, labels) in enumerate(loader):
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * inputs.size(0)
        epoch_loss = running_loss / len(loader)
        if epoch == 0: break
    return model

model = torchvision.models.resnet50(pretrained=True)
train_loader, test_loader = loaders("dogImages", 2)
model = train(model, train_loader, torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=1e-4))
torch.save(model.state_dict(), "TrainedModels/model.pth")
print("saved")
"#;

/// A script with none of the mistakes.
const GOOD: &str = r#"
import argparse, os
import torch

def train(args, model, loader, criterion, optimizer, device):
    for epoch in range(args.epochs):
        total = 0.0
        for images, labels in loader:
            loss = criterion(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        print(f"epoch {epoch} loss={total / len(loader.dataset):.6f}")

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
args = parser.parse_args()
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = torch.nn.Linear(3, 3).to(device)
train(args, model, [], torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=args.learning_rate), device)
os.makedirs(args.model_dir, exist_ok=True)
torch.save(model.state_dict(), os.path.join(args.model_dir, "model.pth"))
"#;

fn metric(name: &str, regex: &str) -> MetricRule {
    MetricRule { name: name.to_owned(), regex: regex.to_owned() }
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

/// Rule and line of each finding.
fn found(script: &str, context: &Context<'_>) -> Vec<(&'static str, u32)> {
    lint("train.py", script, context).iter().map(|finding| (finding.rule, finding.line)).collect()
}

/// That the rule finds something in each of the first scripts, and nothing in the others.
fn law(rule: &str, context: &Context<'_>, bad: &[&str], good: &[&str]) {
    for script in bad {
        let found = lint("train.py", script, context);
        assert!(found.iter().any(|finding| finding.rule == rule), "{rule} should find something in:\n{script}\n{found:#?}");
    }
    for script in good {
        let found: Vec<Finding> = lint("train.py", script, context).into_iter().filter(|finding| finding.rule == rule).collect();
        assert!(found.is_empty(), "{rule} should leave alone:\n{script}\n{found:#?}");
    }
}

#[test]
fn the_tuning_script_of_the_seed() {
    let metrics = [metric("Test Loss", r"Testing Loss: ([0-9\.]+)"), metric("accuracy", "Testing Accuracy: ([0-9.]+)")];
    let (hyperparameters, channels) = (names(&["learning_rate", "batch_size", "epochs"]), names(&["train"]));
    let context = Context {
        instance_type: "ml.g4dn.xlarge",
        instance_count: 4,
        replicated: true,
        network_isolation: true,
        early_stopping: true,
        metrics: &metrics,
        objective: Some("Test Loss"),
        hyperparameters: Some(&hyperparameters),
        channels: Some(&channels),
        ..Context::default()
    };
    let expected = [
        ("loss-divided-by-batches", 19),
        ("loss-floor-division", 19),
        ("early-stopping-without-epoch-metric", 21),
        ("metric-regex", 21),
        ("metric-regex-weak", 21),
        ("gpu-never-used", 31),
        ("identical-copies", 31),
        ("loss-divided-by-batches", 34),
        ("loss-floor-division", 34),
        ("epochs-cut-short", 36),
        ("weights-downloaded", 41),
        ("channel-missing", 58),
        ("unknown-hyperparameter", 60),
    ];
    assert_eq!(found(SEED_HPO, &context), expected);
    // The variable that the seed's author found last: it was never set.
    let misspelt = format!("{SEED_HPO}\nprint(estimator_multi_endpoint)\n");
    assert_eq!(found(&misspelt, &Context::default()).last(), Some(&("undefined-name", 62)));
}

#[test]
fn the_ec2_script_of_the_seed() {
    let expected = [
        ("test-data-trained-on", 9),
        ("gpu-never-used", 18),
        ("loss-divided-by-batches", 21),
        ("epochs-cut-short", 22),
        ("output-folder-missing", 28),
    ];
    let context = Context { instance_type: "g5.2xlarge", ..Context::default() };
    assert_eq!(found(SEED_EC2, &context), expected);
    let hyperparameters = names(&["batch_size"]);
    let job = Context { instance_type: "ml.m5.xlarge", hyperparameters: Some(&hyperparameters), ..Context::default() };
    let rules: Vec<_> = found(SEED_EC2, &job).into_iter().map(|(rule, _)| rule).collect();
    assert!(
        rules.contains(&"model-not-kept") && rules.contains(&"hyperparameters-ignored") && !rules.contains(&"gpu-never-used")
    );
}

#[test]
fn a_good_script_has_no_findings() {
    let metrics = [metric("loss", "loss=([0-9.]+)")];
    let (hyperparameters, channels) = (names(&["epochs", "learning-rate"]), names(&[]));
    let context = Context {
        instance_type: "ml.g5.xlarge",
        instance_count: 1,
        replicated: true,
        network_isolation: true,
        early_stopping: true,
        metrics: &metrics,
        hyperparameters: Some(&hyperparameters),
        channels: Some(&channels),
        ..Context::default()
    };
    assert_eq!(found(GOOD, &context), []);
}

#[test]
fn a_gpu_that_is_not_used() {
    let context = Context { instance_type: "ml.p3.2xlarge", ..Context::default() };
    let plain = "import torch\nmodel_dir = 1\nloss = torch.ones(1)\nloss.backward()\n";
    law(
        "gpu-never-used",
        &context,
        &[plain, &format!("{plain}# model.to(device) and .cuda()\n"), "import numpy as np\nimport os\nprint(np.zeros(3))\n"],
        &[
            &format!("{plain}loss.cuda()\n"),
            &format!("{plain}x = 'cuda:0'\n"),
            &format!("import pytorch_lightning\n{plain}"),
            "import torch\nprint(torch.load('x'))\n",
            "import subprocess\nsubprocess.run(['nvcc'])\n",
            "import cupy\n",
            "",
        ],
    );
    law("gpu-never-used", &Context { instance_type: "ml.m5.large", ..Context::default() }, &[], &[plain]);
}

#[test]
fn folders_that_nobody_makes_and_models_that_are_lost() {
    let context = Context { instance_type: "ml.m5.large", ..Context::default() };
    let save = "import torch\nimport os\ntorch.save({}, 'out/model.pth')\n";
    law(
        "output-folder-missing",
        &context,
        &[
            save,
            "PATH = './a/b.txt'\nwith open(PATH, 'w') as f:\n    f.write('x')\n",
            "import os, torch\ntorch.save({}, f=os.path.join('models', name, 'm.pth'))\nname = 1\n",
            "epoch = 1\nopen(f'logs/{epoch}.txt', mode='a')\n",
            "import os, torch\nos.makedirs('other')\ntorch.save({}, '/data/out/m.pth')\n",
        ],
        &[
            "import torch\nos.makedirs('out', exist_ok=True)\ntorch.save({}, 'out/model.pth')\n",
            "import pathlib, torch\npathlib.Path('./out').mkdir()\ntorch.save({}, 'out/model.pth')\n",
            "import torch\ntorch.save({}, 'model.pth')\nopen('data/x.txt')\nopen('/tmp/x', 'w')\nopen('/opt/ml/output/data/x', 'w')\n",
            "import os, torch\nfolder = 'out'\nos.makedirs(folder)\ntorch.save({}, folder + '/model.pth')\ntorch.save({}, 'out/model.pth')\n",
            "# torch.save({}, 'out/model.pth')\n'''\ntorch.save({}, 'out/model.pth')\n'''\n",
        ],
    );
    law(
        "model-not-kept",
        &context,
        &["import torch\ntorch.save({}, 'model.pth')\n", "import torch\ntorch.ones(1).backward()\nprint('done')\n"],
        &[
            "import os, torch\ntorch.save({}, os.path.join(os.environ['SM_MODEL_DIR'], 'm.pth'))\n",
            "import torch\ntorch.save({}, '/opt/ml/model/model.pth')\n",
            "import torch\ntorch.ones(1).backward()\nclient.upload_file('x')\nclient = 1\n",
            "print('no training here')\n",
        ],
    );
    // Outside SageMaker nothing is lost.
    law("model-not-kept", &Context { instance_type: "g5.xlarge", ..Context::default() }, &[], &[save]);
}

#[test]
fn losses_that_are_not_means_and_loops_that_end_early() {
    let epoch = |line: &str| {
        format!(
            "def f(model, loader, size):\n  running_loss = 0\n  for x, y in loader:\n    running_loss += model(x).item() * x.size(0)\n  return {line}\n"
        )
    };
    law(
        "loss-divided-by-batches",
        &Context::default(),
        &[
            &epoch("running_loss / len(loader)"),
            &epoch("running_loss // len(loader)"),
            &epoch("running_loss.double() / len(loader)").replace("in loader:", "in tqdm(enumerate(loader), total=3):"),
        ],
        &[
            &epoch("running_loss / len(loader.dataset)"),
            &epoch("running_loss / len(loader)").replace(" * x.size(0)", ""),
            &epoch("running_loss / size"),
            &format!("{}\ndef g(running_loss, loader):\n  return running_loss / len(loader)\n", epoch("running_loss")),
        ],
    );
    law(
        "loss-floor-division",
        &Context::default(),
        &["total_loss = a\nprint(total_loss // 3)\na = 1\n", "val_acc = 3\nx = val_acc.item() // 4\n"],
        &[
            "# loss // 2\nx = 'loss // 2'\n",
            "size = 10\nhalf = size // 2\nlr = steps_of_access = 1\n",
            "losses = [1]\nprint(losses[0] / 2)\n",
        ],
    );
    law(
        "epochs-cut-short",
        &Context::default(),
        &[
            "for e in range(9):\n  work()\n  if e == 0:\n    break\ndef work(): pass\n",
            "for e in range(9):\n  if e == 0: break\n",
        ],
        &[
            "for e in range(9):\n  if e == 0:\n    print('first')\n    continue\n",
            "for e in range(9):\n  if e == 3:\n    break\n",
            "for e in range(9):\n  for i in [1]:\n    if e == 0:\n      break\n",
            "for e in range(9):\n  # if e == 0: break\n  pass\n",
        ],
    );
}

#[test]
fn metrics_that_are_not_printed_so() {
    let metrics = [metric("loss", r"val_loss=([0-9\.]+)")];
    let context = Context { metrics: &metrics, ..Context::default() };
    law(
        "metric-regex",
        &context,
        &["print(f'val loss={1}')\n", "# val_loss=0.5\nprint('done')\n", ""],
        &["print(f'val_loss={1}')\n", "print('epoch %d val_loss=%.3f' % (1, 2))\n", "import transformers\n"],
    );
    let said = &lint("train.py", "print('hello')\nprint(f'val loss={1}')\n", &context)[0];
    assert_eq!(said.line, 2);
    assert!(said.message.as_str().contains("the nearest is \"val loss={1}\""), "{}", said.message);
    law(
        "metric-regex-weak",
        &context,
        &["loss = 1.0\nprint(f'val_loss={loss}')\n", "print('val_loss=%g' % 1e-9)\n"],
        &[
            "loss = 1.0\nprint(f'val_loss={loss:.4f}')\n",
            "loss = round(1.0, 2)\nprint(f'val_loss={loss}')\n",
            "print('val_loss=%.3f' % 1)\n",
        ],
    );
    let right = [metric("loss", r"val_loss=([0-9.eE+-]+)")];
    law("metric-regex-weak", &Context { metrics: &right, ..Context::default() }, &[], &["print(f'val_loss={1.0}')\n"]);

    let context = Context { early_stopping: true, metrics: &right, ..Context::default() };
    law(
        "early-stopping-without-epoch-metric",
        &context,
        &["def test():\n  print(f'val_loss={1}')\nfor e in range(3):\n  pass\ntest()\n", "print(f'val_loss={1}')\n"],
        &[
            "for e in range(3):\n  print(f'val_loss={e}')\n",
            "def test():\n  show()\ndef show():\n  print(f'val_loss={1}')\nfor e in range(3):\n  test()\n",
            "while True:\n  print('val_loss=' + str(1))\n",
        ],
    );
}

#[test]
fn things_that_are_fetched() {
    let context = Context { network_isolation: true, ..Context::default() };
    law(
        "weights-downloaded",
        &context,
        &[
            "from torchvision import models\nm = models.resnet18(pretrained=True)\n",
            "import torchvision\nm = torchvision.models.resnet18(weights='DEFAULT')\n",
            "from torchvision.models import resnet50, ResNet50_Weights\nm = resnet50(weights=ResNet50_Weights.DEFAULT)\n",
            "import torch\nm = torch.hub.load('a/b', 'c')\n",
            "import urllib.request\nurllib.request.urlretrieve('http://x', 'y')\n",
            "from torchvision.datasets import CIFAR10\nCIFAR10('data', download=True)\n",
        ],
        &[
            "from torchvision import models\nm = models.resnet18(pretrained=False)\nn = models.resnet18(weights=None)\n",
            "# models.resnet18(pretrained=True)\nx = 'models.resnet18(pretrained=True)'\n",
            "from sklearn.utils import class_weight\nfit(weights='balanced')\nfit = 1\n",
            "import transformers as t\nt.AutoModel.from_pretrained('/opt/ml/input/data/model')\n",
        ],
    );
    law("weights-downloaded", &Context::default(), &[], &["m = resnet(pretrained=True)\nresnet = 1\n"]);
    law(
        "weights-downloaded-again",
        &Context::default(),
        &[
            "def net():\n  return models.resnet50(pretrained=True)\ndef model_fn(d):\n  m = net()\n  m.load_state_dict(1)\n  return m\nmodels = 1\n",
        ],
        &[
            "def net():\n  return models.resnet50()\ndef model_fn(d):\n  m = net()\n  m.load_state_dict(1)\n  return m\nmodels = 1\n",
            "def model_fn(d):\n  return models.resnet50(pretrained=True)\nmodels = 1\n",
        ],
    );
}

#[test]
fn instances_that_do_the_same() {
    let context = Context { instance_count: 4, replicated: true, ..Context::default() };
    let plain = "import torch\nloss = torch.ones(1)\nloss.backward()\n";
    law(
        "identical-copies",
        &context,
        &[
            plain,
            "# DistributedDataParallel\nprint('torch.distributed')\n",
            "import json, os\nhosts = json.loads(os.environ['SM_HOSTS'])\nprint(len(hosts), 'hosts do the same')\n",
        ],
        &[
            &format!("{plain}torch.nn.parallel.DistributedDataParallel(1)\n"),
            "import horovod.torch as hvd\n",
            "import json, os\nhosts = json.loads(os.environ['SM_HOSTS'])\nmine = data[hosts.index(os.environ['SM_CURRENT_HOST'])::len(hosts)]\ndata = []\n",
        ],
    );
    for fine in [
        Context { instance_count: 1, ..context },
        Context { distributed: true, ..context },
        Context { replicated: false, ..context },
    ] {
        law("identical-copies", &fine, &[], &[plain]);
    }
}

#[test]
fn hyperparameters_and_options() {
    let hyperparameters = names(&["learning-rate", "b"]);
    let context = Context { hyperparameters: Some(&hyperparameters), ..Context::default() };
    let parser =
        |options: &str| format!("import argparse\nparser = argparse.ArgumentParser()\n{options}\nargs = parser.parse_args()\n");
    let add = |arguments: &str| format!("parser.add_argument({arguments})\n");
    let both = add("'--learning-rate', type=float") + &add("'--batch', '-b', type=int");
    law(
        "unknown-hyperparameter",
        &context,
        &[&parser(&add("'-b'")), &parser(&add("'-b'")).replace("parser.", "p.").replace("parser =", "p ="), &parser("")],
        &[
            &parser(&both),
            &parser(&both.replace("'--learning-rate'", "'--learning-rate-of-all'")),
            &parser("").replace("parse_args", "parse_known_args"),
            &parser("for name in ['x']:\n  parser.add_argument('--' + name)"),
            &parser("parser.add_argument(*more)\nmore = []"),
            "import sys\nprint(sys.argv)\n",
        ],
    );
    law(
        "flag-given-value",
        &context,
        &[&parser(&both.replace("type=float", "action='store_true'"))],
        &[&parser(&both), &parser(&(both.clone() + &add("'--verbose', action='store_true'")))],
    );
    law(
        "required-argument",
        &context,
        &[&parser(&(both.clone() + &add("'--data', required=True"))), &parser(&(both.clone() + &add("'folder'")))],
        &[
            &parser(&both.replace("type=float", "required=True")),
            &parser(&(both.clone() + &add("'folder', nargs='?'"))),
            &parser(&(both.clone() + &add("'--data', required=False"))),
        ],
    );
    law(
        "bool-argument",
        &Context::default(),
        &[&parser(&add("'--x', type=bool"))],
        &[&parser(&add("'--x', type=int, default=bool(1)")), "# add_argument('--x', type=bool)\n"],
    );
    law(
        "hyperparameters-ignored",
        &context,
        &["print('no arguments')\n"],
        &[
            &parser(&both),
            "import os\nprint(os.environ['SM_HP_LEARNING-RATE'])\n",
            "import json\nprint(json.load(open('/opt/ml/input/config/hyperparameters.json')))\n",
        ],
    );
    // Nothing is known of the job: nothing is said.
    law("unknown-hyperparameter", &Context::default(), &[], &[&parser("")]);
    law("hyperparameters-ignored", &Context::default(), &[], &["print('no arguments')\n"]);
}

#[test]
fn data_that_is_not_there_or_not_meant() {
    let channels = names(&["training"]);
    let context = Context { channels: Some(&channels), ..Context::default() };
    law(
        "channel-missing",
        &context,
        &["import os\nd = os.environ['SM_CHANNEL_TRAIN']\n"],
        &[
            "import os\nd = os.environ['SM_CHANNEL_TRAINING']\n",
            "import os\nd = os.environ.get('SM_CHANNEL_TRAIN', 'data')\n",
            "import os\ntry:\n  d = os.environ['SM_CHANNEL_TRAIN']\nexcept KeyError:\n  d = 'data'\n",
            "import os\nos.environ['SM_CHANNEL_TRAIN'] = 'x'\n# os.environ['SM_CHANNEL_VALID']\n",
        ],
    );
    law(
        "test-data-trained-on",
        &context,
        &["train_data = ImageFolder(root=test_path)\n", "train_set = datasets.ImageFolder('data/test')\n"],
        &[
            "train_data = ImageFolder(root=train_path)\n",
            "test_data = ImageFolder(test_path)\n",
            "train_data = ImageFolder(train_test_split)\n",
        ],
    );
}

#[test]
fn names_that_are_not_defined() {
    law(
        "undefined-name",
        &Context::default(),
        &[
            "estimator = 1\nprint(estimator_multi_endpoint)\n",
            "def f(a):\n  return b\n",
            "import os.path\nprint(path)\n",
            "x = [y for z in range(3)]\n",
        ],
        &[
            "import os.path, a.b as c\nfrom d import (e,\n  f as g)\nprint(os, c, e, g)\n",
            "def f(a, *b, c=1, **d) -> int:\n  global h\n  h = a, b, c, d\nprint(h, lambda q, r=2: q + r)\n",
            "class A(object):\n  x: int = 1\n  y: str\n  def m(self): return self.z, A, __file__\n",
            "for i, (j, k) in enumerate([]): print(i, j, k)\n(a, b), c = 1, 2\nx = y = 3\nprint(a, b, c, x, y)\n",
            "with open('x') as f, open('y') as (g, h): print(f, g, h)\ntry:\n  pass\nexcept ValueError as e:\n  print(e)\n",
            "if (n := 3) > 2: print(n, [p for q in [] for p in q if p], {k: v for k, v in []})\n",
            "match 1:\n  case [a, b]: print(a, b)\n  case {'x': c}: print(c)\n",
            "from torch import *\nprint(tensor)\n",
            "try:\n  unicode\nexcept NameError:\n  pass\nprint(whatever)\n",
            "d = {}\nd['a'].b = 1\nprint(d, f'{undefined}', \"undefined\")\n",
            "print undefined\n",
            "print(f'{(a := 1)}', a)\n",
            "@property\nasync def f(): await f()\nf(x=1)\n",
            "print((undefined)\n",
        ],
    );
}

#[test]
fn rules_are_listed_once_and_in_order() {
    let ids: Vec<_> = RULES.iter().map(|(id, _)| *id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
}

/// The Python files of a folder.
fn sources(folder: &str) -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).expect("the example is there").map(|entry| entry.expect("readable").path());
    let python = files.filter(|path| path.extension().is_some_and(|ending| ending == "py"));
    python
        .map(|path| Source {
            name: path.file_name().expect("a name").to_string_lossy().into_owned(),
            text: std::fs::read_to_string(&path).expect("text"),
        })
        .collect()
}

#[test]
fn the_examples_have_no_findings_where_they_are_right() {
    let dogs = sources("examples/dogbreeds/code");
    let metrics =
        [metric("Test Loss", "Testing Loss: ([0-9.eE+-]+)"), metric("Validation Accuracy", "Validation Accuracy: ([0-9.eE+-]+)")];
    let hyperparameters = names(&["learning_rate", "batch_size", "epochs", "arch", "pretrained-weights", "image-size"]);
    let channels = names(&["training"]);
    let context = Context {
        instance_type: "ml.g5.2xlarge",
        instance_count: 4,
        replicated: true,
        network_isolation: true,
        early_stopping: true,
        metrics: &metrics,
        objective: Some("Test Loss"),
        hyperparameters: Some(&hyperparameters),
        channels: Some(&channels),
        ..Context::default()
    };
    for script in ["train.py", "hpo.py", "solution.py"] {
        assert_eq!(lint_package(&dogs, script, &context), [], "{script}");
    }
    let serving = Context { network_isolation: true, ..Context::default() };
    assert_eq!(lint_package(&dogs, "inference.py", &serving), []);
    assert_eq!(missing_modules_of(&dogs, "train.py"), ["PIL", "torch", "torchvision"]);

    let digits = sources("examples/digits/code");
    let hyperparameters = names(&["epochs", "learning-rate", "batch-size", "hidden", "seed"]);
    let metrics = [metric("test_loss", "test_loss=([0-9.eE+-]+)")];
    let context =
        Context { instance_type: "ml.m5.2xlarge", metrics: &metrics, hyperparameters: Some(&hyperparameters), ..context };
    let found = lint_package(&digits, "train.py", &context);
    assert_eq!(found.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["identical-copies"]);
    assert_eq!(lint_package(&digits, "train.py", &Context { instance_count: 1, ..context }), []);
    assert_eq!(lint_package(&digits, "inference.py", &serving), []);
    assert!(missing_modules_of(&digits, "train.py").is_empty());
}

#[test]
fn what_a_script_imports_of_others() {
    let script = "import os, torch\nfrom torchvision import models\ntry:\n  import apex\nexcept ImportError:\n  apex = None\ndef f():\n  import timm\n# import x\n";
    assert_eq!(missing_modules(script), ["torch", "torchvision"]);
}

#[test]
fn a_huge_file_takes_no_time() {
    let began = std::time::Instant::now();
    let context = Context {
        instance_type: "ml.g5.xlarge",
        instance_count: 2,
        replicated: true,
        network_isolation: true,
        early_stopping: true,
        ..Context::default()
    };
    let metrics: Vec<MetricRule> = (0..40).map(|number| metric(&number.to_string(), "nothing like it: ([0-9.]+)")).collect();
    for piece in [
        "x = 'a'\n",
        "f(",
        "open('a/b', 'w')\n",
        "if x == 0: break\n",
        "'",
        "f'{",
        "\"\"\"",
        "def f",
        "import a\n",
        " \n for a in b:\n",
        "é",
        "x.y(1)//len(z)\n",
    ] {
        for bytes in [200_000, 10_000_000] {
            let found = lint("train.py", &piece.repeat(bytes / piece.len()), &Context { metrics: &metrics, ..context });
            assert!(bytes == 200_000 || found.is_empty(), "a file of ten megabytes is not looked at");
        }
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

proptest! {
    #[test]
    fn no_text_is_too_strange(script in any::<String>(), pieces in proptest::collection::vec(piece(), 0..60)) {
        let metrics = [metric("m", "loss: ([0-9.]+)")];
        let hyperparameters = names(&["lr"]);
        let context = Context {
            instance_type: "ml.g5.xlarge",
            instance_count: 2,
            replicated: true,
            network_isolation: true,
            early_stopping: true,
            metrics: &metrics,
            hyperparameters: Some(&hyperparameters),
            channels: Some(&[]),
            ..Context::default()
        };
        for text in [script, pieces.concat()] {
            let lines = text.matches('\n').count() + 1;
            for finding in lint("train.py", &text, &context) {
                prop_assert!(RULES.iter().any(|(id, _)| *id == finding.rule));
                prop_assert!((1..=lines).contains(&(finding.line as usize)), "{finding:?}");
            }
            prop_assert!(missing_modules(&text).iter().all(|module| !module.is_empty()));
        }
    }
}

/// Pieces of Python that rules look for, in any order.
fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "import torch",
        "from a import b",
        "\n",
        "\n  ",
        "    ",
        " ",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "=",
        "==",
        "//",
        "/",
        "+=",
        "*",
        ".",
        "\"",
        "'",
        "'''",
        "f'",
        "\\",
        "#",
        "x",
        "loss",
        "len",
        "for",
        "in",
        "if",
        "0",
        "break",
        "def",
        "class",
        "lambda",
        "as",
        "open",
        "'w'",
        "'a/b'",
        "torch.save",
        "os.path.join",
        "makedirs",
        "add_argument",
        "'--lr'",
        "parse_args()",
        "ArgumentParser",
        "required=True",
        "pretrained=True",
        "environ",
        "'SM_CHANNEL_X'",
        "ImageFolder",
        "train_data",
        "test_path",
        "backward()",
        "print",
        "'loss: '",
        "{x}",
        "item()",
        "size(0)",
        "range",
        "é",
        "ß\u{301}",
        "1e-5",
        ";",
    ])
}
