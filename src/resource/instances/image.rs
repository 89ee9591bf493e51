//! Images to start from: by id, by name, or by the parameter under which AWS publishes the newest.

use aws_sdk_ec2::types::{Filter, Image as Described, PlatformValues};

use super::invalid;
use crate::aws::{Aws, Mode, fault};
use crate::model::{Failure, FailureKind, Offer, Safe};

/// What `RunInstances` takes in the place of an id: the path of a public parameter of Systems Manager.
pub(super) const PARAMETER: &str = "resolve:ssm:";
/// The current deep learning images for PyTorch, all by AWS. Only those of Amazon and of the account itself are looked at: of
/// others, anybody may give an image such a name.
const CURRENT: &str = "Deep Learning*PyTorch*";
const MEMO: &str = "images";
const OFFERED: &str = "offered images";

/// An image, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// What `RunInstances` is given: an id, or the path of a parameter.
    pub id: String,
    /// Its name; the path where no more is known.
    pub name: String,
    pub architecture: Option<String>,
    /// `YYYY-MM-DDThh:mm:ss…`
    pub created: String,
    /// Of its root volume's snapshot, in GiB: the least that the volume may have.
    pub snapshot_gb: Option<i32>,
    pub root_device: String,
    pub windows: bool,
    parameter: Option<String>,
}

/// What a text in the field `image` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    There(Image),
    /// AWS has withdrawn it; this one comes next to it, and what is different about it.
    Gone {
        successor: Box<Image>,
        why: String,
    },
}

impl Image {
    fn of(image: &Described) -> Self {
        let root = image.root_device_name().unwrap_or("/dev/sda1");
        let devices = image.block_device_mappings();
        let disk = devices.iter().find(|device| device.device_name() == Some(root)).and_then(|device| device.ebs());
        Self {
            id: image.image_id().unwrap_or_default().to_owned(),
            name: image.name().unwrap_or_default().to_owned(),
            architecture: image.architecture().map(|kind| kind.as_str().to_owned()),
            created: image.creation_date().unwrap_or_default().to_owned(),
            snapshot_gb: disk.and_then(aws_sdk_ec2::types::EbsBlockDevice::volume_size),
            root_device: root.to_owned(),
            windows: image.platform() == Some(&PlatformValues::Windows),
            parameter: image.public_ssm_parameter_name().map(str::to_owned),
        }
    }

    /// The user that logs in, by the family of the image (EC2 User Guide, "Manage system users on your Linux instance").
    pub fn user(&self) -> &'static str {
        let name = self.name.to_lowercase();
        if name.contains("ubuntu") {
            "ubuntu"
        } else if name.contains("debian") {
            "admin"
        } else {
            "ec2-user"
        }
    }

    /// One that no service has told of.
    #[cfg(test)]
    pub fn for_test(name: &str, architecture: &str, snapshot_gb: Option<i32>) -> Self {
        Self {
            id: "ami-0123456789abcdef0".to_owned(),
            name: name.to_owned(),
            architecture: Some(architecture.to_owned()),
            created: String::new(),
            snapshot_gb,
            root_device: "/dev/sda1".to_owned(),
            windows: false,
            parameter: None,
        }
    }

    /// As a row to pick: what it brings, its system, its day, its size, its whole name.
    fn offer(&self) -> Offer {
        let brings = match (version_of(&self.name), self.name.contains("TensorFlow")) {
            (Some(version), _) => format!("PyTorch {version}"),
            (None, true) => "TensorFlow".to_owned(),
            (None, false) => "no framework".to_owned(),
        };
        let arm = if self.architecture.as_deref() == Some("arm64") { " arm64" } else { "" };
        let system = system_of(&self.name).map_or_else(|| "–".to_owned(), |(kind, release)| format!("{kind} {release}{arm}"));
        let size = self.snapshot_gb.map_or_else(|| "–".to_owned(), |size| format!("{size} GB"));
        let day = self.created.get(..10).unwrap_or("–");
        Offer {
            value: self.name.clone(),
            also: self.parameter.as_ref().map(|path| format!("{PARAMETER}{path}")),
            about: [brings.as_str(), &system, day, &size, &self.name].map(Safe::line).to_vec(),
        }
    }

    /// Its name without the day at the end.
    pub fn kind(&self) -> &str {
        let day = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        self.name.rsplit_once(' ').filter(|(_, last)| day(last)).map_or(self.name.as_str(), |(kind, _)| kind)
    }
}

