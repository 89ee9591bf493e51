//! STS and IAM: who one is here, and the one role that jobs run as.

use serde_json::{Value, json};

use super::ACCOUNT;
use super::fault::Fault;
use super::sessions::Holder;
use super::wire::input::text;

/// The execution role of the region. Its path is `/`, so that the role ARN that clients derive from the assumed role is
/// the ARN that IAM answers.
pub const ROLE: &str = "footplate-local-execution-role";

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

/// One call of IAM (API version 2010-05-08).
///
/// # Errors
/// `NoSuchEntity` for every role but the region's own; `InvalidAction` for all but `GetRole`.
pub fn call_iam(operation: &str, input: &Value) -> Result<Value, Fault> {
    if operation != "GetRole" {
        return Err(unknown(operation, "2010-05-08"));
    }
    let name = text(input, "RoleName").ok_or_else(|| Fault::new("ValidationError", 400, "RoleName is required"))?;
    if name != ROLE {
        return Err(Fault::new("NoSuchEntity", 404, format!("The role with name {name} cannot be found.")));
    }
    // IAM answers policies percent-encoded (RFC 3986).
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22sagemaker.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    Ok(json!({"Role": {
        "Path": "/",
        "RoleName": ROLE,
        "RoleId": "AROALOCALFOOTPLATE000",
        "Arn": format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}"),
        "CreateDate": 1_577_836_800,
        "AssumeRolePolicyDocument": trust,
        "MaxSessionDuration": 3600,
    }}))
}

fn unknown(operation: &str, version: &str) -> Fault {
    Fault::new("InvalidAction", 400, format!("Could not find operation {operation} for version {version}"))
}
