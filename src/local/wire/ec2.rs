//! EC2's own query protocol: a form with flat lists in, XML with an `<item>` for each element out (smithy.io,
//! `aws.protocols#ec2Query`). Names, types and lists are those of the service model.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_xml::escape::escape;
use serde_json::{Map, Value, json};

use super::Reply;
use super::query::{decode, malformed};
use crate::local::ec2::model::{Kind, MODEL, Model};
use crate::local::fault::Fault;

/// The API's only version.
const VERSION: &str = "2016-11-15";
/// How deep and how wide a form may nest; real calls stay far below.
const DEPTH: usize = 16;
const WIDTH: usize = 10_000;

/// A form as a tree: `Filter.1.Name=a` is a leaf below `Filter`, `1`.
#[derive(Debug, Default)]
struct Node {
    value: Option<String>,
    below: BTreeMap<String, Node>,
}

/// The operation that a form asks for.
///
/// # Errors
/// `MissingAction`, `MalformedQueryString`, `InvalidAction`, and `NoSuchVersion` for another version of the API.
pub fn read(body: &[u8]) -> Result<(String, Value), Fault> {
    let mut form = parse(body)?;
    let mut take = |name: &str| form.below.remove(name).and_then(|node| node.value);
    let (action, version) = (take("Action"), take("Version"));
    let action = action.ok_or_else(|| Fault::new("MissingAction", 400, "The request must contain the parameter Action"))?;
    if version.as_deref().is_some_and(|version| version != VERSION) {
        return Err(Fault::new("NoSuchVersion", 400, format!("The requested version of the API is not known; use {VERSION}")));
    }
    let Some(operation) = MODEL.operation(&action) else {
        let text = format!("The action {action} is not valid for this web service: the local region does not offer it.");
        return Err(Fault::new("InvalidAction", 400, text));
    };
    let input = structure(&MODEL, &operation.input, &form, "")?;
    Ok((action, input))
}

/// An answer, or the error document. What is not in the model is no answer: it is an error of ours.
pub fn write(operation: &str, request_id: &str, result: Result<Value, Fault>) -> Reply {
    let written = result.and_then(|value| answer(operation, request_id, &value));
    let (status, text) = match written {
        Ok(text) => (200, text),
        Err(fault) => (fault.status, error(&fault, request_id)),
    };
    Reply { status, content_type: "text/xml;charset=UTF-8", headers: Vec::new(), body: text.into() }
}

fn error(fault: &Fault, request_id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>",
        fault.code,
        escape(&fault.message)
    )
}

fn answer(operation: &str, request_id: &str, value: &Value) -> Result<String, Fault> {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/{VERSION}/\"><requestId>{request_id}</requestId>"
    );
    match MODEL.operation(operation).and_then(|operation| operation.output.as_deref()) {
        Some(shape) => element(&MODEL, &mut text, shape, value)?,
        None => text.push_str("<return>true</return>"),
    }
    _ = write!(text, "</{operation}Response>");
    Ok(text)
}

/// Writes what is inside an element.
fn element(model: &Model, text: &mut String, name: &str, value: &Value) -> Result<(), Fault> {
    let shape = model.shape(name);
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            let known = shape.members().filter(|member| members.contains_key(member.name)).count();
            if known < members.len() {
                let unknown = members.keys().find(|name| shape.members().all(|member| member.name != name.as_str()));
                return Err(Fault::internal(format_args!("{name} has no member {}", unknown.map_or("", String::as_str))));
            }
            for member in shape.members() {
                let Some(value) = members.get(member.name).filter(|value| !value.is_null()) else { continue };
                _ = write!(text, "<{}>", member.element);
                element(model, text, member.shape, value)?;
                _ = write!(text, "</{}>", member.element);
            }
        }
        (Kind::List, Value::Array(items)) => {
            let Some((shape, item)) = shape.item() else { return Err(Fault::internal(format_args!("{name} is no list"))) };
            for value in items {
                _ = write!(text, "<{item}>");
                element(model, text, shape, value)?;
                _ = write!(text, "</{item}>");
            }
        }
        (Kind::String | Kind::Timestamp | Kind::Blob, Value::String(content)) => text.push_str(&readable(content)),
        (Kind::Boolean, Value::Bool(_)) | (Kind::Integer | Kind::Long | Kind::Float | Kind::Double, Value::Number(_)) => {
            _ = write!(text, "{value}");
        }
        _ => return Err(Fault::internal(format_args!("{name} cannot be {value}"))),
    }
    Ok(())
}