/// The current deep learning images with PyTorch, newest first; asked once.
pub(super) async fn current(aws: &Aws) -> Result<Vec<Image>, Failure> {
    if let Some(known) = aws.memo(MEMO, |known: &mut Option<Vec<Image>>| known.clone()) {
        return Ok(known);
    }
    let images = by_name(aws, CURRENT).await?;
    aws.memo(MEMO, |known: &mut Option<Vec<Image>>| *known = Some(images.clone()));
    Ok(images)
}

/// A list to pick from: of each kind of deep learning image the newest; those with the framework of the project first, among
/// them the newest.
///
/// # Errors
/// As the service says.
pub(super) async fn offers(aws: &Aws, framework: &str) -> Result<Vec<Offer>, Failure> {
    let mut images = match aws.memo(OFFERED, |known: &mut Option<Vec<Image>>| known.clone()) {
        Some(known) => known,
        None => by_names(aws, &[CURRENT, "Deep Learning*TensorFlow*", "Deep Learning*Base*"]).await?,
    };
    aws.memo(OFFERED, |known: &mut Option<Vec<Image>>| *known = Some(images.clone()));
    let framework = framework.to_lowercase();
    // Stable: they are sorted by age already.
    images.sort_by_key(|image| !image.name.to_lowercase().contains(&framework));
    Ok(kinds(&images).into_iter().map(Image::offer).collect())
}

/// Of each kind the first.
fn kinds(images: &[Image]) -> Vec<&Image> {
    let mut kinds: Vec<&Image> = Vec::new();
    for image in images {
        if !kinds.iter().any(|known| known.kind() == image.kind()) {
            kinds.push(image);
        }
    }
    kinds
}

/// Finds out which image a text means.
///
/// # Errors
/// `image: …` when there is none and nothing comes near, or as the service says.
pub(super) async fn resolve(aws: &Aws, text: &str) -> Result<Found, Failure> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix(PARAMETER) {
        return Ok(Found::There(by_parameter(aws, text, path).await?));
    }
    if text.starts_with("ami-") {
        return by_id(aws, text).await.map(Found::There);
    }
    if let Some(newest) = by_name(aws, text).await?.into_iter().next() {
        return Ok(Found::There(newest));
    }
    let current = current(aws).await?;
    if let Some((successor, why)) = successor(text, &current) {
        return Ok(Found::Gone { successor: Box::new(successor.clone()), why });
    }
    let newest = current.first().map_or_else(String::new, |image| format!("take e.g. {}", image.name));
    Err(invalid(&format!("image: {} has no image of the name '{text}'", aws.region()), &newest))
}

/// What an image's id leads to.
///
/// # Errors
/// `image: …` when there is none, or as the service says.
pub(super) async fn by_id(aws: &Aws, id: &str) -> Result<Image, Failure> {
    let asked = aws.ec2.describe_images().image_ids(id).send().await;
    let answer = asked.map_err(|error| match fault::tell("looking for the image", &error) {
        failure if matches!(failure.kind, FailureKind::NotFound | FailureKind::Invalid) => missing(aws, id),
        failure => failure,
    })?;
    answer.images().first().map(Image::of).ok_or_else(|| missing(aws, id))
}

fn missing(aws: &Aws, id: &str) -> Failure {
    invalid(
        &format!("image: there is no {id} in {}, or this account may not use it", aws.region()),
        "each region has ids of its own; take an image by its name, or by resolve:ssm:… of its parameter",
    )
}

