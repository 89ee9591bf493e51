//! The data of a run: got ready once on the instance, in a folder of its own that runs share, and linked to where the script
//! runs. What is got is known by where it is from and how large it is.

mod archive;
mod send;

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::place::stays_inside;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::sourcedir::is_excluded;
use crate::aws::{Aws, bucket};
use crate::model::{Failure, FailureKind, ItemId, Progress, Safe, command, show};
use crate::resource::line::Line;

/// Looks while it is fetched.
const LOOK: std::time::Duration = std::time::Duration::from_millis(400);

/// Where data is from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// `http://` or `https://`.
    Web(String),
    S3(S3Uri),
    /// A file or folder of this machine.
    Here(PathBuf),
}

/// How what arrives is made into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    /// One file, as it is.
    Plain,
    /// Many objects of S3.
    Folder,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::Plain => "plain",
            Self::Folder => "folder",
        }
    }

    /// By the ending of the name.
    fn of(name: &str) -> Self {
        let name = name.to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".zip"]) {
            Self::Zip
        } else if ends(&[".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]) {
            Self::Tar
        } else {
            Self::Plain
        }
    }
}

/// Whether an instance gets at S3.
#[derive(Debug)]
enum Reach {
    /// With `aws` at this path; where that is empty, with boto3 in the run's environment.
    Itself(String),
    /// And why not.
    Not(String),
}

/// A data set that is being got ready.
pub(super) struct Getting<'a> {
    pub aws: &'a Aws,
    pub line: &'a Line,
    /// The data as the project or the form names it.
    pub named: &'a str,
    pub instance: &'a ItemId,
    /// An interpreter there, for where unzip is missing.
    pub python: &'a str,
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Source {
    /// Reads what the project or the form says; paths are relative to `root`.
    ///
    /// # Errors
    /// With what is wrong with it and how to write it.
    pub fn parse(text: &str, root: &Path) -> Result<Self, String> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let host = text.split("://").nth(1).unwrap_or_default();
            let sound =
                !host.is_empty() && !host.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
            return if sound {
                Ok(Self::Web(text.to_owned()))
            } else {
                Err(format!("'{text}' is no address; it looks like https://host/data.zip"))
            };
        }
        if text.starts_with("s3://") {
            return S3Uri::parse(text)
                .map(Self::S3)
                .ok_or_else(|| format!("'{text}' is no S3 address; it looks like s3://bucket/folder/ or s3://bucket/data.zip"));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("{scheme}:// cannot be fetched; write https://…, s3://…, or a folder or file of the project"));
        }
        Ok(Self::Here(root.join(text)))
    }

    /// What there is to say of it before anything is done.
    ///
    /// # Errors
    /// When it is on this machine and is not there.
    pub fn look(&self) -> Result<String, Failure> {
        match self {
            Self::Web(url) => Ok(format!("{url}, fetched on the instance")),
            Self::S3(uri) => Ok(format!("{uri}, fetched on the instance, or through this machine where it has no credentials")),
            Self::Here(path) => {
                let found = Found::at(path)?;
                if path.is_file() {
                    archive::look(path)?;
                }
                Ok(format!("{} in {}, sent from this machine", show::size(found.bytes), counted(found.files.len() as u64)))
            }
        }
    }
}

/// What lies at a path of this machine.
struct Found {
    /// Relative to the path; empty for the path itself when that is a file.
    files: Vec<PathBuf>,
    bytes: u64,
    /// Seconds since 1970 of the youngest change.
    changed: u64,
}

