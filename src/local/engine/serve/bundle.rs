//! The folder of one instance: the model as `/opt/ml/model`, and the script in it.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use super::Served;
use crate::local::buckets::Buckets;
use crate::local::engine::{Broken, S3Place, disk_is_full, source};

/// The script when `SAGEMAKER_PROGRAM` does not name one (sagemaker-inference-toolkit, `environment.py`).
const DEFAULT_PROGRAM: &str = "inference.py";
/// The model server, written into each instance's folder: the interpreter wants a file.
const MODEL_SERVER: &str = include_str!("model_server.py");

/// An instance's folder, filled.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub root: PathBuf,
    /// The script, an absolute path.
    pub program: PathBuf,
}

impl Bundle {
    /// Fetches the model into a new folder. Blocks. The fetched archive may come from anybody, so it is unpacked like a
    /// training job's: nothing of it leads out of the folder.
    ///
    /// # Errors
    /// When the archive is missing, damaged or not harmless, or holds no script; the reason is that of the endpoint.
    pub fn lay_out(buckets: &Buckets, served: &Served, root: &Path) -> Result<Self, Broken> {
        for folder in [model(root), root.join("home"), root.join("tmp")] {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| Broken::region("laying out the instance", &error))?;
        }
        if let Some(place) = &served.data {
            fetch(buckets, place, root, &model(root))?;
        }
        let code = model(root).join("code");
        if let Some(place) = served.environment.get("SAGEMAKER_SUBMIT_DIRECTORY").and_then(|uri| S3Place::parse(uri)) {
            std::fs::create_dir_all(&code).map_err(|error| Broken::region("laying out the instance", &error))?;
            fetch(buckets, &place, root, &code)?;
        }
        let program = program(served, &code)?;
        std::fs::write(server(root), MODEL_SERVER).map_err(|error| Broken::region("laying out the instance", &error))?;
        Ok(Self { root: root.to_owned(), program })
    }

    /// What the container has as `/opt/ml/model`.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        model(&self.root)
    }

    /// The model server's own file.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        server(&self.root)
    }
}

fn model(root: &Path) -> PathBuf {
    root.join("ml/model")
}

fn server(root: &Path) -> PathBuf {
    root.join("model_server.py")
}

/// The texts are AWS's, with what went wrong behind them.
fn fetch(buckets: &Buckets, place: &S3Place, root: &Path, to: &Path) -> Result<(), Broken> {
    let archive = root.join("model.tar.gz");
    buckets.fetch(&place.bucket, &place.key, &archive).map_err(|error| {
        Broken(format!(
            "Failed to download model data for primary container from URL: \"{place}\". Please ensure that there is an object located at the URL and that the role passed to CreateModel has permissions to download the object. ({error})"
        ))
    })?;
    let unpacked = source::unpack_archive(&archive, to);
    // It is a copy, and it may be large.
    let _ = std::fs::remove_file(archive);
    unpacked.map_err(|error| {
        if disk_is_full(&error) {
            return Broken::region("unpacking the model", &error);
        }
        Broken(format!(
            "Failed to extract model data archive for primary container from URL \"{place}\". Please ensure that the object located at the URL is a valid tar.gz archive. ({error})"
        ))
    })
}

fn program(served: &Served, code: &Path) -> Result<PathBuf, Broken> {
    let named = served.environment.get("SAGEMAKER_PROGRAM").filter(|name| !name.is_empty());
    let name = named.map_or(DEFAULT_PROGRAM, String::as_str);
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = code.join(name);
    if inside && path.is_file() {
        return Ok(path);
    }
    let from = served.data.as_ref().map_or_else(|| "the model has no ModelDataUrl".to_owned(), ToString::to_string);
    Err(Broken(format!(
        "The primary container has no inference script: code/{name} is not in the model's archive ({from}). The local region runs scripts, not images ({}): pack the script under code/ and name it in SAGEMAKER_PROGRAM.",
        served.image
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn served(program: &str) -> Served {
        let environment = BTreeMap::from([("SAGEMAKER_PROGRAM".to_owned(), program.to_owned())]);
        Served { data: None, environment, image: "an/image:1".to_owned() }
    }

    #[test]
    fn the_script_is_found_inside_of_code_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let code = folder.path().join("code");
        std::fs::create_dir_all(&code).expect("a folder");
        std::fs::write(folder.path().join("outside.py"), "").expect("writes");
        std::fs::write(code.join("inference.py"), "").expect("writes");
        assert_eq!(program(&served(""), &code), Ok(code.join("inference.py")));
        for name in ["../outside.py", "missing.py", "/etc/hostname"] {
            assert!(program(&served(name), &code).expect_err("is refused").0.contains("has no inference script"), "{name}");
        }
    }
}