/// Text for XML 1.0, which has no control characters; a carriage return must be a reference to survive a reader.
fn readable(content: &str) -> String {
    let allowed = |c: char| {
        if matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}') {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    escape(content.chars().map(allowed).collect::<String>()).replace('\r', "&#13;")
}

fn parse(body: &[u8]) -> Result<Node, Fault> {
    let mut form = Node::default();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()));
        let mut node = &mut form;
        for (depth, part) in name.split('.').enumerate() {
            if depth == DEPTH || node.below.len() > WIDTH {
                return Err(malformed());
            }
            node = node.below.entry(part.to_owned()).or_default();
        }
        node.value = Some(value);
    }
    Ok(form)
}

fn structure(model: &Model, name: &str, node: &Node, path: &str) -> Result<Value, Fault> {
    let shape = model.shape(name);
    let mut members = Map::new();
    for (asked, below) in &node.below {
        let path = if path.is_empty() { asked.clone() } else { format!("{path}.{asked}") };
        let Some(member) = shape.members().find(|member| member.asked == asked) else {
            return Err(Fault::new("UnknownParameter", 400, format!("The parameter {path} is not recognized")));
        };
        members.insert(member.name.to_owned(), typed(model, member.shape, below, &path)?);
    }
    let missing = shape
        .members()
        .find(|member| shape.required.iter().any(|name| name == member.name) && !members.contains_key(member.name));
    match missing {
        Some(member) => {
            let dot = if path.is_empty() { "" } else { "." };
            Err(Fault::new(
                "MissingParameter",
                400,
                format!("The request must contain the parameter {path}{dot}{}", member.asked),
            ))
        }
        None => Ok(Value::Object(members)),
    }
}

