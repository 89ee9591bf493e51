//! The archive on its way in.

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use super::Source;
use crate::aws::{Aws, fault};
use crate::model::{Failure, FailureKind, Progress, Safe};

/// How often a connection that breaks in the middle is taken up again where it broke.
const TRIES: u32 = 5;
/// Bytes between two words of progress.
const STEP: u64 = 4 << 20;

/// Hands the archive over in chunks until all is there or nobody wants more.
///
/// # Errors
/// When it cannot be read, or has changed meanwhile.
pub(super) async fn fetch(
    aws: &Aws,
    source: &Source,
    chunks: Sender<Bytes>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Failure> {
    let doing = format!("downloading {}", source.at);
    let (mut at, mut told, mut tries) = (0, 0, 0);
    while at < source.size {
        let call = aws.s3.get_object().bucket(&source.at.bucket).key(&source.at.key);
        // The part that comes later must be of the same object.
        let call = call.set_if_match(Some(source.etag.clone()).filter(|etag| !etag.is_empty()));
        let call = call.set_range((at > 0).then(|| format!("bytes={at}-")));
        let mut body = call.send().await.map_err(|error| fault::tell(&doing, &error))?.body;
        let broke = loop {
            match body.next().await {
                Some(Ok(bytes)) => {
                    at += bytes.len() as u64;
                    // It has all it wants, or failed; it says so itself.
                    if chunks.send(bytes).await.is_err() {
                        return Ok(());
                    }
                    if at >= told + STEP || at >= source.size {
                        told = at;
                        progress(Progress { said: Safe::line("repacking the model"), done: at, total: source.size });
                    }
                }
                Some(Err(error)) => break error.to_string(),
                None => break "the connection ended early".to_owned(),
            }
        };
        tries += 1;
        if at < source.size && tries >= TRIES {
            return Err(Failure::new(FailureKind::Network, format!("{doing}: {broke}"), "check the network and try again"));
        }
    }
    Ok(())
}
