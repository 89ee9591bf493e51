//! Launch templates: what a launch asks for, by a name and in numbered versions (EC2 User Guide, "Store instance launch parameters
//! in Amazon EC2 launch templates"). What is in one is judged when it is used.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Ec2;
use super::filter::pass;
use super::ids::{TEMPLATE, fresh};
use super::store::Kept;
use super::tags;
use super::wanted::{Limits, check_dry_run, invalid, page, text, texts, time};
use crate::local::ACCOUNT;
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

const LATEST: &str = "$Latest";
const DEFAULT: &str = "$Default";
/// Signs of a name beside letters and digits, and how long it is (EC2 API Reference, `CreateLaunchTemplate`).
const SIGNS: &str = "().-/_";
const NAME: std::ops::RangeInclusive<usize> = 3..=128;

/// A template as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Template {
    id: String,
    name: String,
    /// In epoch milliseconds.
    created: i64,
    visible: i64,
    default: u64,
    versions: Vec<Version>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Version {
    number: u64,
    description: Option<String>,
    created: i64,
    /// `RequestLaunchTemplateData`.
    data: Value,
}

impl Kept for Template {
    const KIND: &'static str = "launch-template";

    fn id(&self) -> &str {
        &self.id
    }
}

/// A launch with what its template says.
pub struct Filled {
    pub request: Value,
    /// What instances are marked with, of which template they are.
    pub tags: Vec<(String, String)>,
}

/// The request, and what it leaves out as its template has it.
///
/// # Errors
/// As a template or version that is not there is refused.
pub fn filled(ec2: &Ec2, request: &Value) -> Result<Filled, Fault> {
    let Some(wanted) = request.get("LaunchTemplate") else {
        return Ok(Filled { request: request.clone(), tags: Vec::new() });
    };
    let template = named(ec2, wanted)?;
    let version = template.version(text(wanted, "Version").unwrap_or(DEFAULT))?;
    let mut members = version.data.as_object().cloned().unwrap_or_default();
    members.extend(request.as_object().cloned().unwrap_or_default());
    let tags = [("id", template.id.clone()), ("version", version.number.to_string())];
    let tags = tags.into_iter().map(|(name, value)| (format!("aws:ec2launchtemplate:{name}"), value)).collect();
    Ok(Filled { request: Value::Object(members), tags })
}

/// `CreateLaunchTemplate`.
///
/// # Errors
/// `InvalidLaunchTemplateName.AlreadyExistsException`, `InvalidLaunchTemplateName.MalformedException`, and for wrong tags.
pub fn create(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let name = text(request, "LaunchTemplateName").unwrap_or_default();
    if !NAME.contains(&name.len()) || !name.chars().all(|sign| sign.is_ascii_alphanumeric() || SIGNS.contains(sign)) {
        let text = "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: ( ) . - / _.";
        return Err(Fault::new("InvalidLaunchTemplateName.MalformedException", 400, text));
    }
    let tags = tags::of_request(request, &["launch-template"])?;
    if ec2.store.all::<Template>()?.iter().any(|template| template.name == name) {
        let text = "Launch template name already in use.";
        return Err(Fault::new("InvalidLaunchTemplateName.AlreadyExistsException", 400, text));
    }
    check_dry_run(request)?;
    let template = Template {
        id: fresh("lt")?,
        name: name.to_owned(),
        created: now_millis(),
        visible: ec2.visible_from(),
        default: 1,
        versions: vec![Version::of(request, 1, Map::new())],
    };
    ec2.store.change(|change| {
        change.put(&template)?;
        tags.apply(change, &template.id, "launch-template")
    })?;
    Ok(json!({"LaunchTemplate": template.document(ec2)}))
}

