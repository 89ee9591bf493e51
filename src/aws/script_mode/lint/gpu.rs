//! A GPU that is paid for and never used.

use super::{Context, Finding, Package, finding, imports};

/// Libraries that find and use a GPU by themselves.
const BY_THEMSELVES: &[&str] = &[
    "accelerate",
    "composer",
    "deepspeed",
    "detectron2",
    "fastai",
    "ignite",
    "lightning",
    "pytorch_lightning",
    "transformers",
    "ultralytics",
    "mmcv",
    "catalyst",
    "sentence_transformers",
];

/// Libraries that compute on the CPU only.
const ON_THE_CPU: &[&str] =
    &["numpy", "scipy", "pandas", "sklearn", "matplotlib", "PIL", "joblib", "tqdm", "statsmodels", "requests", "boto3"];

pub(super) fn check(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    if !has_gpu(context.instance_type) {
        return;
    }
    let kind = context.instance_type;
    if package.imports(&["torch"]) {
        let speaks_of_one = |text: &str| ["cuda", "device", "gpu"].iter().any(|word| text.to_lowercase().contains(word));
        let used = package
            .codes
            .iter()
            .any(|code| code.names.iter().any(|name| speaks_of_one(name)) || code.texts().any(|text| speaks_of_one(text.text)));
        if used || package.imports(BY_THEMSELVES) {
            return;
        }
        if let Some((code, line)) = package.first_call("backward") {
            found.push(finding("gpu-never-used", code, line, &format!(
                "{kind} has a GPU and the script computes on the CPU: move the model and each batch with .to(device), where device = torch.device(\"cuda\" if torch.cuda.is_available() else \"cpu\"), or take an instance without a GPU"
            )));
        }
        return;
    }
    let own = imports::own(&package.codes);
    let on_cpu = package.codes.iter().flat_map(imports::all).all(|module| {
        let first = imports::first(&module);
        imports::is_standard(first) || ON_THE_CPU.contains(&first) || own.contains(first)
    });
    let starts_others = package.names(&[
        "subprocess",
        "system",
        "popen",
        "execv",
        "execvp",
        "spawn",
        "import_module",
        "__import__",
        "exec",
        "CDLL",
    ]);
    if on_cpu && !starts_others && !package.entry().tokens.is_empty() {
        found.push(finding(
            "gpu-never-used",
            package.entry(),
            1,
            &format!("{kind} has a GPU and nothing that the script imports can use one: take an instance without a GPU"),
        ));
    }
}

/// Families whose names start with g or p have NVIDIA GPUs, as the Python SDK has it (`image_uris.py`).
fn has_gpu(instance_type: &str) -> bool {
    instance_type.trim_start_matches("ml.").starts_with(['g', 'p'])
}