impl Found {
    fn at(path: &Path) -> Result<Self, Failure> {
        let missing = |error: std::io::Error| {
            let hint = "data is https://…, s3://…, or a folder or file of the project";
            Failure::new(FailureKind::Invalid, format!("data: {}: {error}", path.display()), hint)
        };
        let mut found = Self { files: Vec::new(), bytes: 0, changed: 0 };
        let mut left = vec![PathBuf::new()];
        while let Some(below) = left.pop() {
            let at = if below.as_os_str().is_empty() { path.to_owned() } else { path.join(&below) };
            let about = std::fs::metadata(&at).map_err(missing)?;
            if about.is_dir() {
                for entry in std::fs::read_dir(&at).map_err(missing)? {
                    let entry = entry.map_err(missing)?;
                    // A link to a folder could go in circles.
                    let linked = entry.file_type().map_err(missing)?.is_symlink() && entry.path().is_dir();
                    if !linked && !is_excluded(&entry.file_name().to_string_lossy()) {
                        left.push(below.join(entry.file_name()));
                    }
                }
            } else if about.is_file() {
                let changed = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                found.bytes += about.len();
                found.changed = found.changed.max(changed.map_or(0, |age| age.as_secs()));
                found.files.push(below);
            }
        }
        if found.files.is_empty() {
            let hint = "put the data there, or name another folder";
            return Err(Failure::new(FailureKind::Invalid, format!("data: there are no files in {}", path.display()), hint));
        }
        found.files.sort();
        Ok(found)
    }
}

/// Gets the data ready and links it into `code`, the folder where the script runs, relative to the home folder. Says what
/// was done.
///
/// # Errors
/// With the remedy: no such address, a broken archive, a full disk, no unzip. What has arrived is kept, and the next launch
/// goes on with it; of a disk that is full, as much is given back as others need to go on.
pub(super) async fn provide(getting: &Getting<'_>, source: &Source, code: &str) -> Result<String, Failure> {
    let (key, said) = match source {
        Source::Web(url) => getting.web(url).await?,
        Source::S3(uri) => getting.s3(uri).await?,
        Source::Here(path) => getting.here(path).await?,
    };
    let linked = getting.line.told("linking the data", include_str!("scripts/link.sh"), &[&key, code], None).await?;
    Ok(format!("{said}: {}", linked.trim()))
}

