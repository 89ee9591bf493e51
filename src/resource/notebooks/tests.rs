//! The pane over a scripted transport.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::aws::scripted::{Answer, Notes, Scripted};
use crate::aws::with_order;
use crate::model::Cell;

const URL: &str = "https://experiments-x1.notebook.us-east-1.sagemaker.aws?authToken=eyJhbGciOi";

/// An account with one of each; `denied` operations are refused.
fn account(denied: &'static [&'static str]) -> Scripted {
    Scripted::new(move |asked| -> Answer {
        let operation = asked.operation.as_str();
        if denied.contains(&operation) {
            let said = json!({"__type": "AccessDeniedException", "Message": "no"});
            return (400, said.to_string().into_bytes());
        }
        let said = match operation {
            "ListNotebookInstances" => json!({"NotebookInstances": [
                {"NotebookInstanceName": "experiments", "NotebookInstanceArn": "a", "NotebookInstanceStatus": "InService",
                 "InstanceType": "ml.t3.medium", "CreationTime": 1_790_000_000, "LastModifiedTime": 1_790_003_600},
                {"NotebookInstanceName": "old", "NotebookInstanceArn": "a", "NotebookInstanceStatus": "Stopped",
                 "InstanceType": "ml.t3.medium", "CreationTime": 1_790_000_000, "LastModifiedTime": 1_790_003_600},
            ]}),
            "ListDomains" => json!({"Domains": [{"DomainId": "d-1", "DomainName": "studio", "Status": "InService"}]}),
            "ListUserProfiles" => {
                json!({"UserProfiles": [{"DomainId": "d-1", "UserProfileName": "anna", "Status": "InService"}]})
            }
            "ListSpaces" => json!({"Spaces": [{"DomainId": "d-1", "SpaceName": "lab", "Status": "InService"}]}),
            "ListApps" => json!({"Apps": [
                {"DomainId": "d-1", "SpaceName": "lab", "AppType": "JupyterLab", "AppName": "default", "Status": "InService",
                 "CreationTime": 1_790_000_000, "ResourceSpec": {"InstanceType": "ml.t3.medium"}},
                {"DomainId": "d-1", "UserProfileName": "anna", "AppType": "JupyterServer", "AppName": "default",
                 "Status": "Deleted", "ResourceSpec": {"InstanceType": "system"}},
            ]}),
            "DescribeSpace" => json!({"OwnershipSettings": {"OwnerUserProfileName": "anna"}, "Status": "InService"}),
            "CreatePresignedNotebookInstanceUrl" | "CreatePresignedDomainUrl" => json!({"AuthorizedUrl": URL}),
            _ => json!({}),
        };
        (200, said.to_string().into_bytes())
    })
}

async fn rows(http: &Scripted) -> Result<Vec<String>, Failure> {
    let aws = http.connect(true, None).await;
    let seen: Mutex<Vec<String>> = Mutex::default();
    let said = |page: Page| {
        let row = |item: &crate::model::Item| {
            let text = |cell: &Cell| match cell {
                Cell::Text(text) => text.to_string(),
                Cell::State(state) => state.word.to_string(),
                _ => String::new(),
            };
            format!(
                "{} | {} | {:?}",
                item.cells.iter().take(4).map(text).collect::<Vec<_>>().join(" | "),
                item.id.as_str(),
                item.state.phase
            )
        };
        *seen.lock().unwrap() = page.items.iter().map(row).collect();
    };
    Notebooks.list(&aws, None, &said).await?;
    Ok(seen.into_inner().unwrap())
}

/// Does it with these targets, under an order, before a witness.
async fn done(http: &Scripted, verb: Verb, targets: &[&str]) -> (Result<Outcome, Failure>, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let aws = http.connect(false, Some(Arc::clone(&notes) as _)).await;
    let targets = targets.iter().map(|id| ItemId((*id).to_owned())).collect();
    let order = Order { resource: SPEC.id.to_owned(), verb, targets, form: None };
    let recipe = Recipe::default();
    let outcome = with_order("o".into(), Notebooks.run(&aws, &recipe, &order, &|_| {})).await;
    (outcome, notes)
}

