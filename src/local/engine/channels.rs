//! Fills the input channels from S3.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout::HostRoot;
use super::{Broken, Channel, Work};
use crate::local::buckets::{BucketError, Buckets, ObjectInfo};

/// Downloads every channel of every host. Returns early, with what it has, when `stop` is set.
///
/// # Errors
/// An object that cannot be read or written, or a key that is no file name.
pub fn fetch(buckets: &Buckets, work: &Work, hosts: &[HostRoot], stop: &AtomicBool) -> Result<(), Broken> {
    for channel in &work.channels {
        let objects = buckets.list(&channel.from.bucket, &channel.from.key).map_err(|error| unreadable(channel, &error))?;
        for host in hosts {
            for object in share(channel, &objects, host.number, work.hosts) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                fetch_object(buckets, channel, object, &host.channel(&channel.name))?;
            }
        }
    }
    Ok(())
}

/// The objects that one host gets. assumed: `ShardedByS3Key` deals the keys out in order, one to each host in turn; AWS
/// promises only "1/n of the objects" and no order.
fn share<'a>(channel: &Channel, objects: &'a [ObjectInfo], number: u32, hosts: u32) -> impl Iterator<Item = &'a ObjectInfo> {
    let (step, skip) = if channel.sharded { (hosts as usize, number as usize - 1) } else { (1, 0) };
    objects.iter().skip(skip).step_by(step.max(1))
}

fn fetch_object(buckets: &Buckets, channel: &Channel, object: &ObjectInfo, folder: &Path) -> Result<(), Broken> {
    let relative = relative_path(&channel.from.key, &object.key).ok_or_else(|| {
        Broken::client(format_args!(
            "the key {:?} of the channel {} cannot be a file name. Rename the object.",
            object.key, channel.name
        ))
    })?;
    let doing = format!("writing the channel {}", channel.name);
    let path = folder.join(relative);
    if object.key.ends_with('/') {
        return std::fs::create_dir_all(path).map_err(|error| Broken::region(&doing, &error));
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| Broken::region(&doing, &error))?;
    }
    match buckets.fetch(&channel.from.bucket, &object.key, &path) {
        Ok(()) => Ok(()),
        // Deleted since it was listed: AWS reports it in the same way.
        Err(error @ (BucketError::NoSuchKey(_) | BucketError::NoSuchBucket(_))) => Err(unreadable(channel, &error)),
        Err(BucketError::Io(error)) => Err(Broken::region(&doing, &error)),
    }
}

fn unreadable(channel: &Channel, error: &BucketError) -> Broken {
    Broken::client(format_args!("Data download failed: the channel {} at {} cannot be read: {error}", channel.name, channel.from))
}

/// Where an object lies below its channel's folder: the key without the prefix, which may name a folder, a single object
/// or the beginning of names. `None` when the key would lead out of the folder.
fn relative_path(prefix: &str, key: &str) -> Option<PathBuf> {
    let rest = key.strip_prefix(prefix)?;
    let folder_end = prefix.rfind('/').map_or(0, |slash| slash + 1);
    let relative = match rest {
        _ if prefix.is_empty() || prefix.ends_with('/') => rest,
        _ if rest.starts_with('/') => &rest[1..],
        _ => &key[folder_end..],
    };
    let path = PathBuf::from(relative);
    let harmless = path.components().all(|part| matches!(part, Component::Normal(_)));
    (harmless && !relative.contains('\0')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(prefix: &str, key: &str) -> Option<String> {
        relative_path(prefix, key).map(|path| path.display().to_string())
    }

    #[test]
    fn keys_become_paths_below_the_prefix() {
        for (prefix, key, path) in [
            ("", "train/1.png", "train/1.png"),
            ("data/", "data/1.png", "1.png"),
            ("data", "data/a/1.png", "a/1.png"),
            ("data/one.csv", "data/one.csv", "one.csv"),
            ("data/tr", "data/train/1.png", "train/1.png"),
        ] {
            assert_eq!(relative(prefix, key).as_deref(), Some(path), "{prefix} {key}");
        }
    }

    #[test]
    fn no_key_leads_out_of_the_channel() {
        for (prefix, key) in [("", "../x"), ("a/", "a/../../x"), ("a/", "a//etc/passwd"), ("", "a\0b")] {
            assert_eq!(relative(prefix, key), None, "{key:?}");
        }
    }

    #[test]
    fn sharding_gives_each_object_to_one_host() {
        let objects: Vec<ObjectInfo> = (0..10).map(|n| ObjectInfo { key: n.to_string(), size: 1 }).collect();
        let mut channel = Channel {
            name: "c".to_owned(),
            from: super::super::S3Place { bucket: "b".to_owned(), key: String::new() },
            sharded: true,
            content_type: None,
            record_wrapper: "None".to_owned(),
        };
        let mut all: Vec<&str> =
            (1..=4).flat_map(|host| share(&channel, &objects, host, 4)).map(|object| object.key.as_str()).collect();
        assert_eq!(share(&channel, &objects, 1, 4).count(), 3);
        all.sort_unstable();
        assert_eq!(all.len(), 10);
        channel.sharded = false;
        assert_eq!(share(&channel, &objects, 3, 4).count(), 10);
    }
}
