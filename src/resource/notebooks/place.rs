//! Where a thing is among notebooks: its id in the list, and the names that AWS wants to hear.

use std::fmt;

use crate::model::ItemId;

/// One thing of the pane. Ids: `notebook/NAME`, `domain/ID`, `profile/ID/NAME`, `space/ID/NAME`, `app/ID/user/NAME/TYPE/NAME`
/// and `app/ID/space/NAME/TYPE/NAME`, where ID is the domain's. (No name in SageMaker has a slash.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Notebook(String),
    Domain(String),
    Profile { domain: String, name: String },
    Space { domain: String, name: String },
    App(App),
}

/// An app belongs to a user profile or to a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct App {
    pub domain: String,
    /// It is a space's, not a profile's.
    pub in_space: bool,
    /// Of the profile or space.
    pub owner: String,
    /// E.g. `JupyterLab`.
    pub kind: String,
    pub name: String,
}

impl Place {
    /// `None` when the id is none of this pane.
    pub fn parse(id: &ItemId) -> Option<Self> {
        let parts: Vec<&str> = id.as_str().split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        Some(match parts.as_slice() {
            ["notebook", name] => Self::Notebook((*name).to_owned()),
            ["domain", id] => Self::Domain((*id).to_owned()),
            ["profile", domain, name] => Self::Profile { domain: (*domain).to_owned(), name: (*name).to_owned() },
            ["space", domain, name] => Self::Space { domain: (*domain).to_owned(), name: (*name).to_owned() },
            ["app", domain, whose @ ("user" | "space"), owner, kind, name] => Self::App(App {
                domain: (*domain).to_owned(),
                in_space: *whose == "space",
                owner: (*owner).to_owned(),
                kind: (*kind).to_owned(),
                name: (*name).to_owned(),
            }),
            _ => return None,
        })
    }

    /// Its id in the list.
    pub fn id(&self) -> ItemId {
        ItemId(self.to_string())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notebook(name) => write!(f, "notebook/{name}"),
            Self::Domain(id) => write!(f, "domain/{id}"),
            Self::Profile { domain, name } => write!(f, "profile/{domain}/{name}"),
            Self::Space { domain, name } => write!(f, "space/{domain}/{name}"),
            Self::App(App { domain, in_space, owner, kind, name }) => {
                write!(f, "app/{domain}/{}/{owner}/{kind}/{name}", if *in_space { "space" } else { "user" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_apart_and_together() {
        for id in [
            "notebook/n",
            "domain/d-1",
            "profile/d-1/anna",
            "space/d-1/lab",
            "app/d-1/user/anna/JupyterLab/default",
            "app/d-1/space/lab/CodeEditor/x",
        ] {
            assert_eq!(Place::parse(&ItemId(id.to_owned())).unwrap().to_string(), id);
        }
        for none in ["n", "notebook/", "notebook/a/b", "app/d-1/other/a/b/c", "profile/d-1", ""] {
            assert_eq!(Place::parse(&ItemId(none.to_owned())), None, "{none}");
        }
    }
}