#[tokio::test]
async fn all_kinds_are_in_one_list_and_what_is_deleted_is_not() {
    let rows = rows(&account(&[])).await.unwrap();
    assert_eq!(
        rows,
        [
            "experiments | instance | InService | ml.t3.medium | notebook/experiments | Active",
            "old | instance | Stopped | ml.t3.medium | notebook/old | Stopped",
            "studio | domain | InService |  | domain/d-1 | Still",
            "studio / anna | profile | InService |  | profile/d-1/anna | Still",
            "studio / lab | space | InService |  | space/d-1/lab | Still",
            "studio / lab / JupyterLab default | app | InService | ml.t3.medium | app/d-1/space/lab/JupyterLab/default | Active",
        ]
    );
}

#[tokio::test]
async fn who_may_not_see_studio_sees_the_notebook_instances() {
    let studio = &["ListDomains", "ListUserProfiles", "ListSpaces", "ListApps"];
    assert_eq!(rows(&account(studio)).await.unwrap().len(), 2);
    let all = &["ListNotebookInstances", "ListDomains", "ListUserProfiles", "ListSpaces", "ListApps"];
    assert_eq!(rows(&account(all)).await.unwrap_err().kind, FailureKind::Denied);
}

#[tokio::test]
async fn an_address_goes_into_the_outcome_and_nowhere_else() {
    for (target, operation) in [
        ("notebook/experiments", "CreatePresignedNotebookInstanceUrl"),
        ("profile/d-1/anna", "CreatePresignedDomainUrl"),
        ("space/d-1/lab", "CreatePresignedDomainUrl"),
        ("domain/d-1", "CreatePresignedDomainUrl"),
    ] {
        let http = account(&[]);
        let (outcome, notes) = done(&http, Verb::Open, &[target]).await;
        let Outcome::Link { url, said } = outcome.unwrap() else { panic!("{target}") };
        assert_eq!(url.as_str(), URL);
        assert!(!said.as_str().contains("authToken"), "{said}");
        assert!(notes.intents.lock().unwrap().is_empty() && notes.settled.lock().unwrap().is_empty());
        let asked = http.bodies(operation);
        assert_eq!(asked.len(), 1, "{target}");
        if target.starts_with("space") {
            assert_eq!((&asked[0]["UserProfileName"], &asked[0]["SpaceName"]), (&json!("anna"), &json!("lab")));
        }
    }
    let (outcome, _) = done(&account(&[]), Verb::Open, &["notebook/a", "notebook/b"]).await;
    assert!(outcome.unwrap_err().what.as_str().contains("one can be opened"));
}

#[tokio::test]
async fn to_stop_an_app_is_to_delete_it_and_people_are_not_deleted() {
    let http = account(&[]);
    let (outcome, notes) = done(&http, Verb::Stop, &["notebook/experiments", "app/d-1/space/lab/JupyterLab/default"]).await;
    outcome.unwrap();
    let operations: Vec<String> = notes.intents.lock().unwrap().iter().map(|intent| intent.operation.clone()).collect();
    assert_eq!(operations, ["StopNotebookInstance", "DeleteApp"]);
    assert_eq!(http.bodies("DeleteApp")[0]["SpaceName"], "lab");
    for target in ["domain/d-1", "profile/d-1/anna"] {
        let (outcome, notes) = done(&account(&[]), Verb::Delete, &[target]).await;
        assert_eq!(outcome.unwrap_err().kind, FailureKind::Refused);
        assert!(notes.intents.lock().unwrap().is_empty());
    }
    for target in ["domain/d-1", "space/d-1/lab"] {
        assert_eq!(done(&account(&[]), Verb::Start, &[target]).await.0.unwrap_err().kind, FailureKind::Invalid);
    }
}
