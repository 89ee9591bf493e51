//! STS and IAM: who one is here, and the one role that jobs run as.

use serde_json::{Value, json};

use super::ACCOUNT;
use super::ec2::profile::{arn, id, is_name};
use super::fault::Fault;
use super::sessions::Holder;
use super::wire::input::text;

/// The execution role of the region. Its path is `/`, so that the role ARN that clients derive from the assumed role is
/// the ARN that IAM answers.
pub const ROLE: &str = "footplate-local-execution-role";

/// When what was always there was made, in epoch seconds.
const BEGINNING: i64 = 1_577_836_800;

/// One call of STS (API version 2011-06-15). Without a holder of a role it is the region's own user who asks.
///
/// # Errors
/// `InvalidAction` for all but `GetCallerIdentity`.
pub fn call_sts(operation: &str, holder: Option<&Holder>) -> Result<Value, Fault> {
    if operation != "GetCallerIdentity" {
        return Err(unknown(operation, "2011-06-15"));
    }
    let (role, session) = holder.map_or((ROLE, "footplate"), |holder| (&holder.role, &holder.session));
    Ok(json!({
        "Arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"),
        "UserId": format!("AROALOCALFOOTPLATE000:{session}"),
        "Account": ACCOUNT,
    }))
}

/// One call of IAM (API version 2010-05-08); `profiles` are the names of the instance profiles that are in use. Blocks.
///
/// # Errors
/// `NoSuchEntity` for every role but the region's own; `InvalidAction` for what is not offered.
pub fn call_iam(operation: &str, input: &Value, profiles: impl FnOnce() -> Result<Vec<String>, Fault>) -> Result<Value, Fault> {
    match operation {
        "GetRole" => role(input),
        "GetInstanceProfile" => profile(input),
        "ListInstanceProfiles" => {
            let path = text(input, "PathPrefix").unwrap_or("/");
            // None has a path of its own.
            let shown = profiles()?.into_iter().filter(|_| path == "/").map(|name| profile_document(&name));
            Ok(json!({"InstanceProfiles": shown.collect::<Vec<_>>(), "IsTruncated": false}))
        }
        other => Err(unknown(other, "2010-05-08")),
    }
}

/// Every name is that of a profile, as in [`super::ec2::profile`].
fn profile(input: &Value) -> Result<Value, Fault> {
    let name = text(input, "InstanceProfileName").unwrap_or_default();
    if !is_name(name) {
        let text = "The specified value for instanceProfileName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-";
        return Err(Fault::new("ValidationError", 400, text));
    }
    Ok(json!({"InstanceProfile": profile_document(name)}))
}

/// With the one role that it has, of the same name, which EC2 takes on.
fn profile_document(name: &str) -> Value {
    json!({
        "Path": "/",
        "InstanceProfileName": name,
        "InstanceProfileId": id(name),
        "Arn": arn(name),
        "CreateDate": BEGINNING,
        "Roles": [{
            "Path": "/",
            "RoleName": name,
            "RoleId": id(name).replacen("AIPA", "AROA", 1),
            "Arn": format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            "CreateDate": BEGINNING,
            "AssumeRolePolicyDocument": trust("ec2"),
        }],
    })
}

/// Who may take on a role. IAM answers policies percent-encoded (RFC 3986).
fn trust(service: &str) -> String {
    format!(
        "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22{service}.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"
    )
}

fn role(input: &Value) -> Result<Value, Fault> {
    let name = text(input, "RoleName").ok_or_else(|| Fault::new("ValidationError", 400, "RoleName is required"))?;
    if name != ROLE {
        return Err(Fault::new("NoSuchEntity", 404, format!("The role with name {name} cannot be found.")));
    }
    Ok(json!({"Role": {
        "Path": "/",
        "RoleName": ROLE,
        "RoleId": "AROALOCALFOOTPLATE000",
        "Arn": format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"),
        "CreateDate": BEGINNING,
        "AssumeRolePolicyDocument": trust("sagemaker"),
        "MaxSessionDuration": 3600,
    }}))
}

fn unknown(operation: &str, version: &str) -> Fault {
    Fault::new("InvalidAction", 400, format!("Could not find operation {operation} for version {version}"))
}