fn typed(model: &Model, name: &str, node: &Node, path: &str) -> Result<Value, Fault> {
    let shape = model.shape(name);
    match shape.kind {
        Kind::Structure if node.below.is_empty() && node.value.as_deref().is_some_and(|text| !text.is_empty()) => {
            return Err(malformed());
        }
        Kind::Structure => return structure(model, name, node, path),
        Kind::List => return list(model, name, node, path),
        _ => {}
    }
    let Some(text) = node.value.as_deref().filter(|_| node.below.is_empty()) else { return Err(malformed()) };
    // assumed: the texts; the code is documented.
    let invalid = || Fault::new("InvalidParameterValue", 400, format!("Value ({text}) for parameter {path} is invalid."));
    match shape.kind {
        Kind::Integer | Kind::Long => text.parse::<i64>().map(Value::from).map_err(|_| invalid()),
        Kind::Float | Kind::Double => text.parse::<f64>().map(|number| json!(number)).map_err(|_| invalid()),
        Kind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(invalid()),
        },
        _ if !shape.choices.is_empty() && !shape.choices.iter().any(|choice| choice == text) => Err(invalid()),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// `Name.1`, `Name.2`; numbers may be left out, their order counts. assumed: as libcloud, which is made for the service, they may
/// begin with 0, and one item may have none.
fn list(model: &Model, name: &str, node: &Node, path: &str) -> Result<Value, Fault> {
    let Some((shape, _)) = model.shape(name).item() else { return Err(malformed()) };
    if node.below.is_empty() && node.value.as_deref() == Some("") {
        return Ok(Value::Array(Vec::new()));
    }
    if node.below.is_empty() {
        return Ok(Value::Array(vec![typed(model, shape, node, path)?]));
    }
    let mut items = BTreeMap::new();
    for (index, below) in &node.below {
        let index = index.parse::<usize>().ok().filter(|index| *index <= WIDTH).ok_or_else(malformed)?;
        items.insert(index, typed(model, shape, below, &format!("{path}.{index}"))?);
    }
    if items.is_empty() { Err(malformed()) } else { Ok(items.into_values().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_by_the_model() {
        let form = b"Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=2&ImageId=ami-1&SecurityGroupId.2=sg-2&SecurityGroupId.1=sg-1&BlockDeviceMapping.1.Ebs.VolumeSize=45&BlockDeviceMapping.1.Ebs.Encrypted=true&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b+c%C3%BC";
        let (operation, input) = read(form).unwrap();
        assert_eq!(operation, "RunInstances");
        assert_eq!(input["SecurityGroupIds"], json!(["sg-1", "sg-2"]));
        assert_eq!(input["BlockDeviceMappings"], json!([{"Ebs": {"Encrypted": true, "VolumeSize": 45}}]));
        assert_eq!(input["TagSpecifications"][0]["Tags"], json!([{"Key": "a", "Value": "b cü"}]));
        let form = b"Action=DescribeInstances&InstanceId=i-1&Filter.0.Name=a&Filter.0.Value.0=b&Filter.1.Name=c";
        let (_, input) = read(form).unwrap();
        assert_eq!(input, json!({"InstanceIds": ["i-1"], "Filters": [{"Name": "a", "Values": ["b"]}, {"Name": "c"}]}));
    }

    #[test]
    fn numbers_are_read() {
        let (_, input) = read(b"Action=RunInstances&MinCount=1&MaxCount=2").unwrap();
        assert_eq!((&input["MinCount"], &input["MaxCount"]), (&json!(1), &json!(2)));
    }

    #[test]
    fn a_wrong_form_is_refused_in_the_service_s_words() {
        let refusal = |form: &str| {
            let fault = read(form.as_bytes()).unwrap_err();
            (fault.code, fault.message)
        };
        assert_eq!(refusal("Version=2016-11-15").0, "MissingAction");
        assert_eq!(refusal("Action=Nothing").0, "InvalidAction");
        assert_eq!(refusal("Action=RunInstances&Version=2006-01-01").0, "NoSuchVersion");
        assert_eq!(
            refusal("Action=RunInstances&MaxCount=1"),
            ("MissingParameter", "The request must contain the parameter MinCount".to_owned())
        );
        assert_eq!(
            refusal("Action=DescribeInstances&Filter.1.Colour=a"),
            ("UnknownParameter", "The parameter Filter.1.Colour is not recognized".to_owned())
        );
        assert_eq!(refusal("Action=RunInstances&MinCount=x&MaxCount=1").0, "InvalidParameterValue");
        assert_eq!(
            refusal("Action=RunInstances&MinCount=1&MaxCount=1&InstanceInitiatedShutdownBehavior=explode").0,
            "InvalidParameterValue"
        );
        for hostile in [
            format!("Action=DescribeInstances&{}=1", "x.".repeat(5000)),
            "Action=DescribeInstances&InstanceId.99999999=i".to_owned(),
            "Action=DescribeInstances&Filter=name".to_owned(),
            "Action=DescribeInstances&MaxResults.1=3".to_owned(),
        ] {
            assert_eq!(refusal(&hostile).0, "MalformedQueryString", "{}", &hostile[..60.min(hostile.len())]);
        }
    }

    #[test]
    fn an_answer_has_the_names_and_lists_of_the_service() {
        let value = json!({"Reservations": [{"ReservationId": "r-1", "Groups": [], "Instances": [{"InstanceId": "i-1<", "AmiLaunchIndex": 0, "EbsOptimized": false}]}]});
        let reply = write("DescribeInstances", "id", Ok(value));
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let (_, text) = text.split_once('\n').unwrap();
        assert_eq!(
            text,
            "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>id</requestId><reservationSet><item><reservationId>r-1</reservationId><groupSet></groupSet><instancesSet><item><ebsOptimized>false</ebsOptimized><instanceId>i-1&lt;</instanceId><amiLaunchIndex>0</amiLaunchIndex></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"
        );
        let reply = write("RebootInstances", "id", Ok(json!({})));
        assert!(String::from_utf8_lossy(&reply.body).contains("<return>true</return>"));
        let reply = write("DescribeInstances", "id", Ok(json!({"Colour": 1})));
        assert_eq!(reply.status, 500);
    }

    #[test]
    fn an_error_has_the_service_s_document() {
        let reply = write("RunInstances", "id", Err(Fault::new("DryRunOperation", 412, "a & b")));
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert_eq!(reply.status, 412);
        assert!(text.ends_with("<Response><Errors><Error><Code>DryRunOperation</Code><Message>a &amp; b</Message></Error></Errors><RequestID>id</RequestID></Response>"));
    }
}
