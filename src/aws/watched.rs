//! Credentials under watch. Session keys are renewed while we run, and a profile may meanwhile lead to somebody else (a
//! `aws sso login` to another account, an edited file). New keys are asked who they are before they are used; when that is
//! not who we were, nothing is changed any more: what is on the screen belongs to another account.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::guard::Guard;
use super::{deadline, fault};

pub(super) struct Watched {
    inner: SharedCredentialsProvider,
    /// To ask STS with, without credentials.
    settings: SdkConfig,
    guard: Guard,
    /// The access key that was handed over last.
    key: Mutex<Option<String>>,
}

impl Watched {
    pub fn new(inner: SharedCredentialsProvider, settings: SdkConfig, guard: Guard) -> Self {
        Self { inner, settings, guard, key: Mutex::default() }
    }

    async fn provide(&self) -> Result<Credentials, CredentialsError> {
        let found = self.inner.provide_credentials().await?;
        let before = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if before.is_some_and(|before| before != found.access_key_id()) {
            self.compare(&found).await?;
        }
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.access_key_id().to_owned());
        Ok(found)
    }

    async fn compare(&self, renewed: &Credentials) -> Result<(), CredentialsError> {
        let settings = aws_sdk_sts::config::Builder::from(&self.settings)
            .credentials_provider(renewed.clone())
            .timeout_config(deadline::client("STS"))
            .interceptor(self.guard.clone())
            .build();
        let asked = aws_sdk_sts::Client::from_conf(settings).get_caller_identity().send().await;
        let who =
            asked.map_err(|error| CredentialsError::provider_error(fault::tell("asking whose the new keys are", &error)))?;
        self.guard.met(who.arn().unwrap_or_default());
        Ok(())
    }
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_config::{BehaviorVersion, Region};
    use aws_smithy_runtime_api::client::http::SharedHttpClient;

    use super::super::guard::Rules;
    use super::super::scripted::{Notes, Scripted};
    use super::super::{Mode, with_order};
    use super::*;

    /// Hands out `AKIA0`, `AKIA1`, …, one at each call.
    #[derive(Debug, Default)]
    struct Renewing(AtomicUsize);

    impl ProvideCredentials for Renewing {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::SeqCst);
            future::ProvideCredentials::ready(Ok(Credentials::new(format!("AKIA{number}"), "s", None, None, "test")))
        }
    }

    #[tokio::test]
    async fn keys_of_somebody_else_freeze_all_changes() {
        // The second keys are the same role in another session; the third are another account's.
        let http = Scripted::new(|asked| {
            let other = asked.header("authorization").is_some_and(|signed| signed.contains("AKIA2/"));
            let account = if other { "222222222222" } else { "111111111111" };
            let arn = format!("arn:aws:sts::{account}:assumed-role/Trainer/later");
            let body = format!(
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>u</UserId><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            );
            (200, body.into_bytes())
        });
        let guard = Guard::new(Rules {
            mode: Mode::Local,
            region: "us-east-1".into(),
            read_only: false,
            ledger: Some(Arc::new(Notes::default())),
            local_endpoint: None,
            allow_loopback: false,
        });
        guard.met("arn:aws:sts::111111111111:assumed-role/Trainer/first");
        let settings = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:9")
            .http_client(SharedHttpClient::new(http.clone()))
            .build();
        let watched = Watched::new(SharedCredentialsProvider::new(Renewing::default()), settings, guard.clone());
        let may = || with_order("o".into(), async { guard.allow("SageMaker", "CreateTrainingJob").is_ok() });
        watched.provide_credentials().await.unwrap();
        assert!(http.operations().is_empty(), "the first keys are asked by the identity call");
        watched.provide_credentials().await.unwrap();
        assert!(http.operations().len() == 1 && may().await, "a renewed session of the same role");
        watched.provide_credentials().await.unwrap();
        assert!(!may().await);
        assert!(guard.allow("SageMaker", "ListTrainingJobs").is_ok(), "looking is still allowed");
    }
}
