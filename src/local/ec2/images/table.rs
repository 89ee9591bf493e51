//! The images of the local region, as of 2026-11: names and paths of parameters are AWS's (DLAMI release notes; Systems Manager
//! public parameters), ids and snapshots are the local region's own, as are the exact days. assumed: the sizes.
//!
//! One thing is not as on AWS: there the image that is launched by default, PyTorch 2.7 on Ubuntu 22.04, has its virtual
//! environment in /opt/pytorch; here it has environments in conda's layout, so that `conda env list` and `source activate
//! pytorch` can be rehearsed on it. Images with a virtual environment are those of PyTorch 2.8 and later.
//!
//! "Deep Learning AMI GPU PyTorch 1.13.1 (Ubuntu 20.04)" is not here: AWS has deregistered it.

/// What brings PyTorch on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Python {
    /// Environments of conda, activated with `source activate pytorch`; on AWS up to PyTorch 2.5.
    Conda,
    /// One virtual environment in /opt/pytorch; on AWS from PyTorch 2.6 on.
    Venv,
    None,
}

/// An image.
#[derive(Debug)]
pub struct Image {
    pub name: &'static str,
    pub description: &'static str,
    pub architecture: &'static str,
    /// Who logs in: `ubuntu` or `ec2-user`.
    pub user: &'static str,
    /// The account of its owner.
    pub owner: &'static str,
    pub python: Python,
    /// Of its snapshot, in GiB.
    pub gigabytes: i64,
    /// YYYY-MM-DD.
    pub created: &'static str,
    /// The public parameter that leads to the newest image of the kind.
    pub parameter: &'static str,
}

/// The owner of the deep learning images.
const DEEP_LEARNING: &str = "898082745236";
const AMAZON_LINUX: &str = "137112412989";
const CANONICAL: &str = "099720109477";

/// A deep learning image for NVIDIA's GPUs on x86.
const fn pytorch(
    name: &'static str,
    user: &'static str,
    python: Python,
    gigabytes: i64,
    created: &'static str,
    parameter: &'static str,
) -> Image {
    let description = "Supported EC2 instances: G4dn, G5, G6, Gr6, G6e, P4d, P4de, P5, P5e, P5en, P6-B200. Release notes: https://docs.aws.amazon.com/dlami/latest/devguide/appendix-ami-release-notes.html";
    Image { name, description, architecture: "x86_64", user, owner: DEEP_LEARNING, python, gigabytes, created, parameter }
}

/// All images, newest PyTorch first.
pub const TABLE: &[Image] = &[
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.12 (Ubuntu 24.04) 20261106",
        "ubuntu",
        Python::Venv,
        75,
        "2026-11-06",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.12-ubuntu-24.04/latest/ami-id",
    ),
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.9 (Ubuntu 24.04) 20261030",
        "ubuntu",
        Python::Venv,
        75,
        "2026-10-30",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.9-ubuntu-24.04/latest/ami-id",
    ),
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.9 (Amazon Linux 2023) 20261030",
        "ec2-user",
        Python::Venv,
        75,
        "2026-10-30",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.9-amazon-linux-2023/latest/ami-id",
    ),
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.8 (Ubuntu 24.04) 20261023",
        "ubuntu",
        Python::Venv,
        75,
        "2026-10-23",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.8-ubuntu-24.04/latest/ami-id",
    ),
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.8 (Amazon Linux 2023) 20261023",
        "ec2-user",
        Python::Venv,
        75,
        "2026-10-23",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.8-amazon-linux-2023/latest/ami-id",
    ),
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04) 20261016",
        "ubuntu",
        Python::Conda,
        75,
        "2026-10-16",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id",
    ),
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Amazon Linux 2023) 20261016",
        "ec2-user",
        Python::Venv,
        75,
        "2026-10-16",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.7-amazon-linux-2023/latest/ami-id",
    ),
    // Past its end of patch, and listed until it is deprecated: the newest with conda.
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.5.1 (Ubuntu 22.04) 20251024",
        "ubuntu",
        Python::Conda,
        45,
        "2025-10-24",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.5-ubuntu-22.04/latest/ami-id",
    ),
    pytorch(
        "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.5.1 (Amazon Linux 2023) 20251024",
        "ec2-user",
        Python::Conda,
        45,
        "2025-10-24",
        "/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.5-amazon-linux-2023/latest/ami-id",
    ),
    pytorch(
        "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20261106",
        "ubuntu",
        Python::None,
        75,
        "2026-11-06",
        "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id",
    ),
    pytorch(
        "Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023) 20261106",
        "ec2-user",
        Python::None,
        75,
        "2026-11-06",
        "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id",
    ),
    Image {
        name: "Deep Learning ARM64 AMI OSS Nvidia Driver GPU PyTorch 2.7 (Ubuntu 22.04) 20261016",
        description: "Supported EC2 instances: G5g, P6e-GB200. Release notes: https://docs.aws.amazon.com/dlami/latest/devguide/appendix-ami-release-notes.html",
        architecture: "arm64",
        user: "ubuntu",
        owner: DEEP_LEARNING,
        python: Python::Venv,
        gigabytes: 75,
        created: "2026-10-16",
        parameter: "/aws/service/deeplearning/ami/arm64/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id",
    },
    Image {
        name: "al2023-ami-2023.9.20261102.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.9.20261102.0 x86_64 HVM kernel-6.1",
        architecture: "x86_64",
        user: "ec2-user",
        owner: AMAZON_LINUX,
        python: Python::None,
        gigabytes: 8,
        created: "2026-11-02",
        parameter: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
    },
    Image {
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261028",
        description: "Canonical, Ubuntu, 24.04, amd64 noble image",
        architecture: "x86_64",
        user: "ubuntu",
        owner: CANONICAL,
        python: Python::None,
        gigabytes: 8,
        created: "2026-10-28",
        parameter: "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
    },
];