impl Getting<'_> {
    async fn web(&self, url: &str) -> Result<(String, String), Failure> {
        let size = self.line.told("asking for the data's size", include_str!("scripts/size.sh"), &[url], None).await?;
        let size = size.trim().parse::<u64>().ok();
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let name = path.rsplit('/').next().filter(|name| stays_inside(name)).unwrap_or("data");
        let key = key(name, url, size);
        let was = self.fetched(&key, size, &[url, Kind::of(name).word(), name, self.python]).await?;
        Ok((key, said(was, size, "fetched on the instance")))
    }

    async fn s3(&self, uri: &S3Uri) -> Result<(String, String), Failure> {
        let mut objects = bucket::objects(self.aws, uri).await?;
        // `s3://bucket/folder` without a slash may be an object or a folder.
        let whole = !uri.is_folder() && objects.iter().any(|object| object.key == uri.key);
        let folder = if uri.is_folder() { uri.clone() } else { S3Uri::new(&uri.bucket, format!("{}/", uri.key)) };
        objects.retain(|object| {
            if whole { object.key == uri.key } else { object.key.starts_with(&folder.key) && !object.key.ends_with('/') }
        });
        if objects.is_empty() {
            let hint = format!("{} shows what is there", command("ls data"));
            return Err(Failure::new(FailureKind::NotFound, format!("data: there is nothing at {uri}"), hint));
        }
        let size: u64 = objects.iter().map(|object| object.size).sum();
        let from = if whole { uri.clone() } else { folder };
        let kind = if whole { Kind::of(uri.name()) } else { Kind::Folder };
        // A whole bucket is no folder of that name, but what is in it.
        let name = if from.is_bucket() { "." } else { from.name() };
        let mark = objects.iter().map(|object| format!("{} {}", object.key, object.etag)).collect::<Vec<_>>().join("\n");
        let key = key(from.name(), &format!("{from}\n{mark}"), Some(size));
        let why = match self.reach().await? {
            Reach::Itself(aws) => {
                let words = [&from.to_string(), kind.word(), name, self.python, &aws];
                match self.fetched(&key, Some(size), &words).await {
                    // Its role may not read this: then it comes by way of here.
                    Err(failure) if failure.kind == FailureKind::NotFound => failure.what.to_string(),
                    other => {
                        let how = if aws.is_empty() { "boto3" } else { "aws" };
                        return Ok((key, said(other?, Some(size), &format!("fetched from S3 on the instance, by {how}"))));
                    }
                }
            }
            Reach::Not(why) => why,
        };
        let was = self.through_here(&key, &from, kind, name, size).await?;
        Ok((key, said(was, Some(size), &format!("fetched from S3 through this machine ({why})"))))
    }

    /// Whether the instance can fetch from S3 itself, with credentials of its own.
    async fn reach(&self) -> Result<Reach, Failure> {
        let ran = self.line.script(include_str!("scripts/reach.sh"), &[self.python], None).await?;
        let told = String::from_utf8_lossy(&ran.out).into_owned();
        Ok(match told.trim_end().split_once('\t') {
            Some(("aws", path)) => Reach::Itself(path.to_owned()),
            Some(("boto3", _)) => Reach::Itself(String::new()),
            Some(("none", why)) => Reach::Not(why.to_owned()),
            _ => Reach::Not("the instance does not tell how it could itself".to_owned()),
        })
    }

    /// Has the instance get it ready, and waits. Whether it was there already.
    async fn fetched(&self, key: &str, size: Option<u64>, arguments: &[&str]) -> Result<bool, Failure> {
        let total = size.map(|size| size.to_string()).unwrap_or_default();
        let place = "mkdir -p \"$HOME/footplate/data/$1\" && cd \"$HOME/footplate/data/$1\" && cat > fetch.sh.$$ && mv fetch.sh.$$ fetch.sh && { [ -z \"$2\" ] || echo \"$2\" > total; }";
        self.line
            .told("making room for the data", place, &[key, &total], Some(include_bytes!("scripts/fetch.sh").to_vec()))
            .await?;
        let mut asked = 0u32;
        loop {
            let mut words = vec![key];
            words.extend((asked == 0).then_some("first"));
            words.extend(arguments);
            let told = self.line.told("fetching the data", include_str!("scripts/fetching.sh"), &words, None).await?;
            match told.trim_end_matches('\n').split('\t').collect::<Vec<_>>()[..] {
                ["there", ..] => return Ok(asked == 0),
                ["ready", ..] => return Ok(false),
                ["failed", _, why] => {
                    return Err(broken(self.named, &String::from_utf8_lossy(&STANDARD.decode(why).unwrap_or_default())));
                }
                ["busy", have, doing] => {
                    let doing = if doing == "unpacking" { "data: unpacking" } else { "data: fetching on the instance" };
                    let done = have.parse().unwrap_or(0);
                    let total = size.filter(|size| *size >= done).unwrap_or(0);
                    (self.progress)(Progress { said: Safe::line(doing), done, total });
                }
                _ => {
                    return Err(Failure::new(
                        FailureKind::Service,
                        format!("fetching the data: the instance said '{}'", told.trim()),
                        "launch again to go on",
                    ));
                }
            }
            asked += 1;
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// `1 file`, `8,351 files`.
pub(super) fn counted(files: u64) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{} files", show::grouped(files)) }
}

/// A folder's name for a data set: what people call it, what tells it from others, its size.
fn key(name: &str, from: &str, size: Option<u64>) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' }).take(40).collect();
    let plain = plain.trim_start_matches(['.', '-']);
    let hash = hex::encode(&Sha256::digest(from.as_bytes())[..5]);
    let size = size.map_or_else(|| "any".to_owned(), |size| size.to_string());
    format!("{}-{hash}-{size}", if plain.is_empty() { "data" } else { plain })
}

fn said(was: bool, size: Option<u64>, how: &str) -> String {
    let size = size.map_or_else(String::new, |size| format!("{}, ", show::size(size)));
    if was { format!("{size}there already") } else { format!("{size}{how}") }
}

/// What `fetch.sh` says of an archive without files.
const EMPTY: &str = "there is nothing in it";

