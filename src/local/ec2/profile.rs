//! Instance profiles: whose credentials the programs in an instance get. There is no IAM here to keep them: every name that IAM
//! would take is that of a profile of the region's account, with a role of the same name, as the console of IAM makes them; and
//! a role may do all that the region's user may.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Ec2;
use super::filter::pass;
use super::ids::{INSTANCE, fixed};
use super::instance::{Instance, State};
use super::wanted::{Limits, check_dry_run, invalid, page, text, texts};
use crate::local::ACCOUNT;
use crate::local::fault::Fault;

/// The longest name (IAM API Reference, `CreateInstanceProfile`).
const NAME: usize = 128;
const PREFIX: &str = "iip-assoc";

/// The name of the profile that a request gives an instance, if it does.
///
/// # Errors
/// `InvalidParameterValue` for what cannot be a profile of this account, `InvalidParameterCombination` for name and ARN at once.
pub fn of_request(request: &Value) -> Result<Option<String>, Fault> {
    let Some(profile) = request.get("IamInstanceProfile") else { return Ok(None) };
    let wrong = |member: &str, said: &str, given: &str| {
        invalid(format!(
            "Value ({given}) for parameter iamInstanceProfile.{member} is invalid. Invalid IAM Instance Profile {said}"
        ))
    };
    match (text(profile, "Arn"), text(profile, "Name")) {
        (Some(_), Some(_)) => Err(Fault::new(
            "InvalidParameterCombination",
            400,
            "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'",
        )),
        (Some(given), None) => {
            let path = given.strip_prefix(&format!("arn:aws:iam::{ACCOUNT}:instance-profile/"));
            // A path may stand before the name.
            let name = path.and_then(|path| path.rsplit('/').next()).filter(|name| is_name(name));
            name.map(|name| Some(name.to_owned())).ok_or_else(|| wrong("arn", "ARN", given))
        }
        (None, given) => {
            let given = given.unwrap_or_default();
            if is_name(given) { Ok(Some(given.to_owned())) } else { Err(wrong("name", "name", given)) }
        }
    }
}

/// Whether IAM would take this as the name of a profile.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=NAME).contains(&name.len()) && name.bytes().all(sound)
}

/// The ARN of a profile.
#[must_use]
pub fn arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:instance-profile/{name}")
}

/// The id of a profile: the same name has the same.
#[must_use]
pub fn id(name: &str) -> String {
    format!("AIPALOCAL{}", hex::encode_upper(&Sha256::digest(name)[..6]))
}

/// `AssociateIamInstanceProfile`: for an instance that has none.
///
/// # Errors
/// `IncorrectState` when it has one; as AWS answers for wrong ids.
pub fn associate(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let name = of_request(request)?.unwrap_or_default();
    let mut instance = living(ec2, text(request, "InstanceId").unwrap_or_default())?;
    if instance.profile.is_some() {
        let text = format!("There is an existing association for instance {}", instance.id);
        return Err(Fault::new("IncorrectState", 400, text));
    }
    check_dry_run(request)?;
    instance.profile = Some(name);
    ec2.store.change(|change| change.put(&instance))?;
    Ok(json!({"IamInstanceProfileAssociation": association(&instance, "associating")}))
}

/// `DisassociateIamInstanceProfile`. What was given out stays valid until it expires, as on AWS.
///
/// # Errors
/// `NoSuchAssociation`.
pub fn disassociate(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let wanted = text(request, "AssociationId").unwrap_or_default();
    let mut instance = associated(ec2, wanted)?;
    check_dry_run(request)?;
    let was = association(&instance, "disassociating");
    instance.profile = None;
    ec2.store.change(|change| change.put(&instance))?;
    Ok(json!({"IamInstanceProfileAssociation": was}))
}