/// `CreateLaunchTemplateVersion`: of what is asked for, and of a version that it is made from.
///
/// # Errors
/// As [`filled`].
pub fn create_version(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut template = named(ec2, request)?;
    let source = text(request, "SourceVersion").map(|version| template.version(version)).transpose()?;
    let source = source.and_then(|version| version.data.as_object().cloned()).unwrap_or_default();
    check_dry_run(request)?;
    let version = Version::of(request, template.latest() + 1, source);
    template.versions.push(version.clone());
    ec2.store.change(|change| change.put(&template))?;
    Ok(json!({"LaunchTemplateVersion": template.version_document(&version)}))
}

/// `ModifyLaunchTemplate`: which version is the default.
///
/// # Errors
/// As [`filled`].
pub fn modify(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut template = named(ec2, request)?;
    if let Some(version) = text(request, "DefaultVersion") {
        template.default = template.version(version)?.number;
    }
    check_dry_run(request)?;
    ec2.store.change(|change| change.put(&template))?;
    Ok(json!({"LaunchTemplate": template.document(ec2)}))
}

/// `DeleteLaunchTemplate`, with all its versions.
///
/// # Errors
/// As a template that is not there is refused.
pub fn delete(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let template = named(ec2, request)?;
    check_dry_run(request)?;
    let shown = template.document(ec2);
    ec2.store.change(|change| change.remove::<Template>(&template.id))?;
    Ok(json!({"LaunchTemplate": shown}))
}

/// `DescribeLaunchTemplates`.
///
/// # Errors
/// As a template that is not there is refused, and for wrong filters and pages.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let all = seen(ec2)?;
    let (ids, names) = (texts(request, "LaunchTemplateIds"), texts(request, "LaunchTemplateNames"));
    ids.iter().try_for_each(|id| TEMPLATE.check_form(id))?;
    if let Some(id) = ids.iter().find(|id| all.iter().all(|template| template.id != **id)) {
        return Err(no_such_id(id));
    }
    if let Some(name) = names.iter().find(|name| all.iter().all(|template| template.name != **name)) {
        return Err(no_such_name(name));
    }
    let wanted = all.iter().filter(|template| {
        ids.is_empty() && names.is_empty() || ids.contains(&template.id.as_str()) || names.contains(&template.name.as_str())
    });
    let found = pass("DescribeLaunchTemplates", request, wanted.map(|template| template.document(ec2)).collect())?;
    let keyed =
        found.into_iter().map(|template| (text(&template, "LaunchTemplateName").unwrap_or_default().to_owned(), template));
    page(request, Limits { least: 1, most: 200, ids: "" }, "LaunchTemplates", keyed.collect())
}

/// `DescribeLaunchTemplateVersions`: of one template; or, by `$Latest` and `$Default`, of all.
///
/// # Errors
/// As [`filled`], and for wrong filters and pages.
pub fn describe_versions(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let versions = texts(request, "Versions");
    let one = ["LaunchTemplateId", "LaunchTemplateName"].iter().any(|member| text(request, member).is_some());
    if !one && (versions.is_empty() || versions.iter().any(|version| ![LATEST, DEFAULT].contains(version))) {
        return Err(unnamed());
    }
    let templates = if one { vec![named(ec2, request)?] } else { seen(ec2)? };
    let bound = |member: &str| text(request, member).and_then(|number| number.parse::<u64>().ok());
    let (least, most) = (bound("MinVersion").unwrap_or(1), bound("MaxVersion").unwrap_or(u64::MAX));
    let mut documents = Vec::new();
    for template in &templates {
        let named = versions.iter().map(|version| template.version(version).map(|version| version.number));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        let wanted = template
            .versions
            .iter()
            .filter(|version| (least..=most).contains(&version.number) && (named.is_empty() || named.contains(&version.number)));
        documents.extend(wanted.map(|version| template.version_document(version)));
    }
    let found = pass("DescribeLaunchTemplateVersions", request, documents)?;
    // The newest first, as the service has them.
    let keyed = found.into_iter().map(|version| {
        let number = u64::MAX - version["VersionNumber"].as_u64().unwrap_or_default();
        (format!("{}/{number:020}", text(&version, "LaunchTemplateName").unwrap_or_default()), version)
    });
    page(request, Limits { least: 1, most: 200, ids: "" }, "LaunchTemplateVersions", keyed.collect())
}