/// What the instance says of a data set that it could not get ready: a word, then what the tool said.
fn broken(named: &str, why: &str) -> Failure {
    let (word, said) = why.split_once('\n').unwrap_or((why, ""));
    let said = said.trim().replace('\n', "; ");
    let free = format!(
        "free some of it ({}, or ~/footplate/data in a terminal), or launch an instance with more storage",
        command("delete runs INSTANCE/RUN")
    );
    let (kind, what, hint) = match word {
        "disk" => (FailureKind::Quota, format!("data: the instance's disk is too small: {said}"), free.as_str()),
        "tools" => (
            FailureKind::Machine,
            format!("data: on the instance, {said}"),
            "install it in a terminal (s), e.g. sudo apt-get install unzip wget; then launch again",
        ),
        "archive" => (
            FailureKind::Invalid,
            if said == EMPTY { format!("data: {named}: {EMPTY}") } else { archive::incomplete(named) },
            if named.contains("://") {
                "see that the address gives the whole archive and not a web page; the next launch fetches it anew"
            } else {
                archive::REMEDY
            },
        ),
        _ => (
            FailureKind::NotFound,
            format!("data: it cannot be fetched on the instance: {said}"),
            "see that the address is right and that the instance may reach it; then launch again, which goes on where it broke off",
        ),
    };
    Failure::new(kind, what, hint)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::aws::scripted::Scripted;
    use crate::resource::line;

    /// `aws` as far as it is asked here, over a folder that plays S3: who one is, and what is copied.
    const AWS: &str = r#"#!/bin/bash
echo "$@" >> "$HOME/asked"
[ -e "$HOME/denied" ] && { echo 'fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden' >&2; exit 1; }
case "$1 $2" in
    'sts get-caller-identity') exit 0 ;;
    's3 sync') cp -r "$HOME/s3/${4#s3://}." "$5" ;;
    's3 cp') cp "$HOME/s3/${4#s3://}" "$5" ;;
esac
"#;

    /// The scripts that fetch from S3 on the instance, under a real shell; the service is played by a folder.
    #[tokio::test]
    async fn s3_is_fetched_by_the_instance_itself_where_it_may() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path();
        for folder in ["bin", "s3/dogs/train/ada"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        std::fs::write(home.join("bin/aws"), AWS).unwrap();
        std::fs::set_permissions(home.join("bin/aws"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(home.join("s3/dogs/train/ada/1.jpg"), "woof").unwrap();
        let aws = Scripted::new(|_| (400, Vec::new())).connect(false, None).await;
        let instance = ItemId("i-1".into());
        line::hold_here(&aws, &instance, home).await;
        let line = line::line(&aws, &instance).await.unwrap();
        let getting = Getting { aws: &aws, line: &line, named: "s3://dogs/", instance: &instance, python: "", progress: &|_| {} };
        let Reach::Itself(tool) = getting.reach().await.unwrap() else { panic!("it has an aws") };
        assert!(tool.ends_with("bin/aws"), "{tool}");

        let folder = ["s3://dogs/train/", Kind::Folder.word(), "train", "", &tool];
        assert!(!getting.fetched("train-1", Some(4), &folder).await.unwrap());
        assert_eq!(std::fs::read_to_string(home.join("footplate/data/train-1/files/train/ada/1.jpg")).unwrap(), "woof");
        let asked = std::fs::read_to_string(home.join("asked")).unwrap();
        assert!(asked.contains("s3 sync --only-show-errors s3://dogs/train/ new/train"), "{asked}");
        assert!(getting.fetched("train-1", Some(4), &folder).await.unwrap(), "there already");
        let one = ["s3://dogs/train/ada/1.jpg", Kind::Plain.word(), "1.jpg", "", &tool];
        getting.fetched("one-1", Some(4), &one).await.unwrap();
        assert_eq!(std::fs::read_to_string(home.join("footplate/data/one-1/files/1.jpg")).unwrap(), "woof");

        // Whose role may not read it is told so, and it comes by way of here.
        std::fs::write(home.join("denied"), "").unwrap();
        assert!(matches!(getting.reach().await.unwrap(), Reach::Not(why) if why.contains("no credentials")));
        let denied = getting.fetched("two-1", Some(4), &folder).await.unwrap_err();
        assert!(denied.kind == FailureKind::NotFound && denied.what.as_str().contains("Forbidden"), "{denied}");
        assert!(!home.join("footplate/data/two-1/files").exists());
    }
}
