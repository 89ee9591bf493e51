//! Files that cannot be written, and models that are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::code::{Argument, Call, Code};
use super::tokens::{Kind, Token};
use super::{Context, Finding, Package, finding};

/// What names the folder that SageMaker keeps, or all that it tells a script.
const KEPT: &[&str] = &["SM_MODEL_DIR", "/opt/ml", "model-dir", "model_dir", "SM_TRAINING_ENV", "s3://"];
const KEPT_NAMES: &[&str] =
    &["model_dir", "modeldir", "SM_MODEL_DIR", "training_env", "upload_file", "put_object", "upload_fileobj"];

pub(super) fn check(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    let made = Made::of(package);
    for code in &package.codes {
        let set_once = set_once(code);
        let mut said = BTreeSet::new();
        for call in code.calls() {
            if let Some(folder) = written(code, &call, &set_once).and_then(|path| folder_of(&path))
                && !made.may_hold(&folder)
                && !package.sources.iter().any(|source| source.name.starts_with(&format!("{folder}/")))
                && said.insert(folder.clone())
            {
                found.push(finding("output-folder-missing", code, call.line, &format!(
                    "nothing makes the folder {folder}, and without it this fails after all the work: os.makedirs(\"{folder}\", exist_ok=True) before the training"
                )));
            }
        }
    }
    if context.instance_type.starts_with("ml.") && !package.says(KEPT) && !package.names(KEPT_NAMES) {
        not_kept(package, found);
    }
}

fn not_kept(package: &Package<'_>, found: &mut Vec<Finding>) {
    let saves = |code: &Code<'_>, call: &Call<'_>| {
        matches!(code.path(call).as_str(), "torch.save" | "joblib.dump" | "pickle.dump" | "torch.jit.save")
            || ["save_model", "save_pretrained", "save_weights"].contains(&call.name)
    };
    let first = package.codes.iter().find_map(|code| Some((code, code.calls().find(|call| saves(code, call))?.line)));
    let remedy = "SageMaker keeps what is in the folder that SM_MODEL_DIR names";
    if let Some((code, line)) = first {
        found.push(finding("model-not-kept", code, line, &format!("this is saved where it is lost when the job ends: {remedy}")));
        return;
    }
    let writes =
        |name: &&str| ["save", "dump", "export", "write", "upload"].iter().any(|word| name.to_lowercase().contains(word));
    let writes = package.codes.iter().any(|code| code.names.iter().any(writes));
    if let Some((code, line)) = package.first_call("backward").filter(|_| !writes) {
        found.push(finding("model-not-kept", code, line, &format!("the model is trained and never saved: {remedy}")));
    }
}

/// The names that are set in one place only, and the place of what they are set to.
fn set_once<'a>(code: &Code<'a>) -> BTreeMap<&'a str, Option<Range<usize>>> {
    let mut all = BTreeMap::new();
    for statement in &code.statements {
        let [target, op, ..] = &code.tokens[statement.from..statement.to] else { continue };
        if target.is_name() && op.kind == Kind::Op && op.text.ends_with('=') {
            let value = op.is("=").then_some(statement.from + 2..statement.to);
            all.entry(target.text).and_modify(|before| *before = None).or_insert(value);
        }
    }
    all
}

/// The path that a call writes to, as far as the text shows it; what is filled in is `{…}`.
fn written(code: &Code<'_>, call: &Call<'_>, set_once: &BTreeMap<&str, Option<Range<usize>>>) -> Option<String> {
    let arguments = code.arguments(call);
    let place = |number: usize, names: &[&str]| {
        let named = arguments.iter().find(|argument| argument.name.is_some_and(|name| names.contains(&name)));
        named.or_else(|| arguments.get(number).filter(|argument| argument.name.is_none()))
    };
    let path = match code.path(call).as_str() {
        "torch.save" | "torch.jit.save" => place(1, &["f"]),
        "joblib.dump" => place(1, &["filename"]),
        "np.save" | "numpy.save" | "np.savez" | "np.savetxt" | "numpy.savetxt" => place(0, &["file", "fname"]),
        "open" => place(0, &["file"])
            .filter(|_| place(1, &["mode"]).and_then(Argument::text).is_some_and(|mode| mode.contains(['w', 'a', 'x']))),
        path if [".savefig", ".to_csv", ".save_weights"].iter().any(|end| path.ends_with(end)) => {
            place(0, &["fname", "path_or_buf", "filepath"])
        }
        _ => None,
    }?;
    shown(code, path.at..path.at + path.value.len(), set_once, 4)
}