/// By a name, in which `*` and `?` stand for others; newest first.
async fn by_name(aws: &Aws, name: &str) -> Result<Vec<Image>, Failure> {
    by_names(aws, &[name]).await
}

/// By any of these names; newest first.
async fn by_names(aws: &Aws, names: &[&str]) -> Result<Vec<Image>, Failure> {
    let names = names.iter().fold(Filter::builder().name("name"), |filter, name| filter.values(*name)).build();
    let available = Filter::builder().name("state").values("available").build();
    let call = aws.ec2.describe_images().owners("amazon").owners("self").filters(names).filters(available);
    let answer = call.send().await.map_err(|error| fault::tell("looking for images", &error))?;
    let mut images: Vec<Image> = answer.images().iter().map(Image::of).collect();
    images.sort_by(|a, b| (&b.created, &b.name).cmp(&(&a.created, &a.name)));
    Ok(images)
}

/// By the path of a parameter. EC2 resolves it itself; what it leads to is told by the image that names the path, or guessed
/// from the path's words. Of any other parameter nothing is known beforehand.
async fn by_parameter(aws: &Aws, text: &str, path: &str) -> Result<Image, Failure> {
    let current = current(aws).await?;
    if let Some(named) = current.iter().find(|image| image.parameter.as_deref() == Some(path)) {
        return Ok(named.clone());
    }
    if aws.mode() == Mode::Local {
        // Its region knows of each image which parameter leads to it, and of no other parameters.
        let named = by_name(aws, "*").await?.into_iter().find(|image| image.parameter.as_deref() == Some(path));
        return named.ok_or_else(|| {
            invalid(
                &format!("image: no parameter '{path}' leads to an image in {}", aws.region()),
                "take an image by its name, or correct the path",
            )
        });
    }
    // assumed: `…/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id` is the newest image with these words.
    let of = |image: &&Image| {
        version_of(&image.name).zip(system_of(&image.name)).is_some_and(|(version, (system, release))| {
            let words = path.to_lowercase();
            let system = if system == "Ubuntu" { format!("ubuntu-{release}") } else { format!("amazon-linux-{release}") };
            words.contains(&format!("pytorch-{version}-")) && words.contains(&system)
        })
    };
    let unknown = Image {
        id: text.to_owned(),
        name: path.to_owned(),
        architecture: None,
        created: String::new(),
        snapshot_gb: None,
        root_device: "/dev/sda1".to_owned(),
        windows: false,
        parameter: Some(path.to_owned()),
    };
    // Its own id is not taken: which one the parameter leads to only EC2 knows.
    Ok(current.iter().find(of).map_or(unknown, |image| Image { id: text.to_owned(), ..image.clone() }))
}

/// The image that comes nearest to a deep learning image that has been withdrawn: of the same system, with the lowest version
/// of PyTorch that is not older, else the newest there is. With what will be different.
fn successor<'a>(gone: &str, current: &'a [Image]) -> Option<(&'a Image, String)> {
    let lower = gone.to_lowercase();
    if !lower.contains("deep learning") {
        return None;
    }
    let (version, system) = (version_of(gone), system_of(gone));
    let wanted = version.as_deref().map(numbers).unwrap_or_default();
    let arm = lower.contains("arm64");
    let nearness = |image: &&Image| {
        let there = version_of(&image.name).as_deref().map(numbers).unwrap_or_default();
        let (kind, release) = system_of(&image.name).unwrap_or_default();
        let older = there < wanted;
        let far: Vec<i64> = if older { there.iter().map(|part| -part).collect() } else { there };
        let (wanted_kind, wanted_release) = system.clone().unwrap_or_default();
        let newer = numbers(&release) < numbers(&wanted_release);
        ((image.architecture.as_deref() == Some("arm64")) != arm, kind != wanted_kind, older, far, newer, numbers(&release))
    };
    let best = current.iter().min_by_key(nearness)?;
    let mut why = vec![format!("AWS has withdrawn '{gone}'; the nearest that is there is '{}'", best.name)];
    if let (Some(old), Some(new)) = (&version, version_of(&best.name))
        && *old != new
    {
        why.push(format!("PyTorch {new} instead of {old}"));
    }
    if let (Some((_, old)), Some((kind, new))) = (&system, system_of(&best.name))
        && *old != new
    {
        why.push(format!("{kind} {new} instead of {old}"));
    }
    // DLAMI release notes: from 2.6 on there is a virtual environment in /opt/pytorch, and no conda.
    if version_of(&best.name).is_some_and(|new| numbers(&new) >= vec![2, 6]) && wanted < vec![2, 6] {
        why.push("its PyTorch is in the virtual environment /opt/pytorch, not in conda".to_owned());
    }
    Some((best, why.join("; ")))
}

