//! What models, configurations and endpoints have in common: names, ARNs, and AWS's words about them.

use serde_json::{Value, json};

use super::super::REGION;
use super::super::store::{Document, text};
use super::store::Store;
use crate::local::ACCOUNT;
use crate::local::fault::Fault;

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Model,
    Config,
    Endpoint,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Model, Self::Config, Self::Endpoint];

    /// As in ARNs.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Config => "endpoint-config",
            Self::Endpoint => "endpoint",
        }
    }

    /// As in messages.
    fn words(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Config => "endpoint configuration",
            Self::Endpoint => "endpoint",
        }
    }

    /// The beginning of its members: `ModelName`, `ModelArn`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Config => "EndpointConfig",
            Self::Endpoint => "Endpoint",
        }
    }

    /// AWS writes names in ARNs in lower case (amazon-sagemaker-examples#293), since they are unique without regard to case.
    #[must_use]
    pub fn arn(self, name: &str) -> String {
        format!("arn:aws:sagemaker:{REGION}:{ACCOUNT}:{}/{}", self.path(), name.to_lowercase())
    }

    /// The kind and name in an ARN of ours.
    #[must_use]
    pub fn of_arn(arn: &str) -> Option<(Self, &str)> {
        let rest = arn.strip_prefix("arn:aws:sagemaker:")?.strip_prefix(REGION)?.strip_prefix(':')?;
        let (path, name) = rest.strip_prefix(ACCOUNT)?.strip_prefix(':')?.split_once('/')?;
        Self::ALL.into_iter().find(|kind| kind.path() == path).map(|kind| (kind, name))
    }

    #[must_use]
    pub fn not_found(self, name: &str) -> Fault {
        Fault::validation(format!("Could not find {} \"{}\".", self.words(), self.arn(name)))
    }

    #[must_use]
    pub fn taken(self, name: &str) -> Fault {
        Fault::validation(format!("Cannot create already existing {} \"{}\".", self.words(), self.arn(name)))
    }

    /// The name that a request sends.
    #[must_use]
    pub fn name(self, request: &Document) -> &str {
        text(request, &format!("{}Name", self.prefix()))
    }
}

/// `DescribeX`: the document as it is.
///
/// # Errors
/// An unknown name.
pub fn describe(store: &Store, kind: Kind, request: &Document) -> Result<Value, Fault> {
    let name = kind.name(request);
    Ok(Value::Object(store.get(kind, name)?.ok_or_else(|| kind.not_found(name))?.document))
}

/// `DeleteModel` and `DeleteEndpointConfig`, whatever uses them.
///
/// # Errors
/// An unknown name.
pub fn delete(store: &Store, kind: Kind, request: &Document) -> Result<Value, Fault> {
    let name = kind.name(request);
    if store.delete(kind, name)? { Ok(json!({})) } else { Err(kind.not_found(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_are_read_back() {
        let arn = Kind::Config.arn("My-Config");
        assert_eq!(arn, "arn:aws:sagemaker:us-east-1:000000000000:endpoint-config/my-config");
        assert_eq!(Kind::of_arn(&arn), Some((Kind::Config, "my-config")));
        assert_eq!(Kind::of_arn("arn:aws:sagemaker:us-east-1:000000000000:training-job/a"), None);
        assert_eq!(Kind::of_arn("arn:aws:sagemaker:us-east-1:111111111111:model/a"), None);
        assert_eq!(
            Kind::Endpoint.not_found("a").message,
            "Could not find endpoint \"arn:aws:sagemaker:us-east-1:000000000000:endpoint/a\"."
        );
    }
}