impl Template {
    fn latest(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.number)
    }

    fn version(&self, wanted: &str) -> Result<&Version, Fault> {
        let number = match wanted {
            LATEST => self.latest(),
            DEFAULT => self.default,
            number => number.parse().map_err(|_| {
                let text = format!("Invalid launch template version: {number}. Specify a version number, {LATEST} or {DEFAULT}.");
                Fault::new("InvalidLaunchTemplateId.VersionNotFound", 400, text)
            })?,
        };
        self.versions.iter().find(|version| version.number == number).ok_or_else(|| {
            let text = format!("Could not find the specified version {number} for the launch template with ID {}.", self.id);
            Fault::new("InvalidLaunchTemplateId.VersionNotFound", 400, text)
        })
    }

    fn document(&self, ec2: &Ec2) -> Value {
        let mut shown = json!({
            "LaunchTemplateId": self.id,
            "LaunchTemplateName": self.name,
            "CreateTime": time(self.created),
            "CreatedBy": format!("arn:aws:iam::{ACCOUNT}:root"),
            "DefaultVersionNumber": self.default,
            "LatestVersionNumber": self.latest(),
        });
        ec2.tagged(&mut shown, &self.id);
        shown
    }

    fn version_document(&self, version: &Version) -> Value {
        let mut shown = json!({
            "LaunchTemplateId": self.id,
            "LaunchTemplateName": self.name,
            "VersionNumber": version.number,
            "CreateTime": time(version.created),
            "CreatedBy": format!("arn:aws:iam::{ACCOUNT}:root"),
            "DefaultVersion": version.number == self.default,
            "LaunchTemplateData": version.data,
        });
        if let Some(description) = &version.description {
            shown["VersionDescription"] = json!(description);
        }
        shown
    }
}

impl Version {
    /// Of a request's data, which goes before what it is made from.
    fn of(request: &Value, number: u64, mut source: Map<String, Value>) -> Self {
        source.extend(request["LaunchTemplateData"].as_object().cloned().unwrap_or_default());
        Self {
            number,
            description: text(request, "VersionDescription").map(str::to_owned),
            created: now_millis(),
            data: Value::Object(source),
        }
    }
}

fn seen(ec2: &Ec2) -> Result<Vec<Template>, Fault> {
    let mut all = ec2.store.all::<Template>()?;
    all.retain(|template| ec2.sees(template.visible));
    Ok(all)
}

/// The template that is named by id or name, one of them.
fn named(ec2: &Ec2, wanted: &Value) -> Result<Template, Fault> {
    let all = seen(ec2)?.into_iter();
    match (text(wanted, "LaunchTemplateId"), text(wanted, "LaunchTemplateName")) {
        (Some(_), Some(_)) => Err(invalid("Specify either a launch template ID or a launch template name, but not both.")),
        (Some(id), None) => {
            TEMPLATE.check_form(id)?;
            all.into_iter().find(|template| template.id == id).ok_or_else(|| no_such_id(id))
        }
        (None, Some(name)) => all.into_iter().find(|template| template.name == name).ok_or_else(|| no_such_name(name)),
        (None, None) => Err(unnamed()),
    }
}

fn no_such_id(id: &str) -> Fault {
    let text = format!("The specified launch template, with template ID {id}, does not exist.");
    Fault::new("InvalidLaunchTemplateId.NotFound", 400, text)
}

fn no_such_name(name: &str) -> Fault {
    let text = format!("The specified launch template, with template name {name}, does not exist.");
    Fault::new("InvalidLaunchTemplateName.NotFoundException", 400, text)
}

/// assumed: the text.
fn unnamed() -> Fault {
    Fault::new("MissingParameter", 400, "Either a launch template ID or a launch template name must be specified.")
}
