//! Warm starts: what tuning jobs before have found out.

use serde_json::{Value, json};

use super::super::store::{Document, text};
use super::check::Plan;
use super::document::{best, maximizes, objective, over};
use super::search::Tried;
use super::store::Tunings;
use crate::local::fault::Fault;

/// The parents' results in the ranges of the new job, and their best training job, if it is to be compared with the new ones:
/// the objective of a transfer to other data says nothing about them.
///
/// # Errors
/// A parent that is unknown, still runs, or has another objective. assumed: the texts; the rules are the developer guide's.
pub fn parents(tunings: &Tunings, plan: &Plan, request: &Document) -> Result<(Vec<Tried>, Option<Document>), Fault> {
    let mut tried = Vec::new();
    let mut all = Vec::new();
    for name in &plan.parents {
        let parent = tunings.job(name)?.ok_or_else(|| Fault::validation(super::unknown(name)))?;
        check(&parent, plan)?;
        for (_, mut summary) in tunings.trials(name)? {
            summary.insert("TuningJobName".to_owned(), json!(name));
            tried.extend(point(plan, &summary));
            all.push(summary);
        }
    }
    let identical =
        request.get("WarmStartConfig").is_some_and(|warm| warm["WarmStartType"] == json!("IdenticalDataAndAlgorithm"));
    let overall = best(all.iter(), plan.search.maximize).filter(|_| identical).cloned();
    Ok((tried, overall))
}

fn check(parent: &Document, plan: &Plan) -> Result<(), Fault> {
    let name = text(parent, "HyperParameterTuningJobName");
    if !over(parent) {
        return Err(Fault::validation(format!(
            "The parent tuning job {name} is in status {}. Wait for its end, or stop it, before another one starts from it.",
            text(parent, "HyperParameterTuningJobStatus")
        )));
    }
    let config = &parent["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"];
    if config["MetricName"] != json!(plan.metric) || maximizes(parent) != plan.search.maximize {
        return Err(Fault::validation(format!(
            "The parent tuning job {name} has another objective. A warm start needs the same metric and the same direction."
        )));
    }
    Ok(())
}

/// A result as a point of the new job's ranges; `None` when it lies outside of them.
fn point(plan: &Plan, summary: &Document) -> Option<Tried> {
    let result = objective(summary)?;
    let values = plan.search.space.parameters.iter().map(|parameter| {
        let value = summary["TunedHyperParameters"].get(&parameter.name).and_then(Value::as_str)?;
        parameter.kind.place(value).map(|_| value.to_owned())
    });
    Some(Tried { values: values.collect::<Option<_>>()?, result: Some(result) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::sagemaker::tuning::check;
    use crate::local::sagemaker::tuning::document;

    fn stage(status: &str) -> (tempfile::TempDir, Tunings) {
        let folder = tempfile::tempdir().expect("a folder");
        let tunings = Tunings::open(&folder.path().join("t.sqlite")).expect("opens");
        let mut parent = document::new(&check::tests::request(), "Test Loss", 0);
        parent.insert("HyperParameterTuningJobStatus".to_owned(), json!(status));
        assert!(tunings.insert(&parent).expect("writes"));
        for (number, rate, loss) in [(1, "0.01", Some(0.5)), (2, "0.02", Some(0.2)), (3, "9", Some(0.1)), (4, "0.05", None)] {
            let mut summary =
                json!({"TrainingJobName": format!("t-{number}"), "TunedHyperParameters": {"lr": rate, "batch": "\"32\""}});
            if let Some(loss) = loss {
                summary["FinalHyperParameterTuningJobObjectiveMetric"] = json!({"MetricName": "Test Loss", "Value": loss});
            }
            tunings.put_trial("t", number, summary.as_object().expect("an object")).expect("writes");
        }
        (folder, tunings)
    }

    fn ask(tunings: &Tunings, kind: &str, change: impl FnOnce(&mut Plan)) -> Result<(Vec<Tried>, Option<Document>), Fault> {
        let mut request = check::tests::request();
        let parents = json!([{"HyperParameterTuningJobName": "t"}]);
        request.insert("WarmStartConfig".to_owned(), json!({"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}));
        let mut plan = check::check(&request).expect("is accepted");
        change(&mut plan);
        super::parents(tunings, &plan, &request)
    }

    #[test]
    fn results_in_the_ranges_teach_and_the_best_is_known() {
        let (_folder, tunings) = stage("Completed");
        let (tried, overall) = ask(&tunings, "IdenticalDataAndAlgorithm", |_| {}).expect("is accepted");
        assert_eq!(tried.iter().map(|tried| tried.values[0].as_str()).collect::<Vec<_>>(), ["0.01", "0.02"]);
        let overall = overall.expect("there is one");
        assert_eq!((text(&overall, "TrainingJobName"), text(&overall, "TuningJobName")), ("t-3", "t"));
        assert!(ask(&tunings, "TransferLearning", |_| {}).expect("is accepted").1.is_none());
    }

    #[test]
    fn parents_must_fit() {
        let (_folder, tunings) = stage("Completed");
        let message = |change: fn(&mut Plan)| ask(&tunings, "TransferLearning", change).expect_err("is refused").message;
        assert!(message(|plan| plan.metric = "other".to_owned()).contains("another objective"));
        assert!(message(|plan| plan.search.maximize = true).contains("another objective"));
        assert!(message(|plan| plan.parents = vec!["no".to_owned()]).contains("can't find a tuning job called no"));
        let (_folder, running) = stage("InProgress");
        assert!(ask(&running, "TransferLearning", |_| {}).expect_err("is refused").message.contains("is in status InProgress"));
    }
}