/// `1.13.1` of `… PyTorch 1.13.1 (Ubuntu 20.04) …`.
fn version_of(name: &str) -> Option<String> {
    let (_, rest) = name.split_once("PyTorch ")?;
    let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    (!version.is_empty()).then_some(version)
}

/// `Ubuntu` and `20.04`, or `Amazon Linux` and `2023`.
fn system_of(name: &str) -> Option<(String, String)> {
    let kind = ["Ubuntu", "Amazon Linux"].into_iter().find(|kind| name.contains(kind))?;
    let rest = name.split_once(kind)?.1.trim_start();
    Some((kind.to_owned(), rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()))
}

fn numbers(version: &str) -> Vec<i64> {
    version.split('.').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, created: &str) -> Image {
        Image { created: created.to_owned(), ..Image::for_test(name, "x86_64", Some(75)) }
    }

    #[test]
    fn the_seeds_image_has_a_successor_and_it_is_said_what_differs() {
        let current = [
            image("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.12 (Ubuntu 24.04) 20261106", "20261106"),
            image("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04) 20261030", "20261030"),
            image("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Amazon Linux 2023) 20261030", "20261030"),
            image("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 1.9 (Ubuntu 20.04) 20230101", "20230101"),
        ];
        let gone = "Deep Learning AMI GPU PyTorch 1.13.1 (Ubuntu 20.04) 20230315";
        let (best, why) = successor(gone, &current).unwrap();
        assert_eq!(best.name, current[1].name);
        assert!(
            why.contains("withdrawn") && why.contains("PyTorch 2.7 instead of 1.13.1") && why.contains("/opt/pytorch"),
            "{why}"
        );
        let amazon = successor("Deep Learning AMI GPU PyTorch 1.13.1 (Amazon Linux 2) 20230315", &current).unwrap().0;
        assert_eq!(amazon.name, current[2].name);
        assert!(successor("my own image", &current).is_none() && successor(gone, &[]).is_none());
    }

    #[test]
    fn a_name_tells_the_user_and_the_kind() {
        let ubuntu = image("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04) 20261030", "1");
        assert_eq!(
            (ubuntu.user(), ubuntu.kind()),
            ("ubuntu", "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04)")
        );
        assert_eq!(image("al2023-ami-2023.9 x86_64", "1").user(), "ec2-user");
        let twice = [ubuntu.clone(), image("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04) 20261001", "0")];
        assert_eq!(kinds(&twice).iter().map(|image| image.name.as_str()).collect::<Vec<_>>(), [ubuntu.name.as_str()]);
        let offer = ubuntu.offer();
        assert_eq!(offer.about[..2].iter().map(Safe::as_str).collect::<Vec<_>>(), ["PyTorch 2.7", "Ubuntu 22.04"]);
        assert!(offer.fits("2.7 ubuntu") && offer.fits("Deep Learning*22.04*") && !offer.fits("2.8"));
    }
}
