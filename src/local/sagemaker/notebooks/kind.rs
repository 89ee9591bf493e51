//! What the five kinds of resources have in common: identity, ARNs, names of members, and AWS's words about them.

use serde_json::Value;

use super::super::REGION;
use super::super::store::{Document, text};
use crate::local::ACCOUNT;
use crate::local::fault::Fault;

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A notebook instance.
    Instance,
    Domain,
    Profile,
    Space,
    App,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Instance, Self::Domain, Self::Profile, Self::Space, Self::App];

    /// As in ARNs.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Instance => "notebook-instance",
            Self::Domain => "domain",
            Self::Profile => "user-profile",
            Self::Space => "space",
            Self::App => "app",
        }
    }

    /// Back from [`Kind::path`].
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.path() == path)
    }

    /// As in messages and in the names of members: `UserProfileName`, `UserProfileArn`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Instance => "NotebookInstance",
            Self::Domain => "Domain",
            Self::Profile => "UserProfile",
            Self::Space => "Space",
            Self::App => "App",
        }
    }

    /// The member that holds its status.
    #[must_use]
    pub fn status_member(self) -> &'static str {
        if self == Self::Instance { "NotebookInstanceStatus" } else { "Status" }
    }

    /// The status that a document has.
    #[must_use]
    pub fn status(self, document: &Document) -> &str {
        text(document, self.status_member())
    }

    /// What tells a resource from others of its kind, from a request or a document.
    #[must_use]
    pub fn id(self, members: &Document) -> String {
        let domain = text(members, "DomainId");
        match self {
            Self::Instance => text(members, "NotebookInstanceName").to_owned(),
            Self::Domain => domain.to_owned(),
            Self::Profile => format!("{domain}/{}", text(members, "UserProfileName")),
            Self::Space => format!("{domain}/{}", text(members, "SpaceName")),
            Self::App => {
                let (owner, name) = owner(members);
                format!("{domain}/{}/{name}/{}/{}", owner.path(), text(members, "AppType"), text(members, "AppName"))
            }
        }
    }

    /// The ARN, from a request or a document. Names are in lower case in a notebook instance's
    /// (amazon-sagemaker-examples#1798); an app's names the profile or space and the type.
    #[must_use]
    pub fn arn(self, members: &Document) -> String {
        let id = match self {
            Self::Instance => self.id(members).to_lowercase(),
            Self::App => {
                let (_, name) = owner(members);
                let kind = text(members, "AppType").to_lowercase();
                format!("{}/{name}/{kind}/{}", text(members, "DomainId"), text(members, "AppName"))
            }
            _ => self.id(members),
        };
        format!("arn:aws:sagemaker:{REGION}:{ACCOUNT}:{}/{id}", self.path())
    }

    /// The kind in an ARN of ours.
    #[must_use]
    pub fn of_arn(arn: &str) -> Option<Self> {
        let rest = arn.strip_prefix("arn:aws:sagemaker:")?.strip_prefix(REGION)?.strip_prefix(':')?;
        let (path, _) = rest.strip_prefix(ACCOUNT)?.strip_prefix(':')?.split_once('/')?;
        Self::of_path(path)
    }

    /// The answer for an unknown one. assumed: the text, except for notebook instances.
    #[must_use]
    pub fn not_found(self, members: &Document) -> Fault {
        match self {
            Self::Instance => Fault::validation("RecordNotFound"),
            Self::Domain => {
                Fault::new("ResourceNotFound", 400, format!("Domain [{}] does not exist.", text(members, "DomainId")))
            }
            _ => Fault::new("ResourceNotFound", 400, format!("{} [{}] does not exist.", self.word(), self.arn(members))),
        }
    }

    /// The answer when a name is taken. assumed: the text.
    #[must_use]
    pub fn taken(self, members: &Document) -> Fault {
        match self {
            Self::Instance => Fault::validation(format!("Cannot create a duplicate Notebook Instance ({})", self.arn(members))),
            _ => Fault::new("ResourceInUse", 400, format!("{} [{}] already exists.", self.word(), self.arn(members))),
        }
    }
}

/// Whose an app is: a profile's, or a space's, and its name.
#[must_use]
pub fn owner(members: &Document) -> (Kind, &str) {
    match members.get("SpaceName").and_then(Value::as_str) {
        Some(space) => (Kind::Space, space),
        None => (Kind::Profile, text(members, "UserProfileName")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arns_are_awss() {
        let arn = |kind: Kind, members: Value| kind.arn(members.as_object().expect("an object"));
        let start = "arn:aws:sagemaker:us-east-1:000000000000";
        assert_eq!(arn(Kind::Instance, json!({"NotebookInstanceName": "My-Nb"})), format!("{start}:notebook-instance/my-nb"));
        assert_eq!(
            arn(Kind::Profile, json!({"DomainId": "d-1", "UserProfileName": "Ann"})),
            format!("{start}:user-profile/d-1/Ann")
        );
        let app = json!({"DomainId": "d-1", "SpaceName": "lab", "AppType": "JupyterLab", "AppName": "default"});
        assert_eq!(arn(Kind::App, app), format!("{start}:app/d-1/lab/jupyterlab/default"));
        assert_eq!(Kind::of_arn(&format!("{start}:space/d-1/lab")), Some(Kind::Space));
        assert_eq!(Kind::of_arn(&format!("{start}:model/a")), None);
    }
}