/// The text of a path: a string, `os.path.join(…)` of strings, or a name that is set once, to one of these.
fn shown(code: &Code<'_>, value: Range<usize>, set_once: &BTreeMap<&str, Option<Range<usize>>>, depth: u32) -> Option<String> {
    match &code.tokens[value.clone()] {
        [text] if text.is_text() => match text.kind {
            Kind::Text { formatted: true, .. } => Some(text.text.to_owned()),
            _ => Some(text.text.replace(['{', '}'], "_")),
        },
        [name] if name.is_name() && depth > 0 => shown(code, set_once.get(name.text)?.clone()?, set_once, depth - 1),
        [os, _, path, _, join, open, ..]
            if os.is("os") && path.is("path") && join.is("join") && open.partner + 1 == value.end =>
        {
            let open = value.start + 5;
            let call = Call { name: "join", at: open - 1, open, close: value.end - 1, line: join.line };
            let parts = code.arguments(&call).into_iter().map(|part| {
                let range = part.at..part.at + part.value.len();
                shown(code, range, set_once, depth.saturating_sub(1)).unwrap_or_else(|| "{}".to_owned())
            });
            Some(parts.collect::<Vec<_>>().join("/"))
        }
        _ => None,
    }
}

/// The folder that must be there for a path, if it is one that a script would have to make.
fn folder_of(path: &str) -> Option<String> {
    let known = path.split('{').next().unwrap_or_default();
    let (folder, _) = known.rsplit_once('/')?;
    let folder = folder.trim_start_matches("./").trim_end_matches('/');
    let made_elsewhere = folder.is_empty()
        || folder == "."
        || folder.starts_with("..")
        || folder.starts_with('~')
        || folder.contains(':')
        || folder.starts_with("/opt/ml");
    let of_the_system = folder.starts_with('/') && folder.matches('/').count() == 1;
    (!made_elsewhere && !of_the_system).then(|| folder.to_owned())
}

/// The folders that something in the scripts makes.
struct Made<'a> {
    /// Some are not known: their names are put together elsewhere.
    unknown: bool,
    folders: BTreeSet<&'a str>,
}

impl<'a> Made<'a> {
    fn of(package: &Package<'a>) -> Self {
        const MAKERS: &[&str] =
            &["makedirs", "mkdir", "mkdirs", "makedir", "ensure_dir", "create_dir", "copytree", "extractall", "unpack_archive"];
        let mut made = Self { unknown: package.says(&["mkdir", "unzip", "tar "]), folders: BTreeSet::new() };
        for code in &package.codes {
            for call in code.calls().filter(|call| MAKERS.contains(&call.name)) {
                // `Path("folder").mkdir()` has it before the name.
                let tokens = &code.tokens[call.at.saturating_sub(4)..call.close.max(call.at)];
                let texts = tokens.iter().filter(|token| token.is_text()).map(|token| token.text.trim_start_matches("./"));
                let before = made.folders.len();
                made.folders.extend(texts);
                made.unknown |= made.folders.len() == before && !tokens.iter().any(Token::is_text);
            }
        }
        made
    }

    /// Whether that folder or one inside it is among them, or may be.
    fn may_hold(&self, folder: &str) -> bool {
        self.unknown || self.folders.range(folder..).next().is_some_and(|made| made.starts_with(folder))
    }
}