/// `ReplaceIamInstanceProfileAssociation`: what was given out stays valid until it expires, as on AWS.
///
/// # Errors
/// `NoSuchAssociation`, `InvalidParameterValue`.
pub fn replace(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let name = of_request(request)?;
    let wanted = text(request, "AssociationId").unwrap_or_default();
    let mut instance = associated(ec2, wanted)?;
    instance.profile = name;
    ec2.store.change(|change| change.put(&instance))?;
    Ok(json!({"IamInstanceProfileAssociation": association(&instance, "associating")}))
}

/// `DescribeIamInstanceProfileAssociations`.
///
/// # Errors
/// For wrong filters and pages.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let ids = texts(request, "AssociationIds");
    let all = ec2.instances()?;
    let wanted = all.iter().filter(|instance| has_association(instance));
    let wanted = wanted.filter(|instance| ids.is_empty() || ids.contains(&association_id(instance).as_str()));
    let found = pass(
        "DescribeIamInstanceProfileAssociations",
        request,
        wanted.map(|instance| association(instance, "associated")).collect(),
    )?;
    let keyed = found.into_iter().map(|one| (text(&one, "AssociationId").unwrap_or_default().to_owned(), one));
    page(request, Limits { least: 5, most: 1000, ids: "AssociationIds" }, "IamInstanceProfileAssociations", keyed.collect())
}

fn associated(ec2: &Ec2, wanted: &str) -> Result<Instance, Fault> {
    let found = ec2.instances()?.into_iter().find(|instance| has_association(instance) && association_id(instance) == wanted);
    found.ok_or_else(|| {
        let text = format!("An invalid association-id of '{wanted}' was given");
        Fault::new("NoSuchAssociation", 400, text)
    })
}

fn living(ec2: &Ec2, id: &str) -> Result<Instance, Fault> {
    INSTANCE.check_form(id)?;
    let found = ec2.instances()?.into_iter().find(|instance| instance.id == id);
    let instance = found.ok_or_else(|| INSTANCE.missing(&[id]))?;
    if instance.state.ends() {
        // assumed: the text.
        let text = format!("The instance '{id}' is not in a state from which a profile can be associated");
        return Err(Fault::new("IncorrectInstanceState", 400, text));
    }
    Ok(instance)
}

fn has_association(instance: &Instance) -> bool {
    instance.profile.is_some() && instance.state != State::Terminated
}

fn association_id(instance: &Instance) -> String {
    fixed(PREFIX, &format!("{}/{}", instance.id, instance.profile.as_deref().unwrap_or_default()))
}

fn association(instance: &Instance, state: &str) -> Value {
    json!({
        "AssociationId": association_id(instance),
        "InstanceId": instance.id,
        "IamInstanceProfile": document(instance.profile.as_deref().unwrap_or_default()),
        "State": state,
    })
}

/// A profile as answers have it.
#[must_use]
pub fn document(name: &str) -> Value {
    json!({"Arn": arn(name), "Id": id(name)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_by_name_or_arn_of_this_account() {
        let of = |profile: Value| of_request(&json!({"IamInstanceProfile": profile}));
        assert_eq!(of_request(&json!({})).unwrap(), None);
        assert_eq!(of(json!({"Name": "trainer"})).unwrap().as_deref(), Some("trainer"));
        assert_eq!(of(json!({"Arn": arn("trainer")})).unwrap().as_deref(), Some("trainer"));
        assert_eq!(of(json!({"Arn": arn("a/path/trainer")})).unwrap().as_deref(), Some("trainer"));
        assert_eq!(of(json!({"Name": "a", "Arn": arn("a")})).unwrap_err().code, "InvalidParameterCombination");
        for wrong in [
            json!({}),
            json!({"Name": "no spaces"}),
            json!({"Name": "x".repeat(129)}),
            json!({"Arn": "arn:aws:iam::111122223333:instance-profile/other"}),
            json!({"Arn": "arn:aws:iam::000000000000:role/trainer"}),
        ] {
            let fault = of(wrong.clone()).unwrap_err();
            assert!(fault.code == "InvalidParameterValue" && fault.message.contains("Invalid IAM Instance Profile"), "{wrong}");
        }
    }
}
