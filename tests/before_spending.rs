//! What a launch is told before it costs anything, against the real local region: quota, use, price, and what to take
//! instead. The seed's account has no GPU for training and fifteen of the ordinary types.

#[path = "common/region.rs"]
mod region;

use footplate::model::{Form, Preview, Problem, Verb};
use region::{Place, found, set};

/// Looks as a cockpit does: again, as long as there is more to read.
async fn looked(place: &Place, form: &Form) -> Preview {
    for _ in 0..20 {
        let preview = found("training-jobs").preview(&place.aws, &place.recipe, form).await.unwrap();
        if !preview.more {
            return preview;
        }
    }
    panic!("the look has no end");
}

/// The problems that are not the lint's, which has something to say about so short a script.
fn of_money(preview: &Preview) -> Vec<&Problem> {
    preview.problems.iter().filter(|problem| problem.field != "hyperparameters").collect()
}

fn fact(preview: &Preview, name: &str) -> String {
    let found = preview.facts.iter().find(|(known, _)| known.as_str() == name);
    found.unwrap_or_else(|| panic!("no {name}: {:?}", preview.facts)).1.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_that_the_account_may_not_have_is_refused_with_what_it_may_have() {
    let place = Place::new("print('loss=1')\n").await;
    let form = place.form("training-jobs", Verb::Launch, None).await;
    let gpu = looked(&place, &set(form.clone(), &[("instance_type", "ml.g4dn.xlarge")])).await;
    assert_eq!(fact(&gpu, "quota"), "0");
    let fatal: Vec<_> = gpu.problems.iter().filter(|problem| problem.fatal).collect();
    let [problem] = &fatal[..] else { panic!("{fatal:?}") };
    let said = problem.message.as_str();
    assert_eq!(problem.field, "instance_type");
    assert!(said.starts_with("quota 0 for ml.g4dn.xlarge training; take ml.m5."), "{said}");
    assert!(said.contains("ml.m5.2xlarge: quota 15, $0.46/h") && said.ends_with("Service Quotas"), "{said}");
    assert!(place.wire.changes().is_empty(), "a look changes nothing");

    // What is offered is what the region really takes.
    let ordinary = looked(&place, &form).await;
    assert_eq!((fact(&ordinary, "quota"), fact(&ordinary, "at most")), ("0 of 15 used".into(), "$0.08 (10 min)".into()));
    assert!(ordinary.problems.iter().all(|problem| !problem.fatal), "{:?}", ordinary.problems);
    assert!(fact(&ordinary, "prices").contains(", 20"), "a price says of which day it is");
    let many = looked(&place, &set(form, &[("instance_count", "16")])).await;
    let said: Vec<_> = many.problems.iter().filter(|problem| problem.fatal).map(|problem| problem.message.as_str()).collect();
    assert!(said.len() == 1 && said[0].starts_with("quota 15 for ml.m5.2xlarge training; take at most 15"), "{said:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_counts_and_prices_and_quotas_are_asked_once() {
    let place = Place::new("import time\nprint('loss=1', flush=True)\ntime.sleep(600)\n").await;
    let job = place.launch_with(&[("instance_count", "3"), ("hyperparameters", "backend = gloo")]).await;
    place.until(&job, |_, secondary| secondary == "Training").await;
    let form = place.form("training-jobs", Verb::Launch, None).await;
    let beside = looked(&place, &form).await;
    assert_eq!(fact(&beside, "quota"), "3 of 15 used");
    let (quotas, prices) = (place.wire.count("ListServiceQuotas"), place.wire.count("GetProducts"));
    assert!(quotas > 0 && prices == 1, "{quotas} {prices}");
    let full = looked(&place, &set(form, &[("instance_count", "13"), ("hyperparameters", "backend = gloo")])).await;
    let full = of_money(&full);
    let [problem] = &full[..] else { panic!("{full:?}") };
    assert!(!problem.fatal && problem.message.as_str().starts_with("3 of the 15 ml.m5.2xlarge"), "{problem:?}");
    assert_eq!((place.wire.count("ListServiceQuotas"), place.wire.count("GetProducts")), (quotas, prices));
    place.run(&region::bare("training-jobs", Verb::Stop, &[&job])).await.unwrap();
    place.ended(&job).await;
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_warm_and_spot_are_looked_up_by_their_own_quotas() {
    let place = Place::new("print('loss=1')\n").await;
    let form = place.form("training-jobs", Verb::Launch, None).await;
    let warm = looked(&place, &set(form.clone(), &[("keep_alive", "10m")])).await;
    let found = of_money(&warm);
    let [problem] = &found[..] else { panic!("{found:?}") };
    assert!(problem.fatal && problem.field == "keep_alive" && problem.message.as_str().starts_with("quota 0"), "{problem:?}");
    assert_eq!(fact(&warm, "kept warm"), "10 min after the run, $0.08 at most");
    let spot = looked(&place, &set(form, &[("spot", "yes"), ("max_wait", "1h")])).await;
    assert_eq!((fact(&spot, "quota"), fact(&spot, "wait")), ("0 of 15 used".into(), "at most 1 h, run included".into()));
    assert!(spot.request.as_str().contains("\"MaxWaitTimeInSeconds\": 3600"), "{}", spot.request);
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lint_finds_stands_at_its_field_until_it_is_silenced() {
    let mut place = Place::new("import no_such_module_at_all\nprint('loss=1')\n").await;
    place.recipe.lint_silenced = vec!["no-such-rule".to_owned()];
    let form = set(place.form("training-jobs", Verb::Launch, None).await, &[("instance_count", "4")]);
    let said = |shown: &Preview, field: &str| -> String {
        let found = shown.problems.iter().filter(|problem| problem.field == field && !problem.fatal);
        found.map(|problem| problem.message.to_string()).collect::<Vec<_>>().join("\n")
    };
    let shown = looked(&place, &form).await;
    let copies = said(&shown, "instance_count");
    assert!(copies.starts_with("train.py:1: ") && copies.ends_with("(identical-copies)"), "{copies}");
    assert!(said(&shown, "entry_point").contains("does not have no_such_module_at_all"), "{:?}", shown.problems);
    assert!(said(&shown, "").contains("'no-such-rule', which is no rule"), "{:?}", shown.problems);

    place.recipe.lint_silenced = vec!["identical-copies".to_owned()];
    let quiet = looked(&place, &form).await;
    assert_eq!((said(&quiet, "instance_count").as_str(), said(&quiet, "").as_str()), ("", ""));
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_script_that_fetches_weights_is_told_of_before_the_endpoint_is_made() {
    let script = "import os\nopen(os.path.join(os.environ['SM_MODEL_DIR'], 'weights'), 'w').close()\nprint('loss=1')\n";
    let place = Place::new(script).await.serving();
    let job = place.launch_with(&[]).await;
    place.ended(&job).await;
    let serving = "import torch\nfrom torchvision import models\n\ndef model_fn(folder):\n    model = models.resnet18(pretrained=True)\n    model.load_state_dict(torch.load(folder + '/weights'))\n    return modle\n";
    std::fs::write(place.recipe.root.join("code/inference.py"), serving).unwrap();
    let form = place.form("training-jobs", Verb::Deploy, Some(&job)).await;
    let shown = found("endpoints").preview(&place.aws, &place.recipe, &form).await.unwrap();
    let said: Vec<_> = shown.problems.iter().map(|problem| problem.message.to_string()).collect();
    for rule in ["inference.py:5: ", "(weights-downloaded-again)", "inference.py:7: ", "(undefined-name)"] {
        assert!(said.iter().any(|message| message.contains(rule)), "{rule}: {said:?}");
    }
    assert!(shown.problems.iter().all(|problem| !problem.fatal), "{said:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_looked_up_in_vcpus_and_what_runs_counts() {
    let place = Place::new("print('loss=1')\n").await;
    let small = [("instance_type", "t3.medium"), ("lease", "30m")];
    let form = set(place.form("instances", Verb::Launch, None).await, &small);
    let id = place.launch(form.clone()).await;
    place.instance(&id, "running").await;
    let look = async |changes: &[(&str, &str)]| {
        found("instances").preview(&place.aws, &place.recipe, &set(form.clone(), changes)).await.unwrap()
    };
    let beside = look(&[]).await;
    assert_eq!(
        (fact(&beside, "quota"), fact(&beside, "for the lease")),
        ("2 of 32 vCPU used, this takes 2".into(), "$0.02 (30 min)".into())
    );
    let asked = || (place.wire.count("ListServiceQuotas"), place.wire.count("GetProducts"));
    let before = asked();
    // Another of that name is told of, but not forbidden.
    assert!(
        beside.problems.iter().all(|problem| !problem.fatal) && beside.problems.iter().any(|problem| problem.field == "name")
    );
    let full = look(&[("instance_type", "c6i.8xlarge")]).await;
    let note =
        full.problems.iter().find(|problem| problem.field == "instance_type").unwrap_or_else(|| panic!("{:?}", full.problems));
    assert!(!note.fatal && note.message.as_str().starts_with("2 of the 32 vCPU"), "{note:?}");
    // Spot has a quota of its own.
    assert_eq!(fact(&look(&[("spot", "yes")]).await, "quota"), "0 of 32 vCPU used, this takes 2");
    assert_eq!(asked(), (before.0, before.1 + 1), "quotas are asked once, and the price once a type");
    place.run(&region::bare("instances", Verb::Delete, &[&id])).await.unwrap();
    place.region.close().await;
}
