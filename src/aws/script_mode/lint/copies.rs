//! Several instances that all do the same.

use super::{Context, Finding, Package, finding};

/// Names that code needs which trains on several hosts together.
const TOGETHER: &[&str] = &[
    "DistributedDataParallel",
    "DDP",
    "FullyShardedDataParallel",
    "FSDP",
    "init_process_group",
    "init_distributed",
    "DistributedSampler",
    "Accelerator",
    "MirroredStrategy",
    "MultiWorkerMirroredStrategy",
    "ParameterServerStrategy",
    "get_world_size",
    "all_reduce",
    "num_machines",
];
const LIBRARIES: &[&str] = &[
    "horovod",
    "smdistributed",
    "deepspeed",
    "accelerate",
    "ray",
    "dask",
    "mpi4py",
    "lightning",
    "pytorch_lightning",
    "composer",
    "torchrun",
    "transformers",
    "xgboost",
    "lightgbm",
];

pub(super) fn check(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    if context.instance_count < 2 || context.distributed || !context.replicated {
        return;
    }
    // A script that finds its place among the hosts may take its own share of the data.
    let shares = package.says(&["SM_HOSTS", "SM_CURRENT_HOST", "resourceconfig", "WORLD_SIZE"]) && takes_a_share(package);
    if package.names(TOGETHER) || package.imports(LIBRARIES) || shares {
        return;
    }
    let (count, entry) = (context.instance_count, package.entry());
    let (code, line) = package.first_call("backward").unwrap_or((entry, 1));
    found.push(finding("identical-copies", code, line, &format!(
        "{count} instances train the same model on the same data, at {count} times the cost: use one, or DistributedDataParallel, or divide the data among them (ShardedByS3Key)"
    )));
}

fn takes_a_share(package: &Package<'_>) -> bool {
    package.codes.iter().any(|code| {
        code.names.iter().any(|name| name.to_lowercase().contains("rank") || name.to_lowercase().contains("shard"))
            || code.calls().any(|call| call.name == "index" && code.path(&call).contains("hosts"))
    })
}
